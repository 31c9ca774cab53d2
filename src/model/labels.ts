// A label set, the identity of a series: no empty values, no duplicate names, names sorted by their UTF-8 bytes.
// Immutable; the canonical byte form (docs/formats/labels.md) is in label-bytes.ts.

/** The label that holds the metric name. */
export const metricNameLabel = '__name__';

/**
 * Orders strings by their UTF-8 bytes, as Prometheus does. JavaScript's `<` orders by UTF-16 units, which differs where
 * a surrogate pair (U+10000 and above) meets U+E000 to U+FFFF.
 */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left === right) continue;
    const leftSurrogate = left >= 0xd800 && left <= 0xdfff;
    const rightSurrogate = right >= 0xd800 && right <= 0xdfff;
    if (leftSurrogate !== rightSurrogate) return leftSurrogate ? 1 : -1;
    return left - right;
  }
  return a.length - b.length;
}

export class Labels {
  static readonly empty = new Labels([]);

  /** name0, value0, name1, value1, … in canonical order. */
  readonly pairs: readonly string[];
  #key: string | undefined;

  /** Takes pairs that are canonical already; use `Labels.of` otherwise. */
  constructor(pairs: readonly string[]) {
    this.pairs = pairs;
  }

  /** From an object or entries in any order; empty values are dropped, of a repeated name the last value counts. */
  static of(entries: Readonly<Record<string, string>> | Iterable<readonly [string, string]>): Labels {
    const byName = new Map(Symbol.iterator in entries ? entries : Object.entries(entries));
    const pairs: string[] = [];
    for (const name of [...byName.keys()].sort(compareUtf8)) {
      const value = byName.get(name);
      if (value) pairs.push(name, value);
    }
    return pairs.length === 0 ? Labels.empty : new Labels(pairs);
  }

  get size(): number {
    return this.pairs.length / 2;
  }

  /** The value, or '' where the label is missing: the two are the same thing. */
  get(name: string): string {
    const { pairs } = this;
    for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === name) return pairs[i + 1] as string;
    return '';
  }

  has(name: string): boolean {
    return this.get(name) !== '';
  }

  get metricName(): string {
    return this.get(metricNameLabel);
  }

  /** A string that is equal exactly when the label sets are (lengths make it unambiguous). */
  key(): string {
    if (this.#key === undefined) {
      let key = '';
      for (const part of this.pairs) key += `${part.length}:${part}`;
      this.#key = key;
    }
    return this.#key;
  }

  /** These labels where `keep(name)` holds. */
  filter(keep: (name: string) => boolean): Labels {
    const { pairs } = this;
    const kept: string[] = [];
    for (let i = 0; i < pairs.length; i += 2) {
      const name = pairs[i] as string;
      if (keep(name)) kept.push(name, pairs[i + 1] as string);
    }
    if (kept.length === pairs.length) return this;
    return kept.length === 0 ? Labels.empty : new Labels(kept);
  }

  without(...names: readonly string[]): Labels {
    return this.filter((name) => !names.includes(name));
  }

  /** These labels with one set; an empty value removes it. */
  with(name: string, value: string): Labels {
    const entries = this.entries().filter(([other]) => other !== name);
    entries.push([name, value]);
    return Labels.of(entries);
  }

  entries(): [string, string][] {
    const entries: [string, string][] = [];
    for (let i = 0; i < this.pairs.length; i += 2) entries.push([this.pairs[i] as string, this.pairs[i + 1] as string]);
    return entries;
  }

  toObject(): Record<string, string> {
    // `__proto__` is a legal label name: fromEntries defines it as an own property, assignment would not.
    return Object.fromEntries(this.entries());
  }

  equals(other: Labels): boolean {
    return this === other || this.key() === other.key();
  }

  /** Prometheus's order: pair by pair, names and values by UTF-8 bytes; of two where one is a prefix, the shorter first. */
  static compare(a: Labels, b: Labels): number {
    const length = Math.min(a.pairs.length, b.pairs.length);
    for (let i = 0; i < length; i++) {
      const left = a.pairs[i] as string;
      const right = b.pairs[i] as string;
      if (left !== right) return compareUtf8(left, right);
    }
    return a.pairs.length - b.pairs.length;
  }

  /** `name{a="b", …}` as Prometheus prints it. */
  toString(): string {
    const rest = this.entries().filter(([name]) => name !== metricNameLabel);
    const inside = rest.map(([name, value]) => `${quoteName(name)}=${JSON.stringify(value)}`).join(', ');
    const name = this.metricName;
    if (!name) return `{${inside}}`;
    if (!legacyMetricName.test(name)) return `{${[JSON.stringify(name), inside].filter(Boolean).join(', ')}}`;
    return inside ? `${name}{${inside}}` : name;
  }
}

const legacyMetricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const legacyLabelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

function quoteName(name: string): string {
  return legacyLabelName.test(name) ? name : JSON.stringify(name);
}
