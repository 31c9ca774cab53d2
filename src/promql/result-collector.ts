// From operators to results: rows are read one after the other, and only their points are kept.
import { Labels, SampleBuffer } from '../model/index.ts';
import { type Evaluation, Row, type VectorOperator } from './operators/operator.ts';
import type { RangeSource } from './operators/range-source.ts';
import { WindowLookup } from './operators/sample-lookup.ts';
import type { Grid } from './plan/grid.ts';
import type { RangeSelectorNode } from './plan/plan-node.ts';
import type { MatrixSeries, VectorResult } from './result.ts';

/** Reads a grid of one step. */
export function collectVector(operator: VectorOperator, timeMs: number, evaluation: Evaluation): VectorResult {
  const labels: Labels[] = [];
  const values: number[] = [];
  const row = new Row(1);
  for (const [index, series] of operator.series.entries()) {
    operator.read(index, row);
    if (row.presentCount === 0) continue;
    labels.push(series.labels);
    values.push(row.values[0] as number);
  }
  countReturned(values.length, evaluation);
  return { kind: 'vector', timeMs, labels, values: Float64Array.from(values) };
}

/** All series with a point on the grid, sorted by labels. Series whose points stand at the same steps, without a gap, share theirs. */
export function collectGridMatrix(operator: VectorOperator, grid: Grid, evaluation: Evaluation): MatrixSeries[] {
  const spans = new GridSpans(grid);
  const row = new Row(grid.stepsCount);
  const result: MatrixSeries[] = [];
  for (const [index, { labels }] of operator.series.entries()) {
    operator.read(index, row);
    if (row.presentCount === 0) continue;
    countReturned(row.presentCount, evaluation);
    const first = row.firstPresent;
    const end = row.endPresent;
    if (end - first === row.presentCount) {
      result.push({ labels, timestampsMs: spans.timestampsMs(first, end), values: row.values.slice(first, end) });
    } else {
      result.push({ labels, ...scatteredPoints(row, grid) });
    }
  }
  return result.sort((a, b) => Labels.compare(a.labels, b.labels));
}

/** One array of timestamps for each span of steps. */
class GridSpans {
  readonly #timestampsMs: Float64Array;
  readonly #bySpan = new Map<string, Float64Array>();

  constructor(grid: Grid) {
    this.#timestampsMs = grid.timestampsMs();
  }

  timestampsMs(first: number, end: number): Float64Array {
    const key = `${first} ${end}`;
    let timestampsMs = this.#bySpan.get(key);
    if (!timestampsMs) {
      timestampsMs = this.#timestampsMs.subarray(first, end);
      this.#bySpan.set(key, timestampsMs);
    }
    return timestampsMs;
  }
}

function scatteredPoints(row: Row, grid: Grid): { timestampsMs: Float64Array; values: Float64Array } {
  const timestampsMs = new Float64Array(row.presentCount);
  const values = new Float64Array(row.presentCount);
  let count = 0;
  for (let step = 0; step < row.stepsCount; step++) {
    if (row.presence[step] === 0) continue;
    timestampsMs[count] = grid.timeMs(step);
    values[count] = row.values[step] as number;
    count++;
  }
  return { timestampsMs, values };
}

/** The samples of one window, as they are stored; sorted by labels. */
export function collectRangeMatrix(
  source: RangeSource,
  node: RangeSelectorNode,
  grid: Grid,
  evaluation: Evaluation,
): MatrixSeries[] {
  const lookup = new WindowLookup(node, grid, node.rangeMs);
  const samples = new SampleBuffer();
  const result: MatrixSeries[] = [];
  for (const [index, { labels }] of source.series.entries()) {
    source.read(index, samples);
    const [first = 0, end = 0] = lookup.bounds(samples);
    if (first === end) continue;
    countReturned(end - first, evaluation);
    const timestampsMs = samples.timestampsMs.slice(first, end);
    result.push({ labels, timestampsMs, values: samples.values.slice(first, end) });
  }
  return result.sort((a, b) => Labels.compare(a.labels, b.labels));
}

/** Points of the result count as samples, and take their memory until the answer is sent. */
function countReturned(count: number, evaluation: Evaluation): void {
  evaluation.control.addSamples(count);
  evaluation.control.addBytes(16 * count);
  evaluation.stats.samplesReturnedCount += count;
}
