// `histogram_quantile` and `histogram_fraction` over classic histograms: series that differ in `le` alone are the buckets of one
// histogram. Histograms are made and read one at a time.
import { parseGoFloat } from '../numbers/index.ts';
import type { AnnotationSite } from '../annotations.ts';
import { type Evaluation, type OutputSeries, Row, type VectorOperator } from './operator.ts';
import { dropNames } from './series-naming.ts';

const bucketLabel = 'le';

/** The buckets of one histogram at one step, ascending by bound; the arrays are reused and may be changed. */
export interface StepBuckets {
  readonly upperBounds: Float64Array;
  readonly counts: Float64Array;
  count: number;
  step: number;
  /** The histogram's metric name, as far as annotations may name it. */
  metricName: string;
}

interface Bucket {
  readonly index: number;
  readonly upperBound: number;
}

export class ClassicHistogramOperator implements VectorOperator {
  readonly series: readonly OutputSeries[];
  readonly hasEffects = true;
  readonly #input: VectorOperator;
  readonly #histograms: readonly { series: OutputSeries; buckets: readonly Bucket[] }[];
  readonly #compute: (buckets: StepBuckets) => number;
  readonly #evaluation: Evaluation;
  readonly #rows: Row[] = [];

  /** `site`: of the vector argument. */
  constructor(
    input: VectorOperator,
    compute: (buckets: StepBuckets) => number,
    context: { stepsCount: number; site: AnnotationSite },
    evaluation: Evaluation,
  ) {
    this.#input = input;
    this.#compute = compute;
    this.#evaluation = evaluation;
    const buckets = new Map<string, { series: OutputSeries; buckets: Bucket[] }>();
    for (const [index, { labels, dropsName }] of input.series.entries()) {
      const upperBound = parseBound(labels.get(bucketLabel));
      if (Number.isNaN(upperBound)) {
        warnIfPresent(input, index, context, evaluation);
        continue;
      }
      const histogramLabels = labels.without(bucketLabel);
      const key = histogramLabels.key();
      let histogram = buckets.get(key);
      if (!histogram) {
        histogram = { series: { labels: histogramLabels, dropsName }, buckets: [] };
        buckets.set(key, histogram);
      }
      histogram.buckets.push({ index, upperBound });
    }
    for (const histogram of buckets.values())
      histogram.buckets.sort((a, b) => compareBounds(a.upperBound, b.upperBound));
    this.#histograms = [...buckets.values()];
    this.series = dropNames(
      this.#histograms.map(({ series }) => series),
      evaluation,
    );
    const bucketsMax = this.#histograms.reduce((max, histogram) => Math.max(max, histogram.buckets.length), 0);
    evaluation.control.addBytes(bucketsMax * Row.bytes(context.stepsCount));
    while (this.#rows.length < bucketsMax) this.#rows.push(new Row(context.stepsCount));
  }

  read(index: number, row: Row): void {
    const { series, buckets } = this.#histograms[index] as { series: OutputSeries; buckets: readonly Bucket[] };
    for (const [position, bucket] of buckets.entries()) this.#input.read(bucket.index, this.#rows[position] as Row);
    const at: StepBuckets = {
      upperBounds: new Float64Array(buckets.length),
      counts: new Float64Array(buckets.length),
      count: 0,
      step: 0,
      metricName: this.#evaluation.delayedNameRemoval ? series.labels.metricName : '',
    };
    row.clear();
    for (let step = 0; step < row.stepsCount; step++) {
      at.count = 0;
      for (const [position, bucket] of buckets.entries()) {
        const bucketRow = this.#rows[position] as Row;
        if (bucketRow.presence[step] === 0) continue;
        at.upperBounds[at.count] = bucket.upperBound;
        at.counts[at.count] = bucketRow.values[step] as number;
        at.count++;
      }
      if (at.count === 0) continue;
      at.step = step;
      row.values[step] = this.#compute(at);
      row.presence[step] = 1;
      row.presentCount++;
    }
  }
}

/** Two infinities of one sign are equal, which their difference would not say. */
function compareBounds(a: number, b: number): number {
  return a === b ? 0 : a - b;
}

/** NaN where the label is missing or no number. */
function parseBound(text: string): number {
  try {
    return parseGoFloat(text);
  } catch {
    return NaN;
  }
}

function warnIfPresent(
  input: VectorOperator,
  index: number,
  { stepsCount, site }: { stepsCount: number; site: AnnotationSite },
  evaluation: Evaluation,
): void {
  const row = new Row(stepsCount);
  input.read(index, row);
  if (row.presentCount === 0) return;
  const { labels } = input.series[index] as OutputSeries;
  const metricName = evaluation.delayedNameRemoval ? labels.metricName : '';
  site.badBucketLabel(metricName, labels.get(bucketLabel));
}
