// `topk`, `bottomk` and `limitk`: at every step, k series of each group, as they are. The input streams through a heap per group
// and step, so memory grows with k, not with the input.
import type { AggregationNode } from '../plan/plan-node.ts';
import { executionError } from './errors.ts';
import { formatGeneral } from '../numbers/index.ts';
import { groupSeries } from './grouping.ts';
import { type Evaluation, type OutputSeries, Row, RowsOperator, type VectorOperator } from './operator.ts';
import { highestFirst, lowestFirst, ValueHeaps } from './value-heap.ts';

type SelectingNode = AggregationNode & { operator: 'topk' | 'bottomk' | 'limitk' };

/** 2⁶³; the next float below it is where Prometheus draws the line. */
const int64Limit = 2 ** 63;
const int64Max = int64Limit - 1024;

/** Selects among an input's series, one after another. */
export class KSelection<S extends OutputSeries> {
  readonly #node: SelectingNode;
  readonly #input: VectorOperator<S>;
  readonly #limits: Float64Array;
  readonly #evaluation: Evaluation;
  /** No k reaches 1: the input is read for its annotations, if for anything. */
  readonly #isEmpty: boolean;
  readonly #groupOf: Int32Array;
  readonly #groupSizes: Int32Array;
  readonly #heaps: readonly ValueHeaps[];
  /** By the first series that has a value: what has none at any step is not there for Prometheus. */
  readonly #filled = new Set<ValueHeaps>();
  readonly #row: Row;

  /** `limits`: k at each step, not yet rounded. */
  constructor(node: SelectingNode, input: VectorOperator<S>, limits: Float64Array, evaluation: Evaluation) {
    const limitMax = validateLimits(limits);
    this.#isEmpty = limitMax < 1;
    const { groups, groupOf } = groupSeries(this.#isEmpty ? [] : input.series, node.grouping, node.without);
    this.#node = node;
    this.#input = input;
    this.#limits = limits;
    this.#evaluation = evaluation;
    this.#groupOf = groupOf;
    this.#groupSizes = new Int32Array(groups.length);
    for (const group of groupOf) this.#groupSizes[group] = (this.#groupSizes[group] as number) + 1;
    this.#heaps = Array.from(this.#groupSizes, (size) => {
      const capacity = Math.min(Math.trunc(limitMax), size);
      evaluation.control.addBytes(ValueHeaps.bytes(limits.length, capacity));
      return new ValueHeaps(limits.length, capacity, node.operator === 'bottomk' ? highestFirst : lowestFirst);
    });
    this.#row = new Row(limits.length);
  }

  /** Once for each series of the input, in their order. */
  add(index: number): void {
    const row = this.#row;
    if (!this.#isEmpty || this.#input.hasEffects) this.#input.read(index, row);
    if (this.#isEmpty || row.presentCount === 0) return;
    const group = this.#groupOf[index] as number;
    const heap = this.#heaps[group] as ValueHeaps;
    this.#filled.add(heap);
    const size = this.#groupSizes[group] as number;
    const limits = this.#limits;
    const isFirstCome = this.#node.operator === 'limitk';
    for (let step = 0; step < limits.length; step++) {
      const limit = Math.min(Math.trunc(limits[step] as number), size);
      if (row.presence[step] === 0 || limit < 1) continue;
      if (isFirstCome) heap.offerIfRoom(step, limit, row.values[step] as number, index);
      else heap.offer(step, limit, row.values[step] as number, index);
    }
  }

  finish(): VectorOperator<S> {
    return selectedRows(this.#node, this.#input.series, this.#filled, this.#limits.length, this.#evaluation);
  }
}

/** `limits`: k at each step, not yet rounded. */
export function selectK<S extends OutputSeries>(
  node: SelectingNode,
  input: VectorOperator<S>,
  limits: Float64Array,
  evaluation: Evaluation,
): VectorOperator<S> {
  const selection = new KSelection(node, input, limits, evaluation);
  for (const index of input.series.keys()) selection.add(index);
  return selection.finish();
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
