// Warnings and infos that a query gathers: Prometheus's texts, deduplicated, with the position of the expression that they are
// about. As in Prometheus's API at most ten of each kind are given out, and the rest counted.
import type { MonotonicityReport } from './functions/index.ts';
import { formatGeneral } from './operators/general-format.ts';

const shownMax = 10;

/** What one `histogram_quantile` call had to mend over all its series and steps. */
interface MendedBuckets {
  offset: number;
  startMs: number;
  endMs: number;
  bucketMin: number;
  bucketMax: number;
  differenceMax: number;
  count: number;
}

export class Annotations {
  readonly #warnings = new Map<string, number>();
  readonly #infos = new Map<string, number>();
  readonly #mended = new Map<string, MendedBuckets>();

  /** Of equal texts the first position counts. */
  warn(text: string, offset: number): void {
    if (!this.#warnings.has(text)) this.#warnings.set(text, offset);
  }

  inform(text: string, offset: number): void {
    if (!this.#infos.has(text)) this.#infos.set(text, offset);
  }

  invalidQuantile(quantile: number, offset: number): void {
    this.warn(`quantile value should be between 0 and 1, got ${formatGeneral(quantile)}`, offset);
  }

  badBucketLabel(metricName: string, value: string, offset: number): void {
    const text = `bucket label "le" is missing or has a malformed value of ${JSON.stringify(value)}`;
    this.warn(text + forMetric(metricName), offset);
  }

  possibleNonCounter(metricName: string, offset: number): void {
    const text = 'metric might not be a counter, name does not end in _total/_sum/_count/_bucket:';
    this.inform(`${text} ${JSON.stringify(metricName)}`, offset);
  }

  sortInRangeQuery(offset: number): void {
    this.warn('sort is ineffective for range queries since results are always ordered by labels', offset);
  }

  invalidRatio(ratio: number, cappedTo: number, offset: number): void {
    const text = `ratio value should be between -1 and 1, got ${formatGeneral(ratio)}, capping to ${cappedTo}`;
    this.warn(text, offset);
  }

  /** Bucket counts that fell where they should have risen; mends of one metric are summed up in one info. */
  mendedBuckets(metricName: string, report: MonotonicityReport, timeMs: number, offset: number): void {
    const { bucketMin, bucketMax, differenceMax } = report;
    const earlier = this.#mended.get(metricName);
    if (!earlier) {
      const span = { offset, startMs: timeMs, endMs: timeMs };
      this.#mended.set(metricName, { ...span, bucketMin, bucketMax, differenceMax, count: 1 });
      return;
    }
    earlier.startMs = Math.min(earlier.startMs, timeMs);
    earlier.endMs = Math.max(earlier.endMs, timeMs);
    earlier.bucketMin = Math.min(earlier.bucketMin, bucketMin);
    earlier.bucketMax = Math.max(earlier.bucketMax, bucketMax);
    earlier.differenceMax = Math.max(earlier.differenceMax, differenceMax);
    earlier.count++;
  }

  /** `formatPosition` turns a UTF-16 offset into Prometheus's `line:column`. */
  warnings(formatPosition: (offset: number) => string): string[] {
    const texts = Array.from(this.#warnings, ([text, offset]) => `PromQL warning: ${text} (${formatPosition(offset)})`);
    return limited(texts, 'warning');
  }

  infos(formatPosition: (offset: number) => string): string[] {
    const texts = Array.from(this.#infos, ([text, offset]) => `PromQL info: ${text} (${formatPosition(offset)})`);
    for (const [metricName, mended] of this.#mended) {
      texts.push(`PromQL info: ${mendedText(metricName, mended)} (${formatPosition(mended.offset)})`);
    }
    return limited(texts, 'info');
  }
}

function forMetric(metricName: string): string {
  return metricName === '' ? '' : ` for metric name ${JSON.stringify(metricName)}`;
}

function mendedText(metricName: string, mended: MendedBuckets): string {
  const help = 'https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile';
  const what = `input to histogram_quantile needed to be fixed for monotonicity (see ${help})${forMetric(metricName)}`;
  const buckets = `from buckets ${formatGeneral(mended.bucketMin)} to ${formatGeneral(mended.bucketMax)}`;
  const difference = `with a max diff of ${formatGeneral(mended.differenceMax, 2)}`;
  const samples = `over ${mended.count} samples from ${formatSeconds(mended.startMs)} to ${formatSeconds(mended.endMs)}`;
  return `${what}, ${buckets}, ${difference}, ${samples}`;
}

/** RFC 3339 in UTC, whole seconds (cut towards zero, as integer division has it). */
function formatSeconds(timeMs: number): string {
  return new Date(Math.trunc(timeMs / 1000) * 1000).toISOString().replace('.000Z', 'Z');
}

function limited(texts: string[], kind: 'warning' | 'info'): string[] {
  if (texts.length <= shownMax) return texts;
  return [...texts.slice(0, shownMax), `${texts.length - shownMax} more ${kind} annotations omitted`];
}
