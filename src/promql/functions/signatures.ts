// The functions of PromQL: their names, argument types and result types. The type check reads this table; the evaluator looks
// implementations up by the same names. All of Prometheus's functions stand here: those that this version does not evaluate
// are marked, so that a query that uses one is refused by name rather than called unknown.
import type { ValueType } from '../parse/ast.ts';

export interface FunctionSignature {
  readonly name: string;
  /** The last type also holds for the arguments beyond the list, where the function is variadic. */
  readonly argumentTypes: readonly ValueType[];
  /**
   * 0: exactly `argumentTypes.length` arguments. n > 0: that many less one, and up to n more. -1: that many less one, and any
   * number more. (Prometheus's own encoding; parse_query gives it out.)
   */
  readonly variadic: number;
  readonly returnType: ValueType;
  /** Behind a feature flag in Prometheus. Where supported, it is always on here. */
  readonly experimental: boolean;
  /** False: the parser answers PROMQL_NOT_SUPPORTED. */
  readonly supported: boolean;
}

type Types = readonly ValueType[];

const table = new Map<string, FunctionSignature>();

interface Marks {
  readonly variadic?: number;
  readonly returnType?: ValueType;
  readonly experimental?: boolean;
  readonly supported?: boolean;
}

function define(names: string, argumentTypes: Types, marks: Marks = {}): void {
  for (const name of names.split(' ')) {
    table.set(name, {
      name,
      argumentTypes,
      variadic: marks.variadic ?? 0,
      returnType: marks.returnType ?? 'vector',
      experimental: marks.experimental ?? false,
      supported: marks.supported ?? true,
    });
  }
}

define('abs ceil exp floor ln log10 log2 sgn sqrt deg rad', ['vector']);
define('sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh', ['vector']);
define('clamp', ['vector', 'scalar', 'scalar']);
define('clamp_min clamp_max', ['vector', 'scalar']);
define('round', ['vector', 'scalar'], { variadic: 1 });
define('pi time', [], { returnType: 'scalar' });
define('start end step range', [], { returnType: 'scalar', experimental: true });
define('max_of min_of', ['scalar', 'scalar'], { returnType: 'scalar', experimental: true });
define('scalar', ['vector'], { returnType: 'scalar' });
define('vector', ['scalar']);
define('timestamp absent sort sort_desc', ['vector']);
define('start_timestamp', ['vector'], { experimental: true, supported: false });
define('day_of_month day_of_week day_of_year days_in_month hour minute month year', ['vector'], { variadic: 1 });
define('label_replace', ['vector', 'string', 'string', 'string', 'string']);
define('label_join', ['vector', 'string', 'string', 'string'], { variadic: -1 });
define('sort_by_label sort_by_label_desc', ['vector', 'string'], { variadic: -1, experimental: true });
define('info', ['vector', 'vector'], { variadic: 1, experimental: true, supported: false });

define('rate increase delta irate idelta changes resets deriv', ['matrix']);
define('predict_linear', ['matrix', 'scalar']);
define('double_exponential_smoothing', ['matrix', 'scalar', 'scalar'], { experimental: true });
define('integral', ['matrix', 'scalar'], { variadic: 1, experimental: true });
define('avg_over_time sum_over_time min_over_time max_over_time count_over_time', ['matrix']);
define('stddev_over_time stdvar_over_time last_over_time first_over_time', ['matrix']);
define('present_over_time absent_over_time', ['matrix']);
define('quantile_over_time', ['scalar', 'matrix']);
define('mad_over_time', ['matrix'], { experimental: true });
define('ts_of_first_over_time ts_of_last_over_time', ['matrix'], { experimental: true });
define('ts_of_max_over_time ts_of_min_over_time', ['matrix'], { experimental: true });

define('histogram_quantile', ['scalar', 'vector']);
define('histogram_fraction', ['scalar', 'scalar', 'vector']);
define('histogram_quantiles', ['vector', 'string', 'scalar', 'scalar'], {
  variadic: 9,
  experimental: true,
  supported: false,
});
define('histogram_avg histogram_count histogram_sum histogram_stddev histogram_stdvar', ['vector'], {
  supported: false,
});

/** The functions by name. */
export const functionSignatures: ReadonlyMap<string, FunctionSignature> = table;
