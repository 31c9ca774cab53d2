// Which series of two vectors belong together: those that agree in the labels of `on (…)`, or in all labels but those of
// `ignoring (…)` and the metric name.
import type { Labels } from '../../model/index.ts';
import type { VectorMatching } from '../parse/ast.ts';
import { LabelSubset } from './label-subset.ts';
import type { OutputSeries } from './operator.ts';
import { metadataLabels } from './series-naming.ts';

export interface MatchGroup {
  /** Indexes of series. */
  readonly left: number[];
  readonly right: number[];
}

/** The labels that `matching` looks at. */
export function matchedLabels({ on, labels }: VectorMatching): LabelSubset {
  return new LabelSubset(on ? labels : [...labels, ...metadataLabels], !on);
}

/** The series of both sides by signature, in the order in which signatures first appear, left before right. */
export function matchGroups(
  left: readonly OutputSeries[],
  right: readonly OutputSeries[],
  matching: VectorMatching,
): MatchGroup[] {
  const subset = matchedLabels(matching);
  const groups = new Map<string, MatchGroup>();
  const groupOf = (labels: Labels): MatchGroup => {
    const signature = subset.keyOf(labels);
    let group = groups.get(signature);
    if (!group) {
      group = { left: [], right: [] };
      groups.set(signature, group);
    }
    return group;
  };
  for (const [index, { labels }] of left.entries()) groupOf(labels).left.push(index);
  for (const [index, { labels }] of right.entries()) groupOf(labels).right.push(index);
  return [...groups.values()];
}
