// A session that shows some partitions and times of what a node holds: over it a share of a query is evaluated as if there were
// nothing else.
import type { Labels, SampleBuffer } from '../../model/index.ts';
import type { TimeInterval } from '../part/index.ts';
import type { ReadControl, ReadRequest } from '../reader/session.ts';
import { keepRanges, type ReadSegment, SegmentRanges } from './segment-ranges.ts';

export interface ShownSeries {
  readonly labels: Labels;
  read(into: SampleBuffer): void;
}

export interface SelectableSession {
  select(
    requests: readonly ReadRequest[],
    control: ReadControl,
  ): Promise<{ readonly series: readonly ShownSeries[] }[]>;
}

export class SegmentSession implements SelectableSession {
  readonly #session: SelectableSession;
  readonly #ranges: SegmentRanges;
  readonly #partitionOf: (labels: Labels) => number;

  constructor(session: SelectableSession, segments: readonly ReadSegment[], partitionOf: (labels: Labels) => number) {
    this.#session = session;
    this.#ranges = new SegmentRanges(segments);
    this.#partitionOf = partitionOf;
  }

  async select(requests: readonly ReadRequest[], control: ReadControl): Promise<{ series: ShownSeries[] }[]> {
    const { extent } = this.#ranges;
    const clipped = requests.map(({ matchers, startMs, endMs }) => ({
      matchers,
      startMs: Math.max(startMs, extent.startMs),
      endMs: Math.min(endMs, extent.endMs),
    }));
    const selections = await this.#session.select(clipped, control);
    return selections.map(({ series }) => ({ series: series.flatMap((one) => this.#shown(one)) }));
  }

  #shown(series: ShownSeries): ShownSeries[] {
    const ranges = this.#ranges.of(this.#partitionOf(series.labels));
    return ranges.length === 0 ? [] : [new SeriesInRanges(series, ranges)];
  }
}

class SeriesInRanges implements ShownSeries {
  readonly labels: Labels;
  readonly #series: ShownSeries;
  readonly #ranges: readonly TimeInterval[];

  constructor(series: ShownSeries, ranges: readonly TimeInterval[]) {
    this.labels = series.labels;
    this.#series = series;
    this.#ranges = ranges;
  }

  read(into: SampleBuffer): void {
    this.#series.read(into);
    keepRanges(into, this.#ranges);
  }
}
