// What replication asks of a lane: a client's request is decoded once, cut by groups of partitions into payloads for other
// nodes, and kept until what this node owns of it is appended; payloads of other nodes are appended as the log's replay does.
// Errors: LANE_BUSY, LOG_FAILED, DISK_FULL (nothing acknowledged), WIRE_…, PEER_PAYLOAD (damaged bytes), PEER_DICTIONARY (references that
// mean nothing here: the connection must begin anew with definitions).
// Buffers: kept columns are copies of the wire kernel's; payloads that are handed out belong to the caller.
import { assert, hasCode, mib, TimbalaError } from '../../base/index.ts';
import { rejectedRef, type WireBatch } from '../../wasm/index.ts';
import type {
  AppendedPairs,
  DecodedRequest,
  GroupPayload,
  RegisteredSeries,
  SampleOrigin,
  SamplesForPeer,
  SamplesFromPeer,
  WriteGroups,
} from '../contracts.ts';
import type { Generation, LiveHead } from '../head/generations.ts';
import { readSeriesRecord, SeriesRecordWriter } from '../log/series-record.ts';
import type { ScannedSeries } from '../protocol.ts';
import type { TombstoneIndex } from '../tombstones.ts';
import { DestinationGroups } from './destination-groups.ts';
import { type Ingest, stage, withoutDeleted } from './ingest.ts';
import { copyColumns, KeptRequests } from './kept-requests.ts';

/** The lane, as its replication uses it. */
export interface ReplicationHost {
  readonly ingest: Ingest;
  /** Decodes within the lane's bounds. */
  decode(body: Uint8Array): WireBatch;
  /** Runs `work`, synchronously, on the active generation under the lane's limits. Throws LANE_BUSY. */
  withActive<Result>(work: (active: Generation) => Result): Result;
  readonly head: LiveHead;
  /** The present head, or an earlier one as long as samples live in it. */
  headOf(headId: number): LiveHead | undefined;
  readonly tombstones: TombstoneIndex;
  /** Resolves when all that was logged so far is on disk. */
  commit(): Promise<void>;
  /** Of the newest record on disk. */
  position(): number;
  countSamples(appended: number, duplicates: number): void;
}

const keptBytesMax = 128 * mib;
const keptIdleBytesMax = 16 * mib;

export class LaneReplication {
  readonly #host: ReplicationHost;
  readonly #kept = new KeptRequests(keptBytesMax, keptIdleBytesMax);
  readonly #appends = new Set<Promise<unknown>>();
  #destinations = DestinationGroups.ofPartitions();
  /** The head that knows them. */
  #groupedHeadId: number | undefined;

  constructor(host: ReplicationHost) {
    this.#host = host;
  }

  /** Requests that are decoded and not released. */
  get keptCount(): number {
    return this.#kept.count;
  }

  /** Of their columns. */
  get keptBytes(): number {
    return this.#kept.bytes;
  }

  /** From now on requests are cut for these destinations. */
  setGroups(groups: WriteGroups): void {
    this.#destinations = new DestinationGroups(groups);
    this.#groupedHeadId = undefined;
  }

  /**
   * Decodes a request, registers its series, keeps its valid samples until `release`, and encodes what each destination other
   * than this node gets: once where several get the same.
   */
  decode(body: Uint8Array): DecodedRequest {
    if (this.#kept.isFull) {
      throw new TimbalaError('LANE_BUSY', 'too many requests wait for other nodes; nothing was stored, send it again');
    }
    const { ingest } = this.#host;
    return this.#host.withActive(({ live }) => {
      const { head, headId } = live;
      const { columns, rejections } = ingest.take(this.#host.decode(body), live, this.#host.tombstones);
      stage(live, columns);
      head.markPassing();
      if (this.#groupedHeadId !== headId) head.setGroups(this.#destinations.groupOf);
      this.#groupedHeadId = headId;
      const { groups, samplesCount } = head.groupRows();
      const writeId = this.#kept.keep(head.staged, headId);
      try {
        return { writeId, samplesCount, groups, rejections, payloads: this.#payloads(writeId, groups, live) };
      } catch (error) {
        this.#kept.release(writeId);
        throw error;
      }
    });
  }

  #payloads(writeId: number, groups: Uint16Array, live: LiveHead): GroupPayload[] {
    const { own, others } = this.#destinations.selections(groups);
    const { refs } = this.#kept.get(writeId).columns;
    return others.map((selected) => {
      live.head.staged.refs.set(refs);
      const payload = { groups: selected, samples: this.#encodeSelected(selected, live) };
      // The log's record of the same rows has the same bytes.
      if (selected === own) this.#kept.keepRecord(writeId, selected, payload.samples.bytes);
      return payload;
    });
  }

  #encodeSelected(groups: Uint16Array, live: LiveHead): SamplesForPeer {
    const { refs, samplesCount } = live.head.keepGroups(bitmapOf(groups));
    return encodeStaged(live, refs, samplesCount);
  }

