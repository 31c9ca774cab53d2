// The node's own metrics: counters, gauges and classic histograms, kept on main. What other threads count is asked of them
// when metrics are collected. Small, because what Timbala stores is what it must produce: families of series.
import { assert } from '../../base/index.ts';

export type MetricType = 'counter' | 'gauge' | 'histogram';

/** One series of a family at one moment. */
export interface MetricSample {
  /** '' but for parts of histograms: `_bucket`, `_sum`, `_count`. */
  readonly suffix: string;
  /** name0, value0, name1, value1, … in any order. */
  readonly labels: readonly string[];
  readonly value: number;
}

export interface MetricFamily {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly samples: readonly MetricSample[];
}

/** A counter or gauge; label values name one of its series. */
export class Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly #labelNames: readonly string[];
  readonly #series = new Map<string, { readonly labels: readonly string[]; value: number }>();

  constructor(name: string, type: 'counter' | 'gauge', help: string, labelNames: readonly string[]) {
    this.name = name;
    this.type = type;
    this.help = help;
    this.#labelNames = labelNames;
    if (labelNames.length === 0) this.#at([]);
  }

  #at(labelValues: readonly string[]): { value: number } {
    const key = labelValues.join('\xff');
    let series = this.#series.get(key);
    if (!series) {
      series = { labels: labelPairs(this.#labelNames, labelValues), value: 0 };
      this.#series.set(key, series);
    }
    return series;
  }

  add(amount = 1, ...labelValues: readonly string[]): void {
    this.#at(labelValues).value += amount;
  }

  set(value: number, ...labelValues: readonly string[]): void {
    this.#at(labelValues).value = value;
  }

  family(): MetricFamily {
    const samples = [...this.#series.values()].map(({ labels, value }) => ({ suffix: '', labels, value }));
    return { name: this.name, type: this.type, help: this.help, samples };
  }
}

export class Histogram {
  readonly name: string;
  readonly help: string;
  readonly #upperBounds: readonly number[];
  readonly #labelNames: readonly string[];
  readonly #series = new Map<string, { readonly labels: readonly string[]; counts: number[]; sum: number }>();

  /** `upperBounds`: ascending, +Inf is added. */
  constructor(name: string, help: string, upperBounds: readonly number[], labelNames: readonly string[]) {
    this.name = name;
    this.help = help;
    this.#upperBounds = upperBounds;
    this.#labelNames = labelNames;
  }

  observe(value: number, ...labelValues: readonly string[]): void {
    const key = labelValues.join('\xff');
    let series = this.#series.get(key);
    if (!series) {
      const counts = Array.from({ length: this.#upperBounds.length + 1 }, () => 0);
      series = { labels: labelPairs(this.#labelNames, labelValues), counts, sum: 0 };
      this.#series.set(key, series);
    }
    const found = this.#upperBounds.findIndex((bound) => value <= bound);
    const bucket = found < 0 ? this.#upperBounds.length : found;
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
    series.sum += value;
  }

  family(): MetricFamily {
    const samples: MetricSample[] = [];
    for (const { labels, counts, sum } of this.#series.values()) {
      let cumulative = 0;
      for (const [index, count] of counts.entries()) {
        cumulative += count;
        const bound = this.#upperBounds[index];
        const le = bound === undefined ? '+Inf' : String(bound);
        samples.push({ suffix: '_bucket', labels: [...labels, 'le', le], value: cumulative });
      }
      samples.push({ suffix: '_sum', labels, value: sum }, { suffix: '_count', labels, value: cumulative });
    }
    return { name: this.name, type: 'histogram', help: this.help, samples };
  }
}

function labelPairs(names: readonly string[], values: readonly string[]): string[] {
  assert(names.length === values.length, 'a value for each label of a metric');
  return names.flatMap((name, index) => [name, values[index] ?? '']);
}

export class Registry {
  readonly #members = new Map<string, Metric | Histogram>();

  counter(name: string, help: string, labelNames: readonly string[] = []): Metric {
    return this.#add(new Metric(name, 'counter', help, labelNames));
  }

  gauge(name: string, help: string, labelNames: readonly string[] = []): Metric {
    return this.#add(new Metric(name, 'gauge', help, labelNames));
  }

  histogram(name: string, help: string, upperBounds: readonly number[], labelNames: readonly string[] = []): Histogram {
    return this.#add(new Histogram(name, help, upperBounds, labelNames));
  }

  #add<Member extends Metric | Histogram>(member: Member): Member {
    assert(!this.#members.has(member.name), `metric ${member.name} is registered once`);
    this.#members.set(member.name, member);
    return member;
  }

  families(): MetricFamily[] {
    return [...this.#members.values()].map((member) => member.family());
  }
}
