// Which output series of an aggregation each input series belongs to, by `by (…)` or `without (…)`.
import { type Labels } from '../../model/index.ts';
import { LabelSubset } from './label-subset.ts';
import type { OutputSeries } from './operator.ts';
import { metadataLabels } from './series-naming.ts';

export interface Grouping {
  readonly groups: readonly Labels[];
  /** By input series: an index into `groups`. */
  readonly groupOf: Int32Array;
}

/** Groups in the order in which they first appear. */
export function groupSeries(series: readonly OutputSeries[], names: readonly string[], without: boolean): Grouping {
  const subset = groupLabels(names, without);
  const groups: Labels[] = [];
  const indexByKey = new Map<string, number>();
  const groupOf = new Int32Array(series.length);
  for (const [i, { labels }] of series.entries()) {
    const key = subset.keyOf(labels);
    let index = indexByKey.get(key);
    if (index === undefined) {
      index = groups.push(subset.of(labels)) - 1;
      indexByKey.set(key, index);
    }
    groupOf[i] = index;
  }
  return { groups, groupOf };
}

/** The labels of a series that its group has too. */
export function groupLabels(names: readonly string[], without: boolean): LabelSubset {
  return new LabelSubset(without ? [...names, ...metadataLabels] : names, without);
}
