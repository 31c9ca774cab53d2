// The union of several nodes' answers with samples: series in label order, one sample per timestamp, the merge order deciding
// (docs/formats/samples.md). What the nodes say mostly agrees bit for bit: where it does, nothing is copied.
import { Labels, SampleBuffer } from '../../model/index.ts';
import { appendSamples, mergeSamples } from '../reader/merge-samples.ts';
import { TimestampKeys } from '../reader/timestamp-keys.ts';
import { corrupt, type FrameEntry, readSampleFrame } from './sample-frame.ts';

/** A series as promql/queryable.ts's SelectedSeries has it. */
export interface AnswerSeries {
  readonly labels: Labels;
  /** Replaces what `into` holds. */
  read(into: SampleBuffer): void;
}

/** What one node answered of one series: pieces in time order. */
interface Told {
  readonly labels: Labels;
  readonly pieces: Piece[];
}

interface Piece {
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  /** Equal columns, equal keys; of a frame's column it is worked out once. */
  readonly key: () => object | undefined;
}

export class AnswerUnion {
  readonly #requestsCount: number;
  /** By node, then by request: series in label order. */
  readonly #bySource = new Map<string, Told[][]>();
  readonly #keys = new TimestampKeys();

  constructor(requestsCount: number) {
    this.#requestsCount = requestsCount;
  }

  /** Takes a frame, which stays as it is while series are read; frames of one source in their order. Throws ANSWER_CORRUPT. */
  add(source: string, frame: Uint8Array): void {
    let told = this.#bySource.get(source);
    if (!told) {
      told = Array.from({ length: this.#requestsCount }, () => []);
      this.#bySource.set(source, told);
    }
    const keys = new Map<number, object | undefined>();
    for (const entry of readSampleFrame(frame)) {
      const ofRequest = told[entry.request];
      const last = ofRequest?.at(-1);
      const order = last ? Labels.compare(last.labels, entry.labels) : -1;
      if (!ofRequest || order > 0) throw corrupt(frame, entry.timestampsAt);
      const piece = this.#piece(entry, keys);
      if (last && order === 0) last.pieces.push(piece);
      else ofRequest.push({ labels: entry.labels, pieces: [piece] });
    }
  }

  #piece({ timestampsMs, values, timestampsAt }: FrameEntry, keys: Map<number, object | undefined>): Piece {
    const key = (): object | undefined => {
      if (!keys.has(timestampsAt)) keys.set(timestampsAt, this.#keys.ofColumn(timestampsMs, 0, timestampsMs.length));
      return keys.get(timestampsAt);
    };
    return { timestampsMs, values, key };
  }

  /** The series of a request, united with the own ones (in label order). */
  series(request: number, own: readonly AnswerSeries[]): readonly AnswerSeries[] {
    const told = [...this.#bySource.values()].map((byRequest) => byRequest[request] ?? []);
    if (told.every(({ length }) => length === 0)) return own;
    const scratch = new Scratch();
    const places = told.map(() => 0);
    const united: AnswerSeries[] = [];
    for (let ownPlace = 0; ;) {
      let least = own[ownPlace]?.labels;
      for (const [i, list] of told.entries()) {
        const labels = list[places[i] as number]?.labels;
        if (labels && (!least || Labels.compare(labels, least) < 0)) least = labels;
      }
      if (!least) return united;
      const isLeast = (labels: Labels | undefined): boolean =>
        labels !== undefined && (labels === least || Labels.compare(labels, least) === 0);
      const ownSeries = isLeast(own[ownPlace]?.labels) ? own[ownPlace++] : undefined;
      const others: Told[] = [];
      for (const [i, list] of told.entries()) {
        const next = list[places[i] as number];
        if (!next || !isLeast(next.labels)) continue;
        others.push(next);
        places[i] = (places[i] as number) + 1;
      }
      if (others.length === 0 && ownSeries) united.push(ownSeries);
      else united.push(new UnitedSeries(ownSeries?.labels ?? least, ownSeries, others, this.#keys, scratch));
    }
  }
}

class Scratch {
  readonly other = new SampleBuffer();
  readonly merged = new SampleBuffer();
}

class UnitedSeries implements AnswerSeries {
  readonly labels: Labels;
  readonly #own: AnswerSeries | undefined;
  readonly #others: readonly Told[];
  readonly #keys: TimestampKeys;
  readonly #scratch: Scratch;

  constructor(
    labels: Labels,
    own: AnswerSeries | undefined,
    others: readonly Told[],
    keys: TimestampKeys,
    scratch: Scratch,
  ) {
    this.labels = labels;
    this.#own = own;
    this.#others = others;
    this.#keys = keys;
    this.#scratch = scratch;
  }

  read(into: SampleBuffer): void {
    if (this.#own) this.#own.read(into);
    else into.clear();
    let isChanged = false;
    for (const { pieces } of this.#others) {
      for (const piece of pieces) isChanged = this.#unite(into, piece) || isChanged;
    }
    if (isChanged)
      into.timestampsKey = into.count === 0 ? undefined : this.#keys.ofColumn(into.timestampsMs, 0, into.count);
  }

  /** True where the timestamps are now others, and their key is not known. */
  #unite(into: SampleBuffer, piece: Piece): boolean {
    if (endsWith(into, piece)) return false;
    const { other, merged } = this.#scratch;
    const isFirst = into.count === 0;
    const target = isFirst ? into : other;
    fill(target, piece);
    if (isFirst) {
      into.timestampsKey = piece.key();
      return false;
    }
    const isBehind = (into.timestampsMs[into.count - 1] as number) < (other.timestampsMs[0] as number);
    if (isBehind) appendSamples(into, other);
    else mergeSamples(into, other, merged);
    return true;
  }
}

/** Whether the newest samples of a buffer are just these, to the bit. */
function endsWith(samples: SampleBuffer, { timestampsMs, values }: Piece): boolean {
  const count = timestampsMs.length;
  const first = samples.count - count;
  if (first < 0) return false;
  for (let i = 0; i < count; i++) if (samples.timestampsMs[first + i] !== timestampsMs[i]) return false;
  const halves = new Uint32Array(values.buffer, values.byteOffset, 2 * count);
  for (let i = 0; i < halves.length; i++) if (samples.valueHalves[2 * first + i] !== halves[i]) return false;
  return true;
}

function fill(buffer: SampleBuffer, { timestampsMs, values }: Piece): void {
  buffer.clear();
  buffer.reserve(timestampsMs.length);
  buffer.timestampsMs.set(timestampsMs);
  // Between columns of one type: the bits stay as they are.
  buffer.values.set(values);
  buffer.count = timestampsMs.length;
  buffer.mayHoldStale = true;
}
