// The planner: text → typed tree → resolved plan → the optimizer rules in their order. The same text and times give the same
// plan everywhere: a node that evaluates a fragment of a query makes the query's plan anew.
import { TimbalaError } from '../../base/index.ts';
import { describeType, type Expression, parseExpression, resolveDurations, typeOf } from '../parse/index.ts';
import { foldConstants } from './fold-constants.ts';
import { Grid } from './grid.ts';
import { markStepInvariant } from './mark-step-invariant.ts';
import type { PlanNode } from './plan-node.ts';
import { type QueryTimes, resolve } from './resolve.ts';

/** An instant query has `stepMs` 0 and ends where it starts. */
export interface TimedQuery extends QueryTimes {
  readonly text: string;
}

export interface Plan {
  readonly root: PlanNode;
  readonly grid: Grid;
}

/** Step invariance comes last: it takes folded constants for what they are. */
const rules: readonly ((root: PlanNode) => PlanNode)[] = [foldConstants, markStepInvariant];

/** Throws PROMQL_PARSE and PROMQL_INVALID. */
export function planQuery(query: TimedQuery): Plan {
  const { text, startMs, endMs, stepMs } = query;
  const isInstant = stepMs === 0;
  const expression = parseExpression(text);
  if (!isInstant) requireSteppable(expression);
  const resolved = resolve(resolveDurations(expression, { stepMs, rangeMs: endMs - startMs }), query);
  const grid = isInstant ? Grid.instant(startMs) : new Grid(startMs, endMs, stepMs);
  return { root: rules.reduce((node, rule) => rule(node), resolved), grid };
}

function requireSteppable(expression: Expression): void {
  const type = typeOf(expression);
  if (type === 'vector' || type === 'scalar') return;
  const text = `invalid expression type "${describeType(type)}" for range query, must be Scalar or instant Vector`;
  throw new TimbalaError('PROMQL_INVALID', text);
}
