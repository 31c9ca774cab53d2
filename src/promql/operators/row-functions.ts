// Range functions that do better than to look at each window on its own: neighbouring windows share most of their samples. Each is
// the same function as in functions/, to the bit, and says no where a series does not let it be.
import type { QueryControl } from '../queryable.ts';
import { extremeRows } from './extreme-rows.ts';
import { quantileRows } from './quantile-rows.ts';
import { counterRows } from './counter-rows.ts';
import type { RowFunction } from './row-function.ts';
import { sumRows } from './sum-rows.ts';

/** `parameters`: the scalar arguments by step. Undefined where there is no such form of the function. */
export function rowFunction(
  name: string,
  parameters: readonly Float64Array[],
  control: QueryControl,
): RowFunction | undefined {
  switch (name) {
    case 'rate':
      return counterRows(true);
    case 'increase':
      return counterRows(false);
    case 'min_over_time':
      return extremeRows(false, control);
    case 'max_over_time':
      return extremeRows(true, control);
    case 'sum_over_time':
      return sumRows(false);
    case 'avg_over_time':
      return sumRows(true);
    case 'quantile_over_time':
      return parameters[0] && quantileRows(parameters[0], control);
    default:
      return undefined;
  }
}
