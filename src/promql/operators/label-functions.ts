// `label_replace` and `label_join`: new labels on the same rows. Setting the metric name keeps it, even where a function below
// had marked it to be dropped.
import { compileRegex, type Labels, metricNameLabel } from '../../model/index.ts';
import { labelReplace } from '../functions/index.ts';
import { executionError } from './errors.ts';
import type { OutputSeries, VectorOperator } from './operator.ts';
import { isLabelName, mergeDuplicates, renamed } from './series-naming.ts';

export interface LabelReplacement {
  readonly destination: string;
  readonly replacement: string;
  readonly source: string;
  readonly pattern: string;
}

export function replaceLabels(input: VectorOperator, options: LabelReplacement, stepsCount: number): VectorOperator {
  const { destination, replacement, source, pattern } = options;
  const regex = compilePattern(pattern);
  requireLabelName(destination, 'destination', 'label_replace');
  const series = input.series.map((each) =>
    withLabels(each, labelReplace(each.labels, destination, replacement, source, regex), destination),
  );
  return mergeDuplicates(renamed(input, series), stepsCount);
}

function compilePattern(pattern: string): ReturnType<typeof compileRegex> {
  try {
    return compileRegex(`^(?s:${pattern})$`);
  } catch {
    throw executionError(`invalid regular expression in label_replace(): ${pattern}`);
  }
}

export interface LabelJoin {
  readonly destination: string;
  readonly separator: string;
  readonly sources: readonly string[];
}

export function joinLabels(input: VectorOperator, options: LabelJoin, stepsCount: number): VectorOperator {
  const { destination, separator, sources } = options;
  for (const source of sources) requireLabelName(source, 'source', 'label_join');
  requireLabelName(destination, 'destination', 'label_join');
  const series = input.series.map((each) => {
    const joined = sources.map((source) => each.labels.get(source)).join(separator);
    return withLabels(each, each.labels.with(destination, joined), destination);
  });
  return mergeDuplicates(renamed(input, series), stepsCount);
}

function requireLabelName(name: string, role: 'source' | 'destination', caller: string): void {
  if (!isLabelName(name)) throw executionError(`invalid ${role} label name in ${caller}(): ${name}`);
}

function withLabels(series: OutputSeries, labels: Labels, destination: string): OutputSeries {
  // The same object: the pattern did not match.
  if (labels === series.labels) return series;
  return { labels, dropsName: series.dropsName && destination !== metricNameLabel };
}
