// Type, help and unit of metric families, as write requests bring them: kept in memory, bounded, the latest wins. They are
// hints for people; senders repeat them every minute, so nothing is lost for long by a restart.
import type { MetricMetadata } from '../contracts.ts';

export class MetadataStore {
  readonly #entriesMax: number;
  /** In order of arrival: the first has not been sent for the longest time. */
  readonly #byMetric = new Map<string, MetricMetadata>();

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  add(entry: MetricMetadata): void {
    this.#byMetric.delete(entry.metric);
    this.#byMetric.set(entry.metric, entry);
    if (this.#byMetric.size <= this.#entriesMax) return;
    const [oldest] = this.#byMetric.keys();
    if (oldest !== undefined) this.#byMetric.delete(oldest);
  }

  list(metric?: string): MetricMetadata[] {
    if (metric === undefined) return [...this.#byMetric.values()];
    const entry = this.#byMetric.get(metric);
    return entry ? [entry] : [];
  }
}
