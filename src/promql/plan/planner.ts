// The planner: resolve, then the optimizer rules in their order, then the list of what to read from the storage.
import type { Expression } from '../parse/ast.ts';
import { foldConstants } from './fold-constants.ts';
import type { Grid } from './grid.ts';
import { markStepInvariant } from './mark-step-invariant.ts';
import type { PlanNode } from './plan-node.ts';
import { type QueryTimes, resolve } from './resolve.ts';
import { collectSelectors, type SelectorRequests } from './selectors.ts';

export interface Plan extends SelectorRequests {
  readonly root: PlanNode;
  readonly grid: Grid;
}

/** Step invariance comes last: it takes folded constants for what they are. */
const rules: readonly ((root: PlanNode) => PlanNode)[] = [foldConstants, markStepInvariant];

export function plan(expression: Expression, grid: Grid, times: QueryTimes, lookbackDeltaMs: number): Plan {
  const root = rules.reduce((node, rule) => rule(node), resolve(expression, times));
  return { root, grid, ...collectSelectors(root, grid, lookbackDeltaMs) };
}
