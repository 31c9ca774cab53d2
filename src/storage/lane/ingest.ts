// One write request into the head and the log, synchronously: decode, register new series, refuse what is deleted, append,
// and put the records that replay needs into the log's gathering group. Durability is the caller's next step.
// Buffers: columns are copied from the wire kernel's memory into the head kernel's; nothing is kept.
import { hasCode } from '../../base/index.ts';
import { decodeLabels, type Labels } from '../../model/index.ts';
import { rejectedRef, type StagedBatch, type WireBatch, type WireKernel } from '../../wasm/index.ts';
import type { SampleOrigin, WriteOutcome, WriteRejection } from '../contracts.ts';
import type { Generation, LiveHead } from '../head/generations.ts';
import { frameTypes } from '../log/frame.ts';
import type { LogWriter } from '../log/log-writer.ts';
import { SeriesRecordWriter } from '../log/series-record.ts';
import { isDeleted, type TombstoneIndex } from '../tombstones.ts';

export interface Bounds {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Rows and samples, as the kernels know them (head-contract.ts). */
export type Columns = Pick<StagedBatch, 'refs' | 'samplesEnd' | 'timestampsMs' | 'valueBits'>;

export class Ingest {
  readonly #wire: WireKernel;
  readonly #log: LogWriter;
  readonly #series = new SeriesRecordWriter();

  constructor(wire: WireKernel, log: LogWriter) {
    this.#wire = wire;
    this.#log = log;
  }

  /** Decodes; throws WIRE_CORRUPT, WIRE_TOO_LARGE. The batch is valid until the next call. */
  decode(body: Uint8Array, { minMs, maxMs }: Bounds): WireBatch {
    this.#wire.bodyBuffer(body.length).set(body);
    return this.#wire.decode(body.length, minMs, maxMs);
  }

  /**
   * Appends the batch to the generation and to the log. Throws HEAD_MEMORY_FULL (nothing appended) and LOG_FAILED (what
   * the head took is not acknowledged).
   */
  store(batch: WireBatch, generation: Generation, tombstones: TombstoneIndex): WriteOutcome {
    const { columns, rejections } = this.take(batch, generation.live, tombstones);
    if (columns.timestampsMs.length === 0) return { samplesCount: 0, duplicatesCount: 0, rejections };
    stage(generation.live, columns);
    const { appended, duplicates } = this.appendStaged(generation, 'written');
    return { samplesCount: appended + duplicates, duplicatesCount: duplicates, rejections };
  }

  /**
   * Registers the batch's new series, and gives its columns without what is deleted: views of the wire kernel's memory, or
   * copies. Throws HEAD_MEMORY_FULL.
   */
  take(
    batch: WireBatch,
    live: LiveHead,
    tombstones: TombstoneIndex,
  ): { columns: Columns; rejections: WriteRejection[] } {
    const rejections: WriteRejection[] = batch.rejections.map(({ reason, text, samplesCount }) => ({
      reason,
      text,
      samplesCount,
    }));
    registerNew(batch, live, rejections);
    const { references, samplesEnd, timestampsMs, valueBits } = batch;
    const columns = { refs: references, samplesEnd, timestampsMs, valueBits };
    if (tombstones.isEmpty || batch.samplesCount === 0) return { columns, rejections };
    const { kept, droppedCount, firstDropped } = withoutDeleted(columns, live, tombstones);
    if (firstDropped) rejections.push({ reason: 'DELETED', text: firstDropped, samplesCount: droppedCount });
    return { columns: kept, rejections };
  }

  /**
   * Appends what is staged in the generation's head to the generation and to the log. `record`: its sample record, where it
   * was encoded before. Errors as `store`.
   */
  appendStaged(
    generation: Generation,
    origin: SampleOrigin,
    record?: Uint8Array,
  ): { appended: number; duplicates: number } {
    const { live } = generation;
    const { appended, duplicates, firstUsed } = live.head.append(generation.slot);
    if (firstUsed.length > 0) this.#logSeries(live, firstUsed);
    const type = origin === 'written' ? frameTypes.samples : frameTypes.copiedSamples;
    if (appended + duplicates > 0) this.#log.append(type, record ?? live.head.encodeSamples());
    return { appended, duplicates };
  }

