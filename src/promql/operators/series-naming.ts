// Metric names in results. Most functions and operators drop the name (with the reserved type and unit labels), after which
// series that differed in it alone have the same labels: they become one series, and having a value at the same step
// is an error. With delayed name removal the name is only marked, and goes when the query ends.
import { Labels, metricNameLabel } from '../../model/index.ts';
import { duplicateLabelsError } from './errors.ts';
import { type Evaluation, type OutputSeries, Row, type VectorOperator } from './operator.ts';

/** The labels that say what a metric is; they go whenever its name goes. */
export const metadataLabels: readonly string[] = [metricNameLabel, '__type__', '__unit__'];

/** Any UTF-8 text but the empty one. U+FFFD is where the parser had bytes that are none. */
export function isLabelName(name: string): boolean {
  return name !== '' && !name.includes('\uFFFD');
}

export function withoutName(labels: Labels): Labels {
  // Few labels begin with two underscores: the cheap test spares them the look-up.
  return labels.filter((name) => !name.startsWith('__') || !metadataLabels.includes(name));
}

/** The series after a function that changes what the values mean. */
export function dropNames(series: readonly OutputSeries[], evaluation: Evaluation): OutputSeries[] {
  if (evaluation.delayedNameRemoval) return series.map(({ labels }) => ({ labels, dropsName: true }));
  return series.map(({ labels }) => ({ labels: withoutName(labels), dropsName: false }));
}

/** The operator with series of equal labels merged into one; itself where there are none. */
export function mergeDuplicates(operator: VectorOperator, stepsCount: number): VectorOperator {
  if (isAscending(operator.series)) return operator;
  const membersByKey = new Map<string, number[]>();
  for (const [index, { labels }] of operator.series.entries()) {
    const members = membersByKey.get(labels.key());
    if (members) members.push(index);
    else membersByKey.set(labels.key(), [index]);
  }
  if (membersByKey.size === operator.series.length) return operator;
  return new MergedOperator(operator, [...membersByKey.values()], stepsCount);
}

/** Most vectors stay in the order of the storage, which two equal series can't. */
function isAscending(series: readonly OutputSeries[]): boolean {
  for (let i = 1; i < series.length; i++) {
    if (Labels.compare((series[i - 1] as OutputSeries).labels, (series[i] as OutputSeries).labels) >= 0) return false;
  }
  return true;
}

class MergedOperator implements VectorOperator {
  readonly series: readonly OutputSeries[];
  readonly hasEffects: boolean;
  readonly #input: VectorOperator;
  readonly #members: readonly (readonly number[])[];
  readonly #row: Row;

  constructor(input: VectorOperator, members: readonly (readonly number[])[], stepsCount: number) {
    this.series = members.map(([first]) => input.series[first as number] as OutputSeries);
    this.hasEffects = input.hasEffects;
    this.#input = input;
    this.#members = members;
    this.#row = new Row(stepsCount);
    this.#failAtOnce(stepsCount);
  }

  /** Series that meet at a step are an error of this operator, not of whoever reads them. */
  #failAtOnce(stepsCount: number): void {
    const row = new Row(stepsCount);
    for (const [index, members] of this.#members.entries()) if (members.length > 1) this.read(index, row);
  }

  read(index: number, row: Row): void {
    const [first, ...others] = this.#members[index] as readonly number[];
    this.#input.read(first as number, row);
    for (const other of others) {
      this.#input.read(other, this.#row);
      mergeInto(row, this.#row);
    }
  }
}

function mergeInto(row: Row, addition: Row): void {
  for (let step = 0; step < row.stepsCount; step++) {
    if (addition.presence[step] === 0) continue;
    if (row.presence[step] === 1) throw duplicateLabelsError();
    row.presence[step] = 1;
    row.values[step] = addition.values[step] as number;
  }
  row.presentCount += addition.presentCount;
}

/** What delayed name removal has put off: names dropped, duplicates merged. */
export function removeMarkedNames(operator: VectorOperator, stepsCount: number): VectorOperator {
  if (!operator.series.some(({ dropsName }) => dropsName)) return operator;
  const series = operator.series.map(({ labels, dropsName }) => ({
    labels: dropsName ? withoutName(labels) : labels,
    dropsName: false,
  }));
  return mergeDuplicates(renamed(operator, series), stepsCount);
}

/** The operator with other labels on the same rows. */
export function renamed<S extends OutputSeries>(operator: VectorOperator, series: readonly S[]): VectorOperator<S> {
  const { hasEffects } = operator;
  return { series, hasEffects, read: (index, row) => operator.read(index, row) };
}
