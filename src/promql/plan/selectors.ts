// What a plan reads: one request per distinct set of matchers and time range, exactly as wide as the steps need it. Equal
// selectors (`a / a`) share a request, so that the storage looks the series up once.
import type { SelectRequest } from '../queryable.ts';
import { type Grid, referenceMs, subqueryGrid } from './grid.ts';
import {
  type AggregationNode,
  type InstantSelectorNode,
  mapChildren,
  type PlanNode,
  type RangeSelectorNode,
} from './plan-node.ts';

/** Steps of an aggregation, as a node and on a grid of their own. */
export interface AggregationPart {
  readonly aggregation: AggregationNode;
  readonly grid: Grid;
}

export type SplitAggregations = ReadonlyMap<AggregationNode, readonly AggregationPart[]>;

export interface SelectorRequests {
  readonly requests: readonly SelectRequest[];
  /** Every selector of the plan has an entry: its index in `requests`. */
  readonly indexOf: ReadonlyMap<PlanNode, number>;
}

/**
 * `split` names aggregations of which only some steps are evaluated here: their parts stand in for them, each with the grid
 * that it is evaluated on.
 */
export function collectSelectors(
  root: PlanNode,
  grid: Grid,
  lookbackDeltaMs: number,
  split: SplitAggregations = new Map(),
): SelectorRequests {
  const requests: SelectRequest[] = [];
  const indexOf = new Map<PlanNode, number>();
  const indexByKey = new Map<string, number>();

  const add = (node: InstantSelectorNode | RangeSelectorNode, over: Grid): void => {
    const windowMs = node.kind === 'range-selector' ? node.rangeMs : lookbackDeltaMs;
    // Windows are left-open: a sample exactly `windowMs` old is outside.
    const startMs = referenceMs(node, over.startMs) - windowMs + 1;
    const endMs = referenceMs(node, over.lastMs);
    const key = `${startMs} ${endMs} ${node.matchers.map(String).join()}`;
    let index = indexByKey.get(key);
    if (index === undefined) {
      index = requests.push({ matchers: node.matchers, startMs, endMs }) - 1;
      indexByKey.set(key, index);
    }
    indexOf.set(node, index);
  };

  const visit = (node: PlanNode, over: Grid): PlanNode => {
    const parts = node.kind === 'aggregation' ? split.get(node) : undefined;
    if (parts) {
      for (const { aggregation, grid: partGrid } of parts) visit(aggregation, partGrid);
      return node;
    }
    if (node.kind === 'instant-selector' || node.kind === 'range-selector') add(node, over);
    const inner = gridOfChildren(node, over);
    return mapChildren(node, (child) => visit(child, inner));
  };
  visit(root, grid);
  return { requests, indexOf };
}

/** The steps at which the children of a node are evaluated that is evaluated at those of `grid`. */
export function gridOfChildren(node: PlanNode, grid: Grid): Grid {
  if (node.kind === 'subquery') return subqueryGrid(grid, node);
  return node.kind === 'step-invariant' ? grid.first() : grid;
}
