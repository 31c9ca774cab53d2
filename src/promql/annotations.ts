// Warnings and infos that a query gathers: Prometheus's texts, deduplicated, with the position of the expression that they are
// about. As in Prometheus's API at most ten of each kind are given out, and the rest counted.
import type { MonotonicityReport } from './functions/index.ts';
import { formatGeneral } from './numbers/index.ts';

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

/** Of equal texts the one of the highest site is kept. */
interface Placed {
  readonly site: number;
  readonly offset: number;
}

/** An annotation on its way from where a part of a query was evaluated. */
export interface PlacedAnnotation extends Placed {
  readonly kind: 'warning' | 'info';
  readonly text: string;
}

export class Annotations {
  readonly #warnings = new Map<string, Placed>();
  readonly #infos = new Map<string, Placed>();
  readonly #mended = new Map<string, MendedBuckets>();
  #sitesCount = 0;

  /**
   * A place in the query that may have something to say. Sites are made in the order in which Prometheus evaluates (operands
   * before their operator, left before right), because of equal texts it keeps the position of the last.
   */
  siteAt(offset: number): AnnotationSite {
    return new AnnotationSite(this, { site: this.#sitesCount++, offset });
  }

  /** Sites so far: where the next one begins. */
  get sitesCount(): number {
    return this.#sitesCount;
  }

  /** All that was said of texts and their places. Mended buckets are not among it. */
  placed(): PlacedAnnotation[] {
    const of = (kind: PlacedAnnotation['kind'], held: ReadonlyMap<string, Placed>): PlacedAnnotation[] =>
      Array.from(held, ([text, place]) => ({ kind, text, ...place }));
    return [...of('warning', this.#warnings), ...of('info', this.#infos)];
  }

  /** Takes over what was said elsewhere, by sites that are counted from `firstSite` on. */
  takeOver(placed: Iterable<PlacedAnnotation>, firstSite: number): void {
    for (const { kind, text, site, offset } of placed) {
      const here = { site: firstSite + site, offset };
      this.#sitesCount = Math.max(this.#sitesCount, here.site + 1);
      if (kind === 'warning') this.warn(text, here);
      else this.inform(text, here);
    }
  }

  warn(text: string, placed: Placed): void {
    keepLast(this.#warnings, text, placed);
  }

  inform(text: string, placed: Placed): void {
    keepLast(this.#infos, text, placed);
  }

  /** Mends of one metric are summed up in one info. */
  mended(metricName: string, report: MonotonicityReport, timeMs: number, offset: number): void {
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
    const texts = Array.from(
      this.#warnings,
      ([text, { offset }]) => `PromQL warning: ${text} (${formatPosition(offset)})`,
    );
    return limited(texts, 'warning');
  }

  infos(formatPosition: (offset: number) => string): string[] {
    const texts = Array.from(this.#infos, ([text, { offset }]) => `PromQL info: ${text} (${formatPosition(offset)})`);
    for (const [metricName, mended] of this.#mended) {
      texts.push(`PromQL info: ${mendedText(metricName, mended)} (${formatPosition(mended.offset)})`);
    }
    return limited(texts, 'info');
  }
}

export class AnnotationSite {
  readonly #annotations: Annotations;
  readonly #placed: Placed;

  /** Made by Annotations.siteAt. */
  constructor(annotations: Annotations, placed: Placed) {
    this.#annotations = annotations;
    this.#placed = placed;
  }

  invalidQuantile(quantile: number): void {
    this.#annotations.warn(`quantile value should be between 0 and 1, got ${formatGeneral(quantile)}`, this.#placed);
  }

  badBucketLabel(metricName: string, value: string): void {
    const text = `bucket label "le" is missing or has a malformed value of ${JSON.stringify(value)}`;
    this.#annotations.warn(text + forMetric(metricName), this.#placed);
  }

  possibleNonCounter(metricName: string): void {
    const text = 'metric might not be a counter, name does not end in _total/_sum/_count/_bucket:';
    this.#annotations.inform(`${text} ${JSON.stringify(metricName)}`, this.#placed);
  }

  sortInRangeQuery(): void {
    const text = 'sort is ineffective for range queries since results are always ordered by labels';
    this.#annotations.warn(text, this.#placed);
  }

  invalidRatio(ratio: number, cappedTo: number): void {
    const text = `ratio value should be between -1 and 1, got ${formatGeneral(ratio)}, capping to ${cappedTo}`;
    this.#annotations.warn(text, this.#placed);
  }

  /** Bucket counts fell where they should have risen. */
  mendedBuckets(metricName: string, report: MonotonicityReport, timeMs: number): void {
    this.#annotations.mended(metricName, report, timeMs, this.#placed.offset);
  }
}

function keepLast(held: Map<string, Placed>, text: string, placed: Placed): void {
  const earlier = held.get(text);
  if (!earlier || earlier.site < placed.site) held.set(text, placed);
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
