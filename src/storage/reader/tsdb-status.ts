// Cardinalities of the head, as Prometheus's /api/v1/status/tsdb shows them.
import { metricNameLabel } from '../../model/index.ts';
import type { HeadReader } from '../../wasm/index.ts';
import type { CardinalityRow, TsdbStatus } from '../contracts.ts';
import type { GenerationView } from '../protocol.ts';

/** Keeps the largest rows seen; ties in order of arrival. */
class TopRows {
  readonly #limit: number;
  readonly #rows: CardinalityRow[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(value: number, name: () => string): void {
    const smallest = this.#rows.at(-1);
    if (this.#rows.length >= this.#limit && (!smallest || value <= smallest.value)) return;
    const at = this.#rows.findIndex((row) => row.value < value);
    this.#rows.splice(at < 0 ? this.#rows.length : at, 0, { name: name(), value });
    this.#rows.length = Math.min(this.#rows.length, this.#limit);
  }

  rows(): readonly CardinalityRow[] {
    return this.#rows;
  }
}

export function tsdbStatus(reader: HeadReader, generations: readonly GenerationView[], limit: number): TsdbStatus {
  const decoder = new TextDecoder();
  const byMetric = new TopRows(limit);
  const byValueCount = new TopRows(limit);
  const byMemory = new TopRows(limit);
  const byPair = new TopRows(limit);
  for (const nameBytes of reader.labelNames()) {
    const name = decoder.decode(nameBytes);
    const pairs = reader.pairsOfName(nameBytes);
    let memoryBytes = 0;
    for (const pairId of pairs) {
      const seriesCount = reader.pairSeriesCount(pairId);
      const value = reader.pairValue(pairId);
      memoryBytes += value.length * seriesCount;
      byPair.add(seriesCount, () => `${name}=${decoder.decode(value)}`);
      if (name === metricNameLabel) byMetric.add(seriesCount, () => decoder.decode(value));
    }
    byValueCount.add(pairs.length, () => name);
    byMemory.add(memoryBytes, () => name);
  }
  const { seriesCount, pairsCount } = reader.stats();
  const samplesCount = generations.reduce((sum, { slot }) => sum + reader.generationStats(slot).samplesCount, 0);
  return {
    seriesCount,
    samplesCount,
    labelPairsCount: pairsCount,
    minMs: generations.length > 0 ? Math.min(...generations.map(({ minMs }) => minMs)) : undefined,
    maxMs: generations.length > 0 ? Math.max(...generations.map(({ maxMs }) => maxMs)) : undefined,
    seriesCountByMetricName: byMetric.rows(),
    labelValueCountByLabelName: byValueCount.rows(),
    memoryBytesByLabelName: byMemory.rows(),
    seriesCountByLabelPair: byPair.rows(),
  };
}
