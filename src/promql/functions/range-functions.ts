// The functions of range vectors by name. absent_over_time is not among them: it looks at all series at once.
import * as overTime from './over-time.ts';
import type { RangeFunction } from './range-window.ts';
import * as rates from './rate.ts';

/** Every one of them gets windows of at least one sample. Those that need two set `absent`. */
export const rangeFunctions: ReadonlyMap<string, RangeFunction> = new Map([
  ['rate', rates.rate],
  ['increase', rates.increase],
  ['delta', rates.delta],
  ['irate', rates.irate],
  ['idelta', rates.idelta],
  ['changes', rates.changes],
  ['resets', rates.resets],
  ['deriv', rates.deriv],
  ['predict_linear', rates.predictLinear],
  ['double_exponential_smoothing', rates.doubleExponentialSmoothing],
  ['avg_over_time', overTime.avgOverTime],
  ['sum_over_time', overTime.sumOverTime],
  ['count_over_time', overTime.countOverTime],
  ['min_over_time', overTime.minOverTime],
  ['max_over_time', overTime.maxOverTime],
  ['stddev_over_time', overTime.stddevOverTime],
  ['stdvar_over_time', overTime.stdvarOverTime],
  ['quantile_over_time', overTime.quantileOverTime],
  ['mad_over_time', overTime.madOverTime],
  ['integral', overTime.integral],
  ['first_over_time', overTime.firstOverTime],
  ['last_over_time', overTime.lastOverTime],
  ['present_over_time', overTime.presentOverTime],
  ['ts_of_first_over_time', overTime.tsOfFirstOverTime],
  ['ts_of_last_over_time', overTime.tsOfLastOverTime],
  ['ts_of_min_over_time', overTime.tsOfMinOverTime],
  ['ts_of_max_over_time', overTime.tsOfMaxOverTime],
]);
