// Metric families as Prometheus's text format 0.0.4, for /metrics, and as series, for the node's write to itself.
import { Labels, metricNameLabel } from '../../model/index.ts';
import { formatSampleValue } from '../../promql/numbers/index.ts';
import type { MetricFamily } from './registry.ts';

export const expositionContentType = 'text/plain; version=0.0.4; charset=utf-8';

/** Families sorted by name; those without a series are left out. */
export function expositionText(families: readonly MetricFamily[]): string {
  let text = '';
  for (const { name, type, help, samples } of [...families].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (samples.length === 0) continue;
    text += `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
    for (const { suffix, labels, value } of samples) {
      text += `${name}${suffix}${labelText(labels)} ${formatSampleValue(value)}\n`;
    }
  }
  return text;
}

function labelText(labels: readonly string[]): string {
  if (labels.length === 0) return '';
  const pairs: string[] = [];
  for (let i = 0; i < labels.length; i += 2) pairs.push(`${labels[i]}="${escapeValue(labels[i + 1] ?? '')}"`);
  return `{${pairs.join(',')}}`;
}

const escapeHelp = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
const escapeValue = (text: string): string => escapeHelp(text).replaceAll('"', '\\"');

export interface SeriesValue {
  readonly labels: Labels;
  readonly value: number;
}

/** What a scrape of the families would store: each series with `target` labels (job, instance) added. */
export function familySeries(
  families: readonly MetricFamily[],
  target: Readonly<Record<string, string>>,
): SeriesValue[] {
  return families.flatMap(({ name, samples }) =>
    samples.map(({ suffix, labels, value }) => {
      const entries: [string, string][] = [[metricNameLabel, name + suffix], ...Object.entries(target)];
      for (let i = 0; i < labels.length; i += 2) entries.push([labels[i] ?? '', labels[i + 1] ?? '']);
      return { labels: Labels.of(entries), value };
    }),
  );
}
