// Instant vector selectors: at every step the newest sample of a series, unless it is a stale marker or too old.
import { SampleBuffer } from '../../model/index.ts';
import type { Grid } from '../plan/grid.ts';
import type { InstantSelectorNode } from '../plan/plan-node.ts';
import type { Selection, SelectedSeries } from '../queryable.ts';
import type { Evaluation, OutputSeries, Row, VectorOperator } from './operator.ts';
import { InstantLookup } from './sample-lookup.ts';

export class InstantSelectorOperator implements VectorOperator {
  readonly series: readonly OutputSeries[];
  readonly hasEffects = false;
  readonly #selection: Selection;
  readonly #lookup: InstantLookup;
  readonly #evaluation: Evaluation;
  readonly #givesTimestamps: boolean;
  readonly #samples = new SampleBuffer();

  /** `givesTimestamps`: the samples' timestamps in seconds instead of their values, for `timestamp(selector)`. */
  constructor(
    node: InstantSelectorNode,
    selection: Selection,
    grid: Grid,
    evaluation: Evaluation,
    givesTimestamps = false,
  ) {
    this.series = selection.series.map(({ labels }) => ({ labels, dropsName: false }));
    this.#selection = selection;
    this.#lookup = new InstantLookup(node, grid, evaluation.lookbackDeltaMs);
    this.#evaluation = evaluation;
    this.#givesTimestamps = givesTimestamps;
  }

  read(index: number, row: Row): void {
    const samples = this.#samples;
    loadSeries(this.#selection.series[index] as SelectedSeries, samples, this.#evaluation);
    const found = this.#lookup.find(samples);
    const { indexes } = found;
    if (samples.mayHoldStale) gatherLive(row, indexes, samples);
    else if (found.hasGaps) gather(row, indexes, samples.values);
    else gatherSpan(row, indexes, samples.values, found.first, found.end);
    if (this.#givesTimestamps) gatherTimestamps(row, indexes, samples.timestampsMs);
  }
}

/** What a sample takes in a SampleBuffer. */
export const sampleBytes = 16;

/** Reads a series' samples, counted against the query's limits. */
export function loadSeries(series: SelectedSeries, into: SampleBuffer, evaluation: Evaluation): void {
  evaluation.control.check();
  const capacityBefore = into.timestampsMs.length;
  series.read(into);
  evaluation.control.addBytes(sampleBytes * (into.timestampsMs.length - capacityBefore));
  evaluation.control.addSamples(into.count);
  evaluation.stats.samplesLoadedCount += into.count;
}

/** Where the steps with a sample stand together. */
function gatherSpan(row: Row, indexes: Int32Array, source: Float64Array, first: number, end: number): void {
  const { values } = row;
  for (let step = first; step < end; step++) values[step] = source[indexes[step] as number] as number;
  row.markSpan(first, end);
}

function gather(row: Row, indexes: Int32Array, source: Float64Array): void {
  const { values, presence, stepsCount } = row;
  let presentCount = 0;
  for (let step = 0; step < stepsCount; step++) {
    const index = indexes[step] as number;
    if (index < 0) {
      presence[step] = 0;
      continue;
    }
    values[step] = source[index] as number;
    presence[step] = 1;
    presentCount++;
  }
  row.presentCount = presentCount;
}

function gatherLive(row: Row, indexes: Int32Array, samples: SampleBuffer): void {
  const { values, presence, stepsCount } = row;
  let presentCount = 0;
  for (let step = 0; step < stepsCount; step++) {
    const index = indexes[step] as number;
    if (index < 0 || samples.isStale(index)) {
      presence[step] = 0;
      continue;
    }
    values[step] = samples.values[index] as number;
    presence[step] = 1;
    presentCount++;
  }
  row.presentCount = presentCount;
}

function gatherTimestamps(row: Row, indexes: Int32Array, timestampsMs: Float64Array): void {
  for (let step = 0; step < row.stepsCount; step++) {
    if (row.presence[step] === 1) row.values[step] = (timestampsMs[indexes[step] as number] as number) / 1000;
  }
}
