// One scrape target of the load: 300 series of ten metrics, shaped like a web service that also exports what a node
// exporter would, and how their values move from scrape to scrape. Everything follows from the seed.
//
// Each metric has thirty series a target (ten targets make the 3,000 series of the query benchmark), each series twelve to
// thirteen labels of about 250 bytes, as Kubernetes service discovery makes them.
import { SeededRandom } from '../../src/base/index.ts';
import { encodeLabelFields } from './write-request.ts';

export const seriesPerMetric = 30;
const bucketBounds = ['0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '+Inf'];
const histogramsCount = seriesPerMetric / bucketBounds.length;
const modes = ['idle', 'iowait', 'irq', 'nice', 'softirq', 'system', 'user', 'steal', 'guest', 'guest_nice'];
const codes = ['200', '204', '404', '500'];
const methods = ['GET', 'POST', 'PUT'];

/** How a series moves. Histograms are three kinds that move together. */
type Kind =
  | 'counter' // grows by about `scale` a scrape, varying
  | 'rareCounter' // stands still for most scrapes
  | 'centiCounter' // CPU seconds: hundredths
  | 'bucket'
  | 'histogramSum'
  | 'histogramCount'
  | 'integerGauge' // bytes in use: pages of 4 KiB, random walk
  | 'smallGauge' // a queue's length
  | 'decimalGauge' // one or two decimals, like a temperature
  | 'doubleGauge' // full mantissa: ratios that were computed
  | 'constant';

interface SeriesShape {
  readonly metric: string;
  readonly kind: Kind;
  readonly labels: readonly (readonly [string, string])[];
}

const handler = (index: number): readonly [string, string] => ['handler', `/api/v1/resource/${index}`];

function shapesOf(metric: string, kind: Kind, more: (i: number) => (readonly [string, string])[]): SeriesShape[] {
  return Array.from({ length: seriesPerMetric }, (_, i) => ({ metric, kind, labels: [handler(i), ...more(i)] }));
}

/** The 300 series of a target; buckets of one histogram stand together, its count and sum come later in the list. */
const shapes: readonly SeriesShape[] = [
  ...shapesOf('http_requests_total', 'counter', (i) => [
    ['code', codes[i % codes.length] as string],
    ['method', methods[i % methods.length] as string],
  ]),
  ...shapesOf('http_request_errors_total', 'rareCounter', (i) => [['method', methods[i % methods.length] as string]]),
  ...shapesOf('http_response_bytes_total', 'counter', (i) => [['method', methods[i % methods.length] as string]]),
  ...Array.from({ length: seriesPerMetric }, (_, i) => ({
    metric: 'http_request_duration_seconds_bucket',
    kind: 'bucket' as const,
    labels: [
      handler(Math.floor(i / bucketBounds.length)),
      ['le', bucketBounds[i % bucketBounds.length] as string],
    ] as const,
  })),
  ...Array.from({ length: seriesPerMetric }, (_, i): SeriesShape => {
    const labels = [handler(i % histogramsCount)];
    if (i < histogramsCount) return { metric: 'http_request_duration_seconds_count', kind: 'histogramCount', labels };
    if (i < 2 * histogramsCount) return { metric: 'http_request_duration_seconds_sum', kind: 'histogramSum', labels };
    return { metric: 'http_requests_in_flight', kind: 'smallGauge', labels: [handler(i)] };
  }),
  ...shapesOf('container_memory_working_set_bytes', 'integerGauge', () => []),
  ...shapesOf('node_cpu_seconds_total', 'centiCounter', (i) => [
    ['cpu', String(Math.floor(i / modes.length))],
    ['mode', modes[i % modes.length] as string],
  ]),
  ...shapesOf('node_hwmon_temp_celsius', 'decimalGauge', () => []),
  ...shapesOf('queue_utilization_ratio', 'doubleGauge', () => []),
  ...shapesOf('build_info', 'constant', () => [['revision', 'a1b2c3d4e5f60718293a4b5c6d7e8f9001122334']]),
];

export const seriesPerTarget = shapes.length;

export interface TargetOptions {
  readonly seed: number;
  readonly index: number;
  /** Counts the target's restarts: each has a new pod name, hence new series, and counters from zero. */
  readonly generation: number;
}

export class Target {
  /** Encoded label fields of all series, one after another; series i is [offsets[i], offsets[i + 1]). */
  readonly labelFields: Uint8Array;
  readonly offsets: Uint32Array;
  /** The current values, moved on by `advance`. */
  readonly values = new Float64Array(seriesPerTarget);
  /** Their bits: low half at 2i, high half at 2i + 1. */
  readonly valueHalves = new Uint32Array(this.values.buffer);
  readonly #random: SeededRandom;
  /** Per series: typical increase of a counter, middle of a gauge. */
  readonly #scales = new Float64Array(seriesPerTarget);

  constructor(options: TargetOptions) {
    this.#random = new SeededRandom(Math.imul(options.seed, 0x9e3779b1) ^ (options.index * 8191 + options.generation));
    const parts = shapes.map((shape) => encodeLabelFields(targetLabels(shape, options)));
    this.offsets = new Uint32Array(seriesPerTarget + 1);
    for (const [i, part] of parts.entries()) this.offsets[i + 1] = (this.offsets[i] as number) + part.length;
    this.labelFields = new Uint8Array(this.offsets[seriesPerTarget] as number);
    for (const [i, part] of parts.entries()) this.labelFields.set(part, this.offsets[i]);
    for (let i = 0; i < seriesPerTarget; i++) this.#scales[i] = Math.exp(this.#random.float() * 7);
    for (const [i, shape] of shapes.entries()) this.values[i] = this.#firstValue(shape, this.#scales[i] as number);
  }

  #firstValue(shape: SeriesShape, scale: number): number {
    if (shape.kind === 'integerGauge') return Math.floor(scale * 1000) * 4096;
    if (shape.kind === 'decimalGauge') return 45;
    if (shape.kind === 'doubleGauge') return this.#random.float();
    return shape.kind === 'constant' ? 1 : 0;
  }

  /** Moves every series on by one scrape. */
  advance(): void {
    const { values } = this;
    for (let i = 0; i < seriesPerTarget; i++) {
      const shape = shapes[i] as SeriesShape;
      const value = values[i] as number;
      const scale = this.#scales[i] as number;
      switch (shape.kind) {
        case 'counter':
          values[i] = value + Math.floor(scale * (0.5 + this.#random.float()));
          break;
        case 'rareCounter':
          if (this.#random.below(20) === 0) values[i] = value + 1;
          break;
        case 'centiCounter':
          values[i] = Math.round(value * 100 + 1500 * this.#random.float()) / 100;
          break;
        case 'integerGauge':
          if (this.#random.below(4) > 0) values[i] = Math.max(0, value + (this.#random.below(201) - 100) * 4096);
          break;
        case 'smallGauge':
          values[i] = Math.max(0, Math.min(50, value + this.#random.below(5) - 2));
          break;
        case 'decimalGauge':
          values[i] = Math.max(0, Math.round(value * 10 + this.#random.below(5) - 2) / 10);
          break;
        case 'doubleGauge':
          values[i] = 0.9 * value + 0.1 * this.#random.float();
          break;
        case 'bucket':
          if (i % bucketBounds.length === 0) this.#advanceHistogram(i, scale);
          break;
        default:
      }
    }
  }

  /** All buckets of the histogram whose first bucket is series `first`, its count and its sum. */
  #advanceHistogram(first: number, scale: number): void {
    const { values } = this;
    let observed = 0;
    let sum = 0;
    for (let bucket = 0; bucket < bucketBounds.length; bucket++) {
      // Most observations fall into the middle buckets.
      const share = scale / (1 + Math.abs(bucket - 4) ** 2);
      const added = Math.floor(share * (0.5 + this.#random.float()));
      observed += added;
      sum += added * 0.004 * 2 ** bucket * (0.5 + this.#random.float());
      values[first + bucket] = (values[first + bucket] as number) + observed;
    }
    // The metric with counts and sums is the next one in the list.
    const histogram = (first % seriesPerMetric) / bucketBounds.length;
    const countIndex = first - (first % seriesPerMetric) + seriesPerMetric + histogram;
    values[countIndex] = (values[countIndex] as number) + observed;
    values[countIndex + histogramsCount] = (values[countIndex + histogramsCount] as number) + sum;
  }
}

function targetLabels(shape: SeriesShape, options: TargetOptions): (readonly [string, string])[] {
  const { index, generation } = options;
  // A pod's name ends in random letters, as Kubernetes makes them.
  const suffix = (Math.imul(index * 131 + generation + 1, 0x9e3779b1) >>> 0).toString(36).padStart(7, '0');
  const labels: (readonly [string, string])[] = [
    ['__name__', shape.metric],
    ['cluster', `production-europe-${index % 2}`],
    ['container', 'web-frontend'],
    ['instance', `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}:9100`],
    ['job', 'node-exporter'],
    ['namespace', `team-${index % 7}-services`],
    ['node', `worker-${Math.floor(index / 8)}.example.internal`],
    ['pod', `web-frontend-7d9c5b8f46-${suffix}`],
    ['region', 'europe-west3'],
    ['zone', `europe-west3-${'abc'[index % 3]}`],
    ...shape.labels,
  ];
  return labels.sort(([a], [b]) => (a < b ? -1 : 1));
}
