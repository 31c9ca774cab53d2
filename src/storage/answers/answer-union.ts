// The union of several nodes' answers with samples: series in label order, one sample per timestamp, the merge order deciding
// (docs/formats/samples.md). What the nodes say mostly agrees bit for bit, series by series: where it does, no labels are
// decoded and no samples copied.
import { decodeLabels, encodeLabels, Labels, SampleBuffer } from '../../model/index.ts';
import { appendSamples, mergeSamples } from '../reader/merge-samples.ts';
import { TimestampKeys } from '../reader/timestamp-keys.ts';
import { corrupt, type FrameEntry, readSampleFrame } from './sample-frame.ts';

/** A series as promql/queryable.ts's SelectedSeries has it. */
export interface AnswerSeries {
  readonly labels: Labels;
  /** Replaces what `into` holds. */
  read(into: SampleBuffer): void;
}

interface Piece {
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  /** Equal columns, equal keys; of a frame's column it is worked out once. */
  readonly key: () => object | undefined;
}

/** What one node answered of one series: pieces in time order. */
class Told {
  readonly labelBytes: Uint8Array;
  readonly pieces: Piece[];
  #labels: Labels | undefined;

  constructor(labelBytes: Uint8Array, piece: Piece) {
    this.labelBytes = labelBytes;
    this.pieces = [piece];
  }

  /** Throws LABELS_CORRUPT. */
  get labels(): Labels {
    this.#labels ??= decodeLabels(this.labelBytes);
    return this.#labels;
  }
}

/** Labels live as long as the storage caches them, over many queries. */
const encodedLabels = new WeakMap<Labels, Uint8Array>();

function bytesOf(labels: Labels): Uint8Array {
  let bytes = encodedLabels.get(labels);
  if (!bytes) encodedLabels.set(labels, (bytes = encodeLabels(labels)));
  return bytes;
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  // From the end: the first labels of neighbours are mostly the same.
  for (let i = a.length - 1; i >= 0; i--) if (a[i] !== b[i]) return false;
  return true;
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
      if (!ofRequest) throw corrupt(frame, entry.timestampsAt);
      const piece = this.#piece(entry, keys);
      const last = ofRequest.at(-1);
      if (last && areEqual(last.labelBytes, entry.labelBytes)) last.pieces.push(piece);
      else ofRequest.push(new Told(entry.labelBytes, piece));
    }
  }

  #piece({ timestampsMs, values, timestampsAt }: FrameEntry, keys: Map<number, object | undefined>): Piece {
    const key = (): object | undefined => {
      if (!keys.has(timestampsAt)) keys.set(timestampsAt, this.#keys.ofColumn(timestampsMs, 0, timestampsMs.length));
      return keys.get(timestampsAt);
    };
    return { timestampsMs, values, key };
  }

  /** The series of a request, united with the own ones (in label order). Throws LABELS_CORRUPT. */
  series(request: number, own: readonly AnswerSeries[]): readonly AnswerSeries[] {
    const told = [...this.#bySource.values()].map((byRequest) => byRequest[request] ?? []);
    const heads = told.filter((list) => list.length > 0).map((list) => new Head(list));
    if (heads.length === 0) return own;
    const scratch = new Scratch();
    const united: AnswerSeries[] = [];
    let ownPlace = 0;
    while (ownPlace < own.length || heads.some(({ current }) => current)) {
      const ownSeries = own[ownPlace];
      const least = leastOf(ownSeries?.labels, heads);
      const others = heads.filter(({ isLeast }) => isLeast).map((head) => head.take());
      if (least === undefined) {
        // The own one is least, by itself or together with others.
        ownPlace++;
        if (ownSeries)
          united.push(others.length === 0 ? ownSeries : this.#unite(ownSeries.labels, ownSeries, others, scratch));
      } else {
        united.push(this.#unite(least.labels, undefined, others, scratch));
      }
    }
    return united;
  }

  #unite(labels: Labels, own: AnswerSeries | undefined, others: readonly Told[], scratch: Scratch): UnitedSeries {
    return new UnitedSeries(labels, own, others, this.#keys, scratch);
  }
}

/** Where a node's list stands. */
class Head {
  readonly #list: readonly Told[];
  #place = 0;
  /** Set by `leastOf`. */
  isLeast = false;

  constructor(list: readonly Told[]) {
    this.#list = list;
  }

  get current(): Told | undefined {
    return this.#list[this.#place];
  }

  take(): Told {
    return this.#list[this.#place++] as Told;
  }
}

/**
 * Says of each head whether its series is the least of all, the own one included. Gives one of the least; undefined where the
 * own one is.
 */
function leastOf(own: Labels | undefined, heads: readonly Head[]): Told | undefined {
  let least: Told | undefined;
  for (const [i, head] of heads.entries()) {
    const { current } = head;
    const order = current ? orderOf(current, least ?? own) : 1;
    head.isLeast = order <= 0;
    if (!current || order >= 0) continue;
    least = current;
    for (let before = 0; before < i; before++) (heads[before] as Head).isLeast = false;
  }
  return least;
}

/** Negative where a series comes first. Most are equal, which their bytes tell. */
function orderOf(series: Told, other: Told | Labels | undefined): number {
  if (!other) return -1;
  const isTold = other instanceof Told;
  if (areEqual(series.labelBytes, isTold ? other.labelBytes : bytesOf(other))) return 0;
  return Labels.compare(series.labels, isTold ? other.labels : other);
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
      for (const piece of pieces) isChanged = this.#add(into, piece) || isChanged;
    }
    if (isChanged) into.timestampsKey = this.#keys.ofColumn(into.timestampsMs, 0, into.count);
  }

  /** True where the timestamps are now others, and their key is not known. */
  #add(into: SampleBuffer, piece: Piece): boolean {
    if (into.count === 0) {
      fill(into, piece);
      into.timestampsKey = piece.key();
      return false;
    }
    if (endsWith(into, piece)) return false;
    const { other, merged } = this.#scratch;
    fill(other, piece);
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
