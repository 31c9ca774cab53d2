// `topk`, `bottomk` and `limitk`: at every step, k series of each group, as they are. The input streams through a heap per group
// and step, so memory grows with k, not with the input.
import type { AggregationNode } from '../plan/plan-node.ts';
import { executionError } from './errors.ts';
import { formatGeneral } from '../numbers/index.ts';
import { groupSeries } from './grouping.ts';
import {
  type Evaluation,
  type OutputSeries,
  readForEffects,
  Row,
  RowsOperator,
  type VectorOperator,
} from './operator.ts';
import { highestFirst, lowestFirst, ValueHeaps } from './value-heap.ts';

type SelectingNode = AggregationNode & { operator: 'topk' | 'bottomk' | 'limitk' };

/** 2⁶³; the next float below it is where Prometheus draws the line. */
const int64Limit = 2 ** 63;
const int64Max = int64Limit - 1024;

/** `limits`: k at each step, not yet rounded. */
export function selectK<S extends OutputSeries>(
  node: SelectingNode,
  input: VectorOperator<S>,
  limits: Float64Array,
  stepsCount: number,
  evaluation: Evaluation,
): VectorOperator<S> {
  const limitMax = validateLimits(limits);
  if (limitMax < 1) {
    readForEffects(input, () => false, new Row(stepsCount));
    return new RowsOperator([], []);
  }
  const { groups, groupOf } = groupSeries(input.series, node.grouping, node.without);
  const groupSizes = new Int32Array(groups.length);
  for (const group of groupOf) groupSizes[group] = (groupSizes[group] as number) + 1;
  const heaps = Array.from(groupSizes, (size) => {
    const capacity = Math.min(Math.trunc(limitMax), size);
    evaluation.control.addBytes(ValueHeaps.bytes(stepsCount, capacity));
    return new ValueHeaps(stepsCount, capacity, node.operator === 'bottomk' ? highestFirst : lowestFirst);
  });
  const row = new Row(stepsCount);
  // By the first series that has a value: what has none at any step is not there for Prometheus.
  const filled = new Set<ValueHeaps>();
  for (const [index, group] of groupOf.entries()) {
    input.read(index, row);
    if (row.presentCount === 0) continue;
    const heap = heaps[group] as ValueHeaps;
    filled.add(heap);
    const size = groupSizes[group] as number;
    for (let step = 0; step < stepsCount; step++) {
      const limit = Math.min(Math.trunc(limits[step] as number), size);
      if (row.presence[step] === 0 || limit < 1) continue;
      if (node.operator === 'limitk') heap.offerIfRoom(step, limit, row.values[step] as number, index);
      else heap.offer(step, limit, row.values[step] as number, index);
    }
  }
  return selectedRows(node, input.series, filled, stepsCount, evaluation);
}

function selectedRows<S extends OutputSeries>(
  node: SelectingNode,
  inputSeries: readonly S[],
  heaps: Iterable<ValueHeaps>,
  stepsCount: number,
  evaluation: Evaluation,
): VectorOperator<S> {
  const rows = new Map<number, Row>();
  const order: number[] = [];
  for (const heap of heaps) {
    // The order of an instant query's result is part of the answer; with more steps there is none.
    if (stepsCount === 1 && node.operator !== 'limitk') order.push(...heap.sortedMembers(0));
    for (let step = 0; step < stepsCount; step++) {
      heap.forEach(step, (value, member) => {
        let row = rows.get(member);
        if (!row) {
          evaluation.control.addBytes(Row.bytes(stepsCount));
          row = new Row(stepsCount);
          rows.set(member, row);
        }
        row.values[step] = value;
        row.presence[step] = 1;
        row.presentCount++;
      });
    }
  }
  const members = order.length > 0 ? order : [...rows.keys()];
  if (stepsCount > 1) members.sort((a, b) => a - b);
  return new RowsOperator(
    members.map((member) => inputSeries[member] as S),
    members.map((member) => rows.get(member) as Row),
  );
}

/** The largest k. Throws as Prometheus does; where no k reaches 1, nothing else is looked at. */
function validateLimits(limits: Float64Array): number {
  let limitMax = -Infinity;
  let limitMin = Infinity;
  let hasNaN = false;
  for (const limit of limits) {
    hasNaN ||= Number.isNaN(limit);
    limitMax = Math.max(limitMax, limit);
    limitMin = Math.min(limitMin, limit);
  }
  if (limitMax < 1) return limitMax;
  if (hasNaN) throw executionError('Parameter value is NaN');
  if (limitMin <= -int64Limit) throw executionError(`Scalar value ${formatGeneral(limitMin)} underflows int64`);
  if (limitMax >= int64Max) throw executionError(`Scalar value ${formatGeneral(limitMax)} overflows int64`);
  return limitMax;
}
