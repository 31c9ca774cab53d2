// Functions over range vectors (rate, max_over_time, …): each series' samples are read once, and the function is called with
// the window of every step.
import { SampleBuffer } from '../../model/index.ts';
import type { RangeFunction, RangeWindow } from '../functions/index.ts';
import type { Grid, Reference } from '../plan/grid.ts';
import type { QueryControl } from '../queryable.ts';
import type { OutputSeries, Row, VectorOperator } from './operator.ts';
import type { RowFunction } from './row-function.ts';
import type { RangeSource } from './range-source.ts';
import { WindowLookup } from './sample-lookup.ts';
import { WorkMeter } from './work-meter.ts';

export interface RangeFunctionOptions {
  readonly source: RangeSource;
  /** The series as they leave: in the order of the source, with names dropped or not. */
  readonly series: readonly OutputSeries[];
  readonly reference: Reference;
  readonly rangeMs: number;
  readonly grid: Grid;
  readonly control: QueryControl;
  readonly compute: RangeFunction;
  /** A faster form of `compute`, which may say no. */
  readonly computeRow?: RowFunction | undefined;
  /** The scalar arguments: one array per argument, one value per step. */
  readonly parameters: readonly Float64Array[];
  /** Called for each series that has a result, for annotations. */
  readonly onResult?: (index: number, row: Row) => void;
}

export class RangeFunctionOperator implements VectorOperator {
  readonly series: readonly OutputSeries[];
  readonly hasEffects: boolean;
  readonly #options: RangeFunctionOptions;
  readonly #lookup: WindowLookup;
  readonly #samples = new SampleBuffer();
  readonly #window: RangeWindow;
  readonly #work: WorkMeter;

  constructor(options: RangeFunctionOptions) {
    this.series = options.series;
    this.hasEffects = options.onResult !== undefined || options.source.hasEffects;
    this.#options = options;
    this.#work = new WorkMeter(options.control);
    this.#lookup = new WindowLookup(options.reference, options.grid, options.rangeMs);
    this.#window = {
      timestampsMs: this.#samples.timestampsMs,
      values: this.#samples.values,
      first: 0,
      end: 0,
      rangeStartMs: 0,
      rangeEndMs: 0,
      stepMs: 0,
      absent: false,
    };
  }

  read(index: number, row: Row): void {
    const { source, onResult } = this.#options;
    const samples = this.#samples;
    source.read(index, samples);
    this.#window.timestampsMs = samples.timestampsMs;
    this.#window.values = samples.values;
    const bounds = this.#lookup.bounds(samples);
    const windows = { bounds, references: this.#lookup.references, rangeMs: this.#options.rangeMs };
    if (!this.#options.computeRow?.(row, samples, windows)) this.#fill(row, bounds);
    if (onResult && row.presentCount > 0) onResult(index, row);
  }

  #fill(row: Row, bounds: Int32Array): void {
    const { compute, parameters, rangeMs, grid } = this.#options;
    const window = this.#window;
    const { references } = this.#lookup;
    const parametersAtStep = new Float64Array(parameters.length);
    let presentCount = 0;
    for (let step = 0; step < row.stepsCount; step++) {
      window.first = bounds[2 * step] as number;
      window.end = bounds[2 * step + 1] as number;
      row.presence[step] = 0;
      if (window.first === window.end) continue;
      this.#work.add(window.end - window.first);
      window.rangeEndMs = references[step] as number;
      window.rangeStartMs = window.rangeEndMs - rangeMs;
      window.stepMs = grid.timeMs(step);
      window.absent = false;
      for (let i = 0; i < parameters.length; i++) parametersAtStep[i] = parameters[i]?.[step] as number;
      const value = compute(window, parametersAtStep);
      if (window.absent) continue;
      row.values[step] = value;
      row.presence[step] = 1;
      presentCount++;
    }
    row.presentCount = presentCount;
  }
}
