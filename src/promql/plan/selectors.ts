// What a plan reads: one request per distinct set of matchers and time range, exactly as wide as the steps need it. Equal
// selectors (`a / a`) share a request, so that the storage looks the series up once.
import type { SelectRequest } from '../queryable.ts';
import { type Grid, referenceMs, subqueryGrid } from './grid.ts';
import { type InstantSelectorNode, mapChildren, type PlanNode, type RangeSelectorNode } from './plan-node.ts';

export interface SelectorRequests {
  readonly requests: readonly SelectRequest[];
  /** Every selector of the plan has an entry: its index in `requests`. */
  readonly indexOf: ReadonlyMap<PlanNode, number>;
}

export function collectSelectors(root: PlanNode, grid: Grid, lookbackDeltaMs: number): SelectorRequests {
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
    if (node.kind === 'instant-selector' || node.kind === 'range-selector') add(node, over);
    const inner =
      node.kind === 'subquery' ? subqueryGrid(over, node) : node.kind === 'step-invariant' ? over.first() : over;
    return mapChildren(node, (child) => visit(child, inner));
  };
  visit(root, grid);
  return { requests, indexOf };
}
