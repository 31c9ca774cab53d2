// The functions that change or order label sets: label_replace and sort_by_label.
import type { RE2JS } from 're2js';
import { compareUtf8, type Labels } from '../../model/index.ts';

/**
 * label_replace: where `regex` (compiled from `^(?s:…)$`) matches the label `source`, the label `destination` is set to
 * `replacement`, in which $1, ${1}, $name and ${name} stand for groups. An empty result removes the label.
 */
export function labelReplace(
  labels: Labels,
  destination: string,
  replacement: string,
  source: string,
  regex: RE2JS,
): Labels {
  const matcher = regex.matcher(labels.get(source));
  if (!matcher.find()) return labels;
  const names = regex.namedGroups();
  const expanded = expandTemplate(replacement, (name) => {
    const index = /^[0-9]+$/.test(name) ? Number(name) : names[name];
    return index === undefined || index > matcher.groupCount() ? '' : (matcher.group(index) ?? '');
  });
  return labels.with(destination, expanded);
}

/** As Go's Regexp.Expand: `$name` takes as many letters, digits and underscores as it can; `$$` is a dollar. */
export function expandTemplate(template: string, group: (name: string) => string): string {
  const reference = /\$(?:\$|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu;
  return template.replace(reference, (whole: string, braced?: string, bare?: string) => {
    const name = braced ?? bare;
    return name === undefined ? whole.slice(1) : group(name);
  });
}

/** Natural order: runs of digits compare as numbers, everything else by UTF-8 bytes. Negative where a comes first. */
export function naturalCompare(a: string, b: string): number {
  if (a === b) return 0;
  const left = a.match(/[0-9]+|[^0-9]+/g) ?? [];
  const right = b.match(/[0-9]+|[^0-9]+/g) ?? [];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const x = left[i] as string;
    const y = right[i] as string;
    if (x === y) continue;
    const numbers = [x, y].map((run) => (/^[0-9]+$/.test(run) ? BigInt(run) : undefined));
    const [n, m] = numbers;
    if (n === undefined || m === undefined) return compareUtf8(x, y);
    if (n !== m) return n < m ? -1 : 1;
  }
  return left.length === right.length ? compareUtf8(a, b) : left.length - right.length;
}
