// `count_values`: how many series have each value, at every step; the value becomes a label, so the output series are known
// only once all values have been seen.
import type { Labels } from '../../model/index.ts';
import { formatFloat } from '../numbers/index.ts';
import type { AggregationNode } from '../plan/plan-node.ts';
import { groupLabels } from './grouping.ts';
import { type Evaluation, type OutputSeries, Row, RowsOperator, type VectorOperator } from './operator.ts';

export function countValues(
  node: AggregationNode,
  input: VectorOperator,
  labelName: string,
  stepsCount: number,
  evaluation: Evaluation,
): VectorOperator {
  const grouping = groupLabels(node.without ? node.grouping : [...node.grouping, labelName], node.without);
  const counts = new CountsByLabels(stepsCount, evaluation);
  const row = new Row(stepsCount);
  for (const [index, { labels }] of input.series.entries()) {
    input.read(index, row);
    // Most series repeat few values: the row of a value is found once per series, by its bits.
    const rowByValue = new Map<number, Row>();
    for (let step = 0; step < stepsCount; step++) {
      if (row.presence[step] === 0) continue;
      const value = row.values[step] as number;
      let counted = value === 0 ? undefined : rowByValue.get(value); // a Map takes 0 and -0 for one key
      if (!counted) {
        counted = counts.rowOf(grouping.of(labels.with(labelName, formatFloat(value))));
        rowByValue.set(value, counted);
      }
      counted.presentCount += 1 - (counted.presence[step] as number);
      counted.values[step] = counted.presence[step] === 1 ? (counted.values[step] as number) + 1 : 1;
      counted.presence[step] = 1;
    }
  }
  return new RowsOperator(counts.series, counts.rows);
}

/** What the labels of one more value take, about; there may be as many as samples. */
const labelsBytes = 512;

class CountsByLabels {
  readonly series: OutputSeries[] = [];
  readonly rows: Row[] = [];
  readonly #byKey = new Map<string, Row>();
  readonly #stepsCount: number;
  readonly #evaluation: Evaluation;

  constructor(stepsCount: number, evaluation: Evaluation) {
    this.#stepsCount = stepsCount;
    this.#evaluation = evaluation;
  }

  rowOf(labels: Labels): Row {
    const known = this.#byKey.get(labels.key());
    if (known) return known;
    this.#evaluation.control.addBytes(Row.bytes(this.#stepsCount) + labelsBytes);
    const row = new Row(this.#stepsCount);
    this.#byKey.set(labels.key(), row);
    this.series.push({ labels, dropsName: false });
    this.rows.push(row);
    return row;
  }
}
