// Which aggregations of a plan can be evaluated where the series lie. Below such an aggregation every output series must come of
// one input series alone, so that it makes no difference who else's series are near: a selector, functions of a range or
// of single samples, and arithmetic and comparison with scalars that ask no series.
import type { AggregationOperator } from '../parse/ast.ts';
import { type Grid, referenceMs } from '../plan/grid.ts';
import {
  type AggregationNode,
  type InstantSelectorNode,
  mapChildren,
  type PlanNode,
  planType,
  type RangeSelectorNode,
} from '../plan/plan-node.ts';
import { gridOfChildren } from '../plan/selectors.ts';
import { floatFunctions, rangeFunctions } from '../functions/index.ts';
import { isSetOperator } from '../operators/binary-kernels.ts';
import type { PartialOperator } from '../operators/aggregation.ts';
import type { StepReach } from '../queryable.ts';

export type PushableOperator = PartialOperator | 'topk' | 'bottomk';
export type PushableAggregation = AggregationNode & { readonly operator: PushableOperator };
type SelectorNode = InstantSelectorNode | RangeSelectorNode;

export interface Pushable {
  readonly aggregation: PushableAggregation;
  /** The only selector below it. */
  readonly selector: SelectorNode;
  /** Where it is evaluated. */
  readonly grid: Grid;
  readonly reach: StepReach;
}

const pushableOperators: ReadonlySet<AggregationOperator> = new Set<PushableOperator>([
  'sum',
  'avg',
  'count',
  'group',
  'min',
  'max',
  'topk',
  'bottomk',
]);

/** The same plan gives the same list, wherever it was made. */
export function findPushable(root: PlanNode, grid: Grid, lookbackDeltaMs: number): Pushable[] {
  const found: Pushable[] = [];
  const visit = (node: PlanNode, over: Grid): PlanNode => {
    const pushable = over.stepsCount === 0 ? undefined : pushableOf(node, over, lookbackDeltaMs);
    if (pushable) {
      found.push(pushable);
      return node;
    }
    const inner = gridOfChildren(node, over);
    return mapChildren(node, (child) => visit(child, inner));
  };
  visit(root, grid);
  return found;
}

function pushableOf(node: PlanNode, grid: Grid, lookbackDeltaMs: number): Pushable | undefined {
  if (!isPushableAggregation(node)) return undefined;
  if (node.parameter && !isSeriesFree(node.parameter)) return undefined;
  const selector = selectorBelow(node.expression);
  if (!selector) return undefined;
  const reach = reachOf(node.expression, grid, lookbackDeltaMs);
  return reach && { aggregation: node, selector, grid, reach };
}

function isPushableAggregation(node: PlanNode): node is PushableAggregation {
  return node.kind === 'aggregation' && pushableOperators.has(node.operator);
}

/** The selector of an expression whose output series each come of one of its series; undefined for any other expression. */
export function selectorBelow(node: PlanNode): SelectorNode | undefined {
  switch (node.kind) {
    case 'instant-selector':
    case 'range-selector':
      return node;
    case 'negation':
    case 'subquery':
    case 'step-invariant':
      return selectorBelow(node.expression);
    case 'binary': {
      if (isSetOperator(node.operator)) return undefined;
      if (isSeriesFree(node.left)) return selectorBelow(node.right);
      return isSeriesFree(node.right) ? selectorBelow(node.left) : undefined;
    }
    case 'call': {
      const isPlain =
        rangeFunctions.has(node.function) || floatFunctions.has(node.function) || node.function === 'timestamp';
      const [series, ...others] = node.arguments.filter((argument) => planType(argument) !== 'scalar');
      if (!isPlain || !series || others.length > 0) return undefined;
      const scalars = node.arguments.filter((argument) => argument !== series);
      return scalars.every(isSeriesFree) ? selectorBelow(series) : undefined;
    }
    default:
      return undefined;
  }
}

/** A scalar that is the same whatever series there are. */
function isSeriesFree(node: PlanNode): boolean {
  if (planType(node) !== 'scalar' || (node.kind === 'call' && node.function === 'scalar')) return false;
  return childrenOf(node).every(isSeriesFree);
}

/** How far back and ahead of a time an expression looks that is evaluated at that time. */
interface Reach {
  readonly beforeMs: number;
  readonly afterMs: number;
}

/** Undefined where that changes from step to step, because of `@`. Subqueries have steps of their own. */
function reachOf(expression: PlanNode, grid: Grid, lookbackDeltaMs: number): StepReach | undefined {
  const { startMs, stepMs, stepsCount } = grid;
  const hasManySteps = stepsCount > 1 || some(expression, ({ kind }) => kind === 'subquery');
  if (hasManySteps && some(expression, (node) => 'atMs' in node && node.atMs !== undefined)) return undefined;
  return { startMs, stepMs, stepsCount, ...reachAt(expression, startMs, lookbackDeltaMs) };
}

/** `timeMs` matters only to `@`. */
function reachAt(node: PlanNode, timeMs: number, lookbackDeltaMs: number): Reach {
  if (node.kind === 'instant-selector' || node.kind === 'range-selector' || node.kind === 'subquery') {
    const nowMs = referenceMs(node, timeMs);
    const windowMs = node.kind === 'instant-selector' ? lookbackDeltaMs : node.rangeMs;
    // Windows are left-open.
    const own = { beforeMs: timeMs - nowMs + windowMs - 1, afterMs: nowMs - timeMs };
    if (node.kind !== 'subquery') return own;
    const inner = reachAt(node.expression, timeMs, lookbackDeltaMs);
    return { beforeMs: own.beforeMs + inner.beforeMs, afterMs: own.afterMs + inner.afterMs };
  }
  const reaches = childrenOf(node).map((child) => reachAt(child, timeMs, lookbackDeltaMs));
  return {
    beforeMs: Math.max(...reaches.map(({ beforeMs }) => beforeMs)),
    afterMs: Math.max(...reaches.map(({ afterMs }) => afterMs)),
  };
}

function some(node: PlanNode, holds: (node: PlanNode) => boolean): boolean {
  if (holds(node)) return true;
  return childrenOf(node).some((child) => some(child, holds));
}

function childrenOf(node: PlanNode): PlanNode[] {
  const children: PlanNode[] = [];
  mapChildren(node, (child) => {
    children.push(child);
    return child;
  });
  return children;
}

/** The steps whose whole reach lies in a range: from `first` to before `end`. */
export function stepsWithin(reach: StepReach, fromMs: number, toMs: number): { first: number; end: number } {
  const { startMs, stepMs, stepsCount, beforeMs, afterMs } = reach;
  const first = Math.max(0, Math.ceil((fromMs + beforeMs - startMs) / stepMs));
  const end = Math.min(stepsCount, Math.floor((toMs - afterMs - startMs) / stepMs) + 1);
  return first < end ? { first, end } : { first: 0, end: 0 };
}