  #logSeries({ reader }: LiveHead, refs: Uint32Array): void {
    this.#series.clear();
    for (const ref of refs) this.#series.add(ref, reader.fingerprint(ref), reader.labelBytes(ref));
    this.#log.append(frameTypes.series, this.#series.payload());
  }
}

function registerNew(batch: WireBatch, { head }: LiveHead, rejections: WriteRejection[]): void {
  for (let i = 0; i < batch.newSeriesCount; i++) {
    try {
      batch.setReference(i, head.register(batch.newSeriesLabels(i), batch.newSeriesFingerprint(i)));
    } catch (error) {
      if (!hasCode(error, 'HEAD_BAD_LABELS')) throw error;
      const row = batch.newSeriesRow(i);
      batch.references[row] = rejectedRef;
      const samplesCount = (batch.samplesEnd[row] ?? 0) - (batch.samplesEnd[row - 1] ?? 0);
      rejections.push({ reason: 'LABELS_INVALID', text: String(error), samplesCount });
    }
  }
}

/** Copies columns into the head's staging area. */
export function stage({ head }: LiveHead, columns: Columns): void {
  const staged = head.stage(columns.refs.length, columns.timestampsMs.length);
  staged.refs.set(columns.refs);
  staged.samplesEnd.set(columns.samplesEnd);
  staged.timestampsMs.set(columns.timestampsMs);
  staged.valueBits.set(columns.valueBits);
}

/** The columns without samples in deleted ranges; deletes are rare, so this copies only where there is something to drop. */
export function withoutDeleted(
  columns: Columns,
  { reader }: LiveHead,
  tombstones: TombstoneIndex,
): { readonly kept: Columns; readonly droppedCount: number; readonly firstDropped: string | undefined } {
  const { refs, samplesEnd, timestampsMs, valueBits } = columns;
  const [minMs, maxMs] = [BigInt(tombstones.minMs), BigInt(tombstones.maxMs)];
  // What is sent is mostly newer than what is deleted.
  if (!timestampsMs.some((timestampMs) => timestampMs >= minMs && timestampMs <= maxMs)) {
    return { kept: columns, droppedCount: 0, firstDropped: undefined };
  }
  const kept: number[] = [];
  const keptEnd = new Uint32Array(refs.length);
  let firstDropped: string | undefined;
  let first = 0;
  for (let row = 0; row < refs.length; row++) {
    const ref = refs[row] as number;
    const end = samplesEnd[row] as number;
    const labels = (): Labels => decodeLabels(reader.labelBytes(ref));
    const intervals = ref < rejectedRef ? tombstones.intervals(reader.fingerprint(ref), labels) : [];
    for (let i = first; i < end; i++) {
      const timestampMs = Number(timestampsMs[i]);
      if (isDeleted(timestampMs, intervals)) {
        firstDropped ??= `series ${labels()}: the sample at ${timestampMs} is in a deleted range`;
      } else kept.push(i);
    }
    keptEnd[row] = kept.length;
    first = end;
  }
  if (firstDropped === undefined) return { kept: columns, droppedCount: 0, firstDropped };
  const keptTimestampsMs = new BigInt64Array(kept.length);
  const keptBits = new BigUint64Array(kept.length);
  for (const [at, index] of kept.entries()) {
    keptTimestampsMs[at] = timestampsMs[index] as bigint;
    keptBits[at] = valueBits[index] as bigint;
  }
  return {
    kept: { refs: refs.slice(), samplesEnd: keptEnd, timestampsMs: keptTimestampsMs, valueBits: keptBits },
    droppedCount: timestampsMs.length - kept.length,
    firstDropped,
  };
}
