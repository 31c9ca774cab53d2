// `max_over_time` and `min_over_time` over all windows of a series: as long as the extreme of the last window is still inside,
// only the samples that came in are looked at. The first of equal values counts, and NaN gives way to any number.
import type { SampleBuffer } from '../../model/index.ts';
import type { QueryControl } from '../queryable.ts';
import type { Row } from './operator.ts';
import type { RowFunction, Windows } from './row-function.ts';
import { WorkMeter } from './work-meter.ts';

export function extremeRows(isMax: boolean, control: QueryControl): RowFunction {
  const work = new WorkMeter(control);
  const find = isMax ? indexOfMax : indexOfMin;
  return (row, samples, windows) => {
    fillRow(row, samples, windows, find, work);
    return true;
  };
}

/** The index of the extreme of values[from … end − 1] and, before it, values[held]. */
type Find = (values: Float64Array, held: number, from: number, end: number) => number;

const indexOfMax: Find = (values, held, from, end) => {
  let index = held;
  let max = values[held] as number;
  for (let i = from; i < end; i++) {
    const value = values[i] as number;
    if (value > max || Number.isNaN(max)) {
      max = value;
      index = i;
    }
  }
  return index;
};

const indexOfMin: Find = (values, held, from, end) => {
  let index = held;
  let min = values[held] as number;
  for (let i = from; i < end; i++) {
    const value = values[i] as number;
    if (value < min || Number.isNaN(min)) {
      min = value;
      index = i;
    }
  }
  return index;
};

function fillRow(row: Row, { values }: SampleBuffer, { bounds }: Windows, find: Find, work: WorkMeter): void {
  let presentCount = 0;
  let held = -1;
  let heldEnd = 0;
  for (let step = 0; step < row.stepsCount; step++) {
    const first = bounds[2 * step] as number;
    const end = bounds[2 * step + 1] as number;
    if (first === end) {
      row.presence[step] = 0;
      continue;
    }
    work.add(held >= first ? end - heldEnd : end - first);
    held = held >= first ? find(values, held, heldEnd, end) : find(values, first, first, end);
    heldEnd = end;
    row.values[step] = values[held] as number;
    row.presence[step] = 1;
    presentCount++;
  }
  row.presentCount = presentCount;
}
