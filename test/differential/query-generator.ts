// Random PromQL over the series of data.ts: typed, so that most queries are accepted; some are refused at run time (matching
// that is not one-to-one, duplicate label sets), and refusals are compared too. Deterministic from a seed. Only what both
// sides claim to support: no native histograms, no duration expressions.
import type { SeededRandom } from '../../src/base/index.ts';

interface Metric {
  readonly selector: string;
  readonly labels: Readonly<Record<string, readonly string[]>>;
}

const instances = ['a:80', 'b:80', 'c:80'];
const metrics: readonly Metric[] = [
  { selector: 'requests_total', labels: { instance: instances, handler: ['/', '/api'], code: ['200', '500'] } },
  { selector: 'request_bytes_total', labels: { instance: instances, handler: ['/', '/api', '/login'] } },
  { selector: 'memory_bytes', labels: { instance: instances } },
  { selector: 'memory_limit_bytes', labels: { instance: instances, owner: ['team-a'] } },
  { selector: 'temperature_celsius', labels: { instance: instances, sensor: ['cpu'] } },
  { selector: 'load', labels: { instance: instances, job: ['node'] } },
  { selector: 'up', labels: { instance: instances } },
  { selector: 'latency_seconds_bucket', labels: { instance: instances, le: ['0.5', '+Inf'] } },
  { selector: 'latency_seconds_count', labels: { instance: instances } },
  { selector: 'latency_seconds_sum', labels: { instance: instances } },
  { selector: 'odd_values', labels: { zone: ['x', 'y'] } },
  { selector: 'pod_cpu_seconds_total', labels: { pod: ['p1', 'p3'], namespace: ['red', 'blue'] } },
  { selector: 'pod_memory', labels: { pod: ['p2', 'p4'], namespace: ['red'] } },
  { selector: 'sparse', labels: { kind: ['few'] } },
  { selector: 'build_info', labels: { version: ['1.2'] } },
];

const words = (...lines: readonly string[]): string[] => lines.flatMap((line) => line.split(' '));

const rangeFunctions = words(
  'rate increase delta irate idelta changes resets deriv',
  'avg_over_time min_over_time max_over_time sum_over_time count_over_time last_over_time',
  'present_over_time stddev_over_time stdvar_over_time absent_over_time',
  // Behind a feature flag in Prometheus.
  'mad_over_time first_over_time ts_of_min_over_time ts_of_max_over_time ts_of_first_over_time ts_of_last_over_time',
);
const instantFunctions = words(
  'abs ceil floor sqrt sgn exp ln log2 log10 deg rad round',
  'sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh',
  'timestamp minute hour day_of_week day_of_month day_of_year days_in_month month year',
  'absent sort sort_desc',
);
const aggregations = ['sum', 'avg', 'min', 'max', 'count', 'stddev', 'stdvar', 'group'];
const arithmetic = ['+', '-', '*', '/', '%', '^', 'atan2'];
const comparisons = ['==', '!=', '>', '<', '>=', '<='];
const setOperators = ['and', 'or', 'unless'];
const labelNames = ['instance', 'handler', 'code', 'job', 'le', 'namespace', 'pod', 'zone', 'missing'];
const ranges = ['30s', '1m', '90s', '5m', '7m30s', '20m', '1h'];
const numbers = ['0', '1', '2', '-1', '0.5', '3.25', '100', '1e6', 'Inf', 'NaN', '-0', '0x10', '5m'];

const tokenPattern = /"[^"]*"|[\w:]+|\s+|[=!~<>]+|./gu;
const strayTokens = words(
  '( ) { } [ ] , : == =~ != + - * / % ^ @ by without on ignoring group_left bool offset and or unless atan2',
  'sum rate abs topk time up 5m 1h30m 0x1F 1e3 1.5.2 Inf "text" \'text\' `text` "unclosed $ # ! ~ \\ __name__ start() end()',
  '{__name__="up"} [5m] [5m:1m] {} "\\q" ünï',
);

