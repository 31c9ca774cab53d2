// Which output series of an aggregation each input series belongs to, by `by (…)` or `without (…)`.
import { type Labels } from '../../model/index.ts';
import type { OutputSeries } from './operator.ts';
import { metadataLabels } from './series-naming.ts';

export interface Grouping {
  readonly groups: readonly Labels[];
  /** By input series: an index into `groups`. */
  readonly groupOf: Int32Array;
}

/** Groups in the order in which they first appear. */
export function groupSeries(series: readonly OutputSeries[], names: readonly string[], without: boolean): Grouping {
  const labelsOf = groupLabels(names, without);
  const groups: Labels[] = [];
  const indexByKey = new Map<string, number>();
  const groupOf = new Int32Array(series.length);
  for (const [i, { labels }] of series.entries()) {
    const grouped = labelsOf(labels);
    let index = indexByKey.get(grouped.key());
    if (index === undefined) {
      index = groups.push(grouped) - 1;
      indexByKey.set(grouped.key(), index);
    }
    groupOf[i] = index;
  }
  return { groups, groupOf };
}

/** From the labels of a series to those of its group. */
export function groupLabels(names: readonly string[], without: boolean): (labels: Labels) => Labels {
  const named = new Set(without ? [...names, ...metadataLabels] : names);
  return (labels) => labels.filter((name) => named.has(name) !== without);
}
