// A range function over all steps of one series at once (row-functions.ts says which there are).
import type { SampleBuffer } from '../../model/index.ts';
import type { Row } from './operator.ts';

/** The windows of one series' samples at all steps; both of their ends never move back. */
export interface Windows {
  /** By step: the first index at 2 × step, the exclusive end at 2 × step + 1. Equal objects have equal samples' timestamps. */
  readonly bounds: Int32Array;
  /** By step: the end of the window, ms. */
  readonly references: Float64Array;
  readonly rangeMs: number;
}

/** Fills `row`, or returns false and leaves it to the function of single windows. */
export type RowFunction = (row: Row, samples: SampleBuffer, windows: Windows) => boolean;
