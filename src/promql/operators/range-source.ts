// Where range functions get a series' samples from: a range selector (samples of the storage, stale markers taken out) or a
// subquery (the steps of an inner expression, as if they were samples). One at a time, into a buffer of the consumer.
import type { SampleBuffer } from '../../model/index.ts';
import type { Grid } from '../plan/grid.ts';
import type { SelectedSeries, Selection } from '../queryable.ts';
import { loadSeries, sampleBytes } from './instant-selector.ts';
import { type Evaluation, type OutputSeries, Row, type VectorOperator } from './operator.ts';

export interface RangeSource {
  readonly series: readonly OutputSeries[];
  /** As in VectorOperator. */
  readonly hasEffects: boolean;
  /** Replaces what `samples` holds by all samples of series `index` that any window may want. No stale markers. */
  read(index: number, samples: SampleBuffer): void;
}

export class SelectorSource implements RangeSource {
  readonly series: readonly OutputSeries[];
  readonly hasEffects = false;
  readonly #selection: Selection;
  readonly #evaluation: Evaluation;

  constructor(selection: Selection, evaluation: Evaluation) {
    this.series = selection.series.map(({ labels }) => ({ labels, dropsName: false }));
    this.#selection = selection;
    this.#evaluation = evaluation;
  }

  read(index: number, samples: SampleBuffer): void {
    loadSeries(this.#selection.series[index] as SelectedSeries, samples, this.#evaluation);
    if (samples.mayHoldStale) removeStale(samples);
  }
}

/** Closes the gaps that stale markers leave. The timestamps are then the series' own: the shared key goes, if any went. */
function removeStale(samples: SampleBuffer): void {
  const { timestampsMs, values, count } = samples;
  let kept = 0;
  for (let i = 0; i < count; i++) {
    if (samples.isStale(i)) continue;
    if (kept < i) {
      timestampsMs[kept] = timestampsMs[i] as number;
      values[kept] = values[i] as number;
    }
    kept++;
  }
  if (kept < count) samples.timestampsKey = undefined;
  samples.count = kept;
  samples.mayHoldStale = false;
}

export class SubquerySource implements RangeSource {
  readonly series: readonly OutputSeries[];
  readonly hasEffects: boolean;
  readonly #inner: VectorOperator;
  readonly #grid: Grid;
  readonly #row: Row;
  /** Shared by all series that have a value at every step. */
  readonly #fullRowsKey = {};

  /** `grid`: the subquery's own. */
  constructor(inner: VectorOperator, grid: Grid, evaluation: Evaluation) {
    evaluation.control.addBytes(Row.bytes(grid.stepsCount) + sampleBytes * grid.stepsCount);
    this.series = inner.series;
    this.hasEffects = inner.hasEffects;
    this.#inner = inner;
    this.#grid = grid;
    this.#row = new Row(grid.stepsCount);
  }

  read(index: number, samples: SampleBuffer): void {
    const row = this.#row;
    this.#inner.read(index, row);
    samples.clear();
    samples.reserve(row.presentCount);
    const { timestampsMs, values } = samples;
    let count = 0;
    for (let step = 0; step < row.stepsCount; step++) {
      if (row.presence[step] === 0) continue;
      timestampsMs[count] = this.#grid.timeMs(step);
      values[count] = row.values[step] as number;
      count++;
    }
    samples.count = count;
    if (row.isFull) samples.timestampsKey = this.#fullRowsKey;
  }
}
