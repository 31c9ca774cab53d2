// What replication asks of a lane: a client's request is decoded once, kept, and cut by partition into payloads for other
// nodes and into what this node appends itself; payloads of other nodes are appended as the log's replay does.
// Errors: LANE_BUSY, LOG_FAILED (nothing acknowledged), WIRE_…, PEER_PAYLOAD (damaged bytes), PEER_DICTIONARY (references that
// mean nothing here: the connection must begin anew with definitions).
// Buffers: kept columns are copies of the wire kernel's; payloads that are handed out belong to the caller.
import { assert, hasCode, present, TimbalaError } from '../../base/index.ts';
import { rejectedRef, type WireBatch } from '../../wasm/index.ts';
import type { DecodedRequest, RegisteredSeries, SampleOrigin, SamplesForPeer, SamplesFromPeer } from '../contracts.ts';
import type { Generation, LiveHead } from '../head/generations.ts';
import { readSeriesRecord, SeriesRecordWriter } from '../log/series-record.ts';
import type { ScannedSeries } from '../protocol.ts';
import type { TombstoneIndex } from '../tombstones.ts';
import { type Columns, type Ingest, stage, withoutDeleted } from './ingest.ts';

/** The lane, as its replication uses it. */
export interface ReplicationHost {
  readonly ingest: Ingest;
  /** Decodes within the lane's bounds. */
  decode(body: Uint8Array): WireBatch;
  /** Runs `work`, synchronously, on the active generation under the lane's limits. Throws LANE_BUSY. */
  withActive<Result>(work: (active: Generation) => Result): Result;
  readonly head: LiveHead;
  readonly tombstones: TombstoneIndex;
  /** Resolves when all that was logged so far is on disk. */
  commit(): Promise<void>;
  countSamples(appended: number, duplicates: number): void;
}

interface KeptRequest {
  readonly dictionary: number;
  readonly columns: Columns;
}

const partitionsCount = 65_536;
const everyPartition = new Uint8Array(partitionsCount / 8).fill(0xff);

export class LaneReplication {
  readonly #host: ReplicationHost;
  readonly #kept = new Map<number, KeptRequest>();
  readonly #appends = new Set<Promise<unknown>>();
  #nextWriteId = 1;

  constructor(host: ReplicationHost) {
    this.#host = host;
  }

  /** Requests that are decoded and not released. */
  get keptCount(): number {
    return this.#kept.size;
  }

  /** Decodes a request, registers its series, and keeps its valid samples until `release`. */
  decode(body: Uint8Array): DecodedRequest {
    const { ingest } = this.#host;
    return this.#host.withActive(({ live }) => {
      const { columns, rejections } = ingest.take(this.#host.decode(body), live, this.#host.tombstones);
      stage(live, columns);
      live.head.markPassing();
      const { refs, samplesCount } = live.head.keepPartitions(everyPartition);
      const writeId = this.#nextWriteId++;
      this.#kept.set(writeId, { dictionary: live.headId, columns: copyColumns(columns) });
      return { writeId, samplesCount, partitions: distinct(live.reader.partitions(refs)), rejections };
    });
  }

  /** The samples of a kept request in some partitions (a bit each, little-endian), for another node. */
  payloadOf(writeId: number, partitions: Uint8Array): SamplesForPeer {
    const { head: live } = this.#host;
    this.#stageKept(writeId, live);
    const { refs, samplesCount } = live.head.keepPartitions(partitions);
    return encodeStaged(live, refs, samplesCount);
  }

  /** Appends the samples of a kept request in some partitions; resolves with their pairs when they are on disk. */
  appendKept(writeId: number, partitions: Uint8Array): Promise<Float64Array<ArrayBuffer>> {
    return this.#append('written', ({ live }) => {
      this.#stageKept(writeId, live);
      live.head.keepPartitions(partitions);
    });
  }

  #stageKept(writeId: number, live: LiveHead): void {
    const { dictionary, columns } = present(this.#kept.get(writeId), 'kept request');
    if (dictionary !== live.headId) {
      throw new TimbalaError('LANE_BUSY', 'the head was replaced while the request was under way; send it again');
    }
    stage(live, columns);
  }

  release(writeId: number): void {
    this.#kept.delete(writeId);
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

  /** Definitions of own series, as `register` takes them. Throws PEER_DICTIONARY where the references are not the head's. */
  definitionsOf(dictionary: number, refs: Uint32Array): Uint8Array<ArrayBuffer> {
    const { headId, reader } = this.#host.head;
    if (dictionary !== headId) throw otherDictionary();
    const writer = new SeriesRecordWriter();
    for (const ref of refs) writer.add(ref, reader.fingerprint(ref), reader.labelBytes(ref));
    return writer.payload().slice();
  }

  /**
   * Appends what another node sent; resolves with the pairs of all of it when it is on disk, duplicates included. What is
   * deleted is left out.
   */
  appendReceived(samples: SamplesFromPeer, origin: SampleOrigin): Promise<Float64Array<ArrayBuffer>> {
    return this.#append(origin, ({ live }) => {
      this.#stageReceived(samples, live);
      const { tombstones } = this.#host;
      if (tombstones.isEmpty) return;
      const staged = live.head.staged;
      const { kept, firstDropped } = withoutDeleted(staged, live, tombstones);
      if (firstDropped !== undefined) stage(live, kept);
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
      return encodeStaged(live, refs, timestampsMs.length);
    });
  }

  async #append(origin: SampleOrigin, stageBatch: (active: Generation) => void): Promise<Float64Array<ArrayBuffer>> {
    const pairs = this.#host.withActive((active) => {
      stageBatch(active);
      const found = active.live.head.stagedPairs();
      const { appended, duplicates } = this.#host.ingest.appendStaged(active, origin);
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
    return pairs;
  }

  /** Resolves when every append that has begun is on disk, or has failed. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#appends);
  }
}

function copyColumns({ refs, samplesEnd, timestampsMs, valueBits }: Columns): Columns {
  return {
    refs: refs.slice(),
    samplesEnd: samplesEnd.slice(),
    timestampsMs: timestampsMs.slice(),
    valueBits: valueBits.slice(),
  };
}

function encodeStaged(
  { head, headId }: LiveHead,
  seriesRefs: Uint32Array<ArrayBuffer>,
  samplesCount: number,
): SamplesForPeer {
  const fingerprintSum = head.fingerprintSum();
  const encoded = head.encodeSamples();
  const bytes = new Uint8Array(encoded.length);
  bytes.set(encoded);
  return { dictionary: headId, samplesCount, seriesRefs, fingerprintSum, bytes };
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

/** Each partition once, in the order they come. */
function distinct(partitions: Uint16Array): Uint16Array<ArrayBuffer> {
  const seen = new Uint8Array(everyPartition.length);
  const found = new Uint16Array(partitions.length);
  let count = 0;
  for (const partition of partitions) {
    const bit = 1 << (partition & 7);
    const before = seen[partition >> 3] as number;
    if ((before & bit) !== 0) continue;
    seen[partition >> 3] = before | bit;
    found[count++] = partition;
  }
  return found.slice(0, count);
}