export class QueryGenerator {
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** One expression. `depth` bounds the nesting. */
  next(depth = 3): string {
    if (this.#one(12)) return this.#scalar(depth);
    return this.#one(20) ? this.#matrix(depth) : this.#vector(depth);
  }

  /** The query with one or two tokens dropped, doubled, swapped or replaced: most are refused, and how is compared too. */
  malform(query: string): string {
    const tokens = query.match(tokenPattern) ?? [];
    for (let changes = 1 + this.#random.below(2); changes > 0 && tokens.length > 0; changes--) {
      const at = this.#random.below(tokens.length);
      const token = tokens[at] ?? '';
      switch (this.#random.below(5)) {
        case 0:
          tokens.splice(at, 1);
          break;
        case 1:
          tokens.splice(at, 0, token);
          break;
        case 2:
          tokens.splice(at, 1, this.#pick(strayTokens));
          break;
        case 3:
          tokens.splice(at, 0, this.#pick(strayTokens));
          break;
        default:
          tokens.splice(at, 1, token.slice(0, Math.floor(token.length / 2)));
      }
    }
    return tokens.join('');
  }

  #one(of: number): boolean {
    return this.#random.below(of) === 0;
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[this.#random.below(choices.length)] as T;
  }

  #some<T>(choices: readonly T[], countMax: number): T[] {
    const count = this.#random.below(countMax + 1);
    return [...new Set(Array.from({ length: count }, () => this.#pick(choices)))];
  }

  #matchers(metric: Metric): string {
    const parts: string[] = [];
    for (const [name, values] of Object.entries(metric.labels)) {
      if (!this.#one(4)) continue;
      const value = this.#pick(values);
      parts.push(
        this.#pick([
          `${name}="${value}"`,
          `${name}!="${value}"`,
          `${name}=~"${values.map((one) => one.replaceAll(/[.+]/g, '[$&]')).join('|')}"`,
          `${name}!~"${value[0] === '+' ? '[+]' : value[0]}.*"`,
          `${name}=~".+"`,
        ]),
      );
    }
    if (this.#one(15)) parts.push('missing=""');
    return parts.length > 0 ? `{${parts.join(',')}}` : '';
  }

  #modifiers(): string {
    let text = '';
    if (this.#one(8)) text += ` offset ${this.#pick(['1m', '10m', '-5m', '37s'])}`;
    if (this.#one(12)) text += ` @ ${this.#pick(['start()', 'end()', '1760003600', '1760001234.567'])}`;
    return text;
  }

  #selector(range = ''): string {
    if (this.#one(25)) return `{"grüße.von"}${range}${this.#modifiers()}`;
    if (this.#one(25)) return `{__name__=~"memory_.*"}${range}${this.#modifiers()}`;
    const metric = this.#pick(metrics);
    return metric.selector + this.#matchers(metric) + range + this.#modifiers();
  }

  #matrix(depth: number): string {
    const range = this.#pick(ranges);
    if (depth <= 1 || !this.#one(5)) return this.#selector(`[${range}]`);
    const step = this.#pick(['', '15s', '1m', '47s']);
    return `(${this.#vector(depth - 1)})[${range}:${step}]${this.#modifiers()}`;
  }

  #scalar(depth: number): string {
    if (depth <= 1 || this.#one(2)) return this.#pick(numbers);
    switch (this.#random.below(5)) {
      case 0:
        return 'time()';
      case 1:
        return `scalar(${this.#vector(depth - 1)})`;
      case 2:
        return 'pi()';
      case 3:
        return `-(${this.#scalar(depth - 1)})`;
      default:
        return `(${this.#scalar(depth - 1)} ${this.#pick(arithmetic)} ${this.#scalar(depth - 1)})`;
    }
  }

  #grouping(): string {
    if (this.#one(4)) return '';
    return ` ${this.#pick(['by', 'without'])} (${this.#some(labelNames, 3).join(', ')}) `;
  }

  #aggregation(depth: number): string {
    const grouping = this.#grouping();
    const inner = this.#vector(depth - 1);
    switch (this.#random.below(6)) {
      case 0:
        return `${this.#pick(['topk', 'bottomk', 'limitk'])}${grouping}(${this.#pick(['1', '2', '5'])}, ${inner})`;
      case 1:
        return `quantile${grouping}(${this.#pick(['0', '0.5', '0.9', '1', '-1', '2', 'NaN'])}, ${inner})`;
      case 2:
        return this.#one(2) ? `count_values${grouping}("val", ${inner})` : `sum${grouping}(${inner})`;
      default:
        return `${this.#pick(aggregations)}${grouping}(${inner})`;
    }
  }

  #matching(): string {
    if (this.#one(3)) return '';
    const kind = this.#one(3) ? 'ignoring' : 'on';
    const labels = this.#some(['instance', 'handler', 'code', 'job', 'owner', 'le', 'namespace'], 3).join(', ');
    const group = this.#one(2) ? '' : ` ${this.#pick(['group_left', 'group_right'])}(${this.#one(3) ? 'owner' : ''})`;
    return ` ${kind} (${labels})${group}`;
  }

  #binary(depth: number): string {
    const left = this.#vector(depth - 1);
    switch (this.#random.below(6)) {
      case 0:
        return `${left} ${this.#pick(setOperators)}${this.#setMatching()} ${this.#vector(depth - 1)}`;
      case 1: {
        const bool = this.#one(2) ? ' bool' : '';
        return `${left} ${this.#pick(comparisons)}${bool} ${this.#scalar(depth - 1)}`;
      }
      case 2: {
        const bool = this.#one(2) ? ' bool' : '';
        return `${left} ${this.#pick(comparisons)}${bool}${this.#matching()} ${this.#vector(depth - 1)}`;
      }
      case 3:
        return `${this.#scalar(depth - 1)} ${this.#pick(arithmetic)} ${left}`;
      case 4:
        return `${left} ${this.#pick(arithmetic)} ${this.#scalar(depth - 1)}`;
      default:
        return `${left} ${this.#pick(arithmetic)}${this.#matching()} ${this.#vector(depth - 1)}`;
    }
  }

  #setMatching(): string {
    if (this.#one(2)) return '';
    return ` ${this.#pick(['on', 'ignoring'])} (${this.#some(labelNames, 2).join(', ')})`;
  }

  #rangeCall(depth: number): string {
    switch (this.#random.below(12)) {
      case 2:
        return `double_exponential_smoothing(${this.#matrix(depth)}, ${this.#pick(['0.3', '0.9'])}, 0.5)`;
      case 0:
        return `quantile_over_time(${this.#pick(['0.5', '0.95', '0', '1', '-0.1'])}, ${this.#matrix(depth)})`;
      case 1:
        return `predict_linear(${this.#matrix(depth)}, ${this.#pick(['60', '3600', '-30'])})`;
      default:
        return `${this.#pick(rangeFunctions)}(${this.#matrix(depth)})`;
    }
  }

  #instantCall(depth: number): string {
    const inner = this.#vector(depth - 1);
    switch (this.#random.below(12)) {
      case 0:
        return `clamp(${inner}, ${this.#scalar(1)}, ${this.#scalar(1)})`;
      case 1:
        return `${this.#pick(['clamp_min', 'clamp_max'])}(${inner}, ${this.#scalar(1)})`;
      case 2:
        return `round(${inner}, ${this.#pick(['0.1', '5', '1', '0.25', '100'])})`;
      case 3:
        return `label_replace(${inner}, "${this.#pick(['new', 'job', '__name__'])}", "${this.#pick(['$1', 'x-$1', ''])}", "${this.#pick(
          labelNames,
        )}", "${this.#pick(['(.*)', '(.).*', '/(.*)', ''])}")`;
      case 4:
        return `label_join(${inner}, "joined", "-", "instance", "handler")`;
      case 5:
        return `histogram_quantile(${this.#pick(['0.5', '0.9', '0', '1', '2'])}, ${this.#histogram()})`;
      case 6:
        return `vector(${this.#scalar(depth - 1)})`;
      case 7:
        return `histogram_fraction(${this.#pick(['0', '0.3', '-Inf'])}, ${this.#pick(['0.5', '2', '+Inf'])}, ${this.#histogram()})`;
      case 8:
        return `${this.#pick(['sort_by_label', 'sort_by_label_desc'])}(${inner}, "instance", "handler")`;
      default:
        return `${this.#pick(instantFunctions)}(${inner})`;
    }
  }

  #histogram(): string {
    const range = this.#pick(ranges);
    return this.#pick([
      `rate(latency_seconds_bucket[${range}])`,
      `sum by (le) (rate(latency_seconds_bucket[${range}]))`,
      'latency_seconds_bucket',
      `sum by (le, instance) (increase(latency_seconds_bucket[${range}]))`,
    ]);
  }

  #vector(depth: number): string {
    if (depth <= 0) return this.#selector();
    switch (this.#random.below(8)) {
      case 0:
        return this.#selector();
      case 1:
      case 2:
        return this.#rangeCall(depth);
      case 3:
        return this.#instantCall(depth);
      case 4:
      case 5:
        return this.#aggregation(depth);
      case 6:
        return `(${this.#binary(depth)})`;
      default:
        return this.#one(4) ? `-${this.#selector()}` : this.#rangeCall(depth);
    }
  }
}
