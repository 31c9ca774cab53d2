// The labels that grouping and matching look at: some names, or all but some. Its key tells subsets apart without making them,
// which for most series is all that is asked.
import type { Labels } from '../../model/index.ts';

export class LabelSubset {
  readonly #names: ReadonlySet<string>;
  readonly #isExclusion: boolean;

  constructor(names: Iterable<string>, isExclusion: boolean) {
    this.#names = new Set(names);
    this.#isExclusion = isExclusion;
  }

  #keeps(name: string): boolean {
    return this.#names.has(name) !== this.#isExclusion;
  }

  of(labels: Labels): Labels {
    return labels.filter((name) => this.#keeps(name));
  }

  /** Equal exactly where the subsets are: lengths make it unambiguous. */
  keyOf(labels: Labels): string {
    if (this.#names.size === 0 && !this.#isExclusion) return '';
    const { pairs } = labels;
    let key = '';
    for (let i = 0; i < pairs.length; i += 2) {
      const name = pairs[i] as string;
      if (!this.#keeps(name)) continue;
      const value = pairs[i + 1] as string;
      key += `${name.length}:${name}${value.length}:${value}`;
    }
    return key;
  }
}