  /** The samples of a kept request in some groups, for another node. */
  payloadOf(writeId: number, groups: Uint16Array): SamplesForPeer {
    const { head: live } = this.#host;
    this.#stageKept(writeId, live);
    return this.#encodeSelected(groups, live);
  }

  /** Appends the samples of a kept request in some groups; resolves with their pairs when they are on disk. */
  appendKept(writeId: number, groups: Uint16Array): Promise<AppendedPairs> {
    return this.#append('written', ({ live }) => {
      this.#stageKept(writeId, live);
      live.head.keepGroups(bitmapOf(groups));
      const { record } = this.#kept.get(writeId);
      return record && isSameSet(record.groups, groups) ? record.bytes : undefined;
    });
  }

  #stageKept(writeId: number, live: LiveHead): void {
    const { headId, columns } = this.#kept.get(writeId);
    if (headId !== live.headId) {
      throw new TimbalaError('LANE_BUSY', 'the head was replaced while the request was under way; send it again');
    }
    copyColumns(columns, live.head.stage(columns.refs.length, columns.timestampsMs.length));
  }

  release(writeId: number): void {
    this.#kept.release(writeId);
  }

  /**
   * Registers series that another node defined (series payload of docs/formats/log.md). Throws PEER_PAYLOAD, LANE_BUSY.
   */
  register(definitions: Uint8Array): RegisteredSeries {
    return this.#host.withActive(({ live }) => {
      const senderRefs: number[] = [];
      const ownRefs = registerAll(live, definitions, (ref) => senderRefs.push(ref));
      return { dictionary: live.headId, senderRefs: Uint32Array.from(senderRefs), ownRefs };
    });
  }

  /**
   * Definitions of own series, as `register` takes them; also of a head that was replaced after the payload was made. Throws
   * PEER_DICTIONARY where that head has gone.
   */
  definitionsOf(dictionary: number, refs: Uint32Array): Uint8Array<ArrayBuffer> {
    const reader = this.#host.headOf(dictionary)?.reader;
    if (!reader) throw otherDictionary();
    const writer = new SeriesRecordWriter();
    for (const ref of refs) writer.add(ref, reader.fingerprint(ref), reader.labelBytes(ref));
    return writer.payload().slice();
  }

  /**
   * Appends what another node sent; resolves with the pairs of all of it when it is on disk, duplicates included. What is
   * deleted is left out.
   */
  appendReceived(samples: SamplesFromPeer, origin: SampleOrigin): Promise<AppendedPairs> {
    return this.#append(origin, ({ live }) => {
      this.#stageReceived(samples, live);
      const { tombstones } = this.#host;
      if (tombstones.isEmpty) return undefined;
      const staged = live.head.staged;
      const { kept, firstDropped } = withoutDeleted(staged, live, tombstones);
      if (firstDropped !== undefined) stage(live, kept);
      return undefined;
    });
  }

  #stageReceived({ dictionary, samplesCount, ownRefs, fingerprintSum, bytes }: SamplesFromPeer, live: LiveHead): void {
    if (dictionary !== live.headId) throw otherDictionary();
    const { head } = live;
    const batch = asPeerPayload(() => head.decodeSamples(bytes));
    const { refs } = batch;
    const { seriesCount } = head.stats();
    for (let row = 0; row < refs.length; row++) {
      const ref = ownRefs[refs[row] as number] ?? rejectedRef;
      if (ref >= seriesCount) {
        throw new TimbalaError('PEER_DICTIONARY', `reference ${refs[row]} was never defined on this connection`);
      }
      refs[row] = ref;
    }
    if (head.fingerprintSum() !== fingerprintSum) {
      throw new TimbalaError(
        'PEER_DICTIONARY',
        'the fingerprints of the series do not add up: references are mixed up',
      );
    }
    if (batch.samplesCount !== samplesCount || !head.hasValidTimestamps()) {
      throw new TimbalaError('PEER_PAYLOAD', `${bytes.length} bytes of samples contradict their counts or times`);
    }
  }

  /** Encodes series read from parts as if a client had sent them; registers them where they are unknown to the head. */
  encodeScanned({ definitions, samplesEnd, timestampsMs, values }: ScannedSeries): SamplesForPeer {
    return this.#host.withActive(({ live }) => {
      const refs = registerAll(live, definitions, () => undefined);
      assert(refs.length === samplesEnd.length, 'a definition for each row');
      const staged = live.head.stage(refs.length, timestampsMs.length);
      staged.refs.set(refs);
      staged.samplesEnd.set(samplesEnd);
      for (let i = 0; i < timestampsMs.length; i++) staged.timestampsMs[i] = BigInt(timestampsMs[i] as number);
      staged.valueBits.set(new BigUint64Array(values.buffer, values.byteOffset, values.length));
      live.head.markPassing();
      return encodeStaged(live, refs, timestampsMs.length);
    });
  }

  /** `stageBatch` may give the log's record of what it staged, if it has it. */
  async #append(
    origin: SampleOrigin,
    stageBatch: (active: Generation) => Uint8Array | undefined,
  ): Promise<AppendedPairs> {
    const pairs = this.#host.withActive((active) => {
      const record = stageBatch(active);
      const found = active.live.head.stagedPairs();
      const { appended, duplicates } = this.#host.ingest.appendStaged(active, origin, record);
      this.#host.countSamples(appended, duplicates);
      return found;
    });
    const durable = this.#host.commit();
    this.#appends.add(durable);
    try {
      await durable;
    } finally {
      this.#appends.delete(durable);
    }
    return { pairs, position: this.#host.position() };
  }

  /** Resolves when every append that has begun is on disk, or has failed. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#appends);
  }
}

function encodeStaged(
  { head, headId }: LiveHead,
  seriesRefs: Uint32Array<ArrayBuffer>,
  samplesCount: number,
): SamplesForPeer {
  const fingerprintSum = head.fingerprintSum();
  const encoded = head.encodeSamples();
  // In one buffer, which goes to the protocols' thread as it is.
  const buffer = new ArrayBuffer(seriesRefs.byteLength + encoded.length);
  const refs = new Uint32Array(buffer, 0, seriesRefs.length);
  refs.set(seriesRefs);
  const bytes = new Uint8Array(buffer, refs.byteLength);
  bytes.set(encoded);
  return { dictionary: headId, samplesCount, seriesRefs: refs, fingerprintSum, bytes };
}

function registerAll(
  { head }: LiveHead,
  definitions: Uint8Array,
  visit: (ref: number) => void,
): Uint32Array<ArrayBuffer> {
  const refs: number[] = [];
  asPeerPayload(() =>
    readSeriesRecord(definitions, (ref, fingerprint, labels) => {
      refs.push(head.register(labels, fingerprint));
      visit(ref);
    }),
  );
  return Uint32Array.from(refs);
}

/** Bytes that a peer sent are damaged, or another version's: its fault, whichever decoder says so. */
function asPeerPayload<Result>(decode: () => Result): Result {
  try {
    return decode();
  } catch (cause) {
    const codes = ['LOG_SAMPLES_CORRUPT', 'LOG_SERIES_CORRUPT', 'HEAD_BAD_LABELS'];
    if (!codes.some((code) => hasCode(cause, code))) throw cause;
    throw new TimbalaError('PEER_PAYLOAD', 'what a peer sent can not be decoded; nothing of it was stored', { cause });
  }
}

function otherDictionary(): TimbalaError {
  return new TimbalaError('PEER_DICTIONARY', 'references are of an earlier head; definitions must be sent anew');
}

const groupsCountMax = 65_536;

function bitmapOf(groups: Uint16Array): Uint8Array {
  const bitmap = new Uint8Array(groupsCountMax / 8);
  for (const group of groups) bitmap[group >> 3] = (bitmap[group >> 3] as number) | (1 << (group & 7));
  return bitmap;
}

/** Whether two lists without repetitions hold the same. */
function isSameSet(a: Uint16Array, b: Uint16Array): boolean {
  if (a.length !== b.length) return false;
  const inA = new Set(a);
  return b.every((group) => inA.has(group));
}
