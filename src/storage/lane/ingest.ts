// One write request into the head and the log, synchronously: decode, register new series, refuse what is deleted, append,
// and put the records that replay needs into the log's gathering group. Durability is the caller's next step.
// Buffers: columns are copied from the wire kernel's memory into the head kernel's; nothing is kept.
import { hasCode } from '../../base/index.ts';
import { decodeLabels } from '../../model/index.ts';
import { rejectedRef, type StagedBatch, type WireBatch, type WireKernel } from '../../wasm/index.ts';
import type { WriteOutcome, WriteRejection } from '../contracts.ts';
import type { Generation, LiveHead } from '../head/generations.ts';
import { frameTypes } from '../log/frame.ts';
import type { LogWriter } from '../log/log-writer.ts';
import { SeriesRecordWriter } from '../log/series-record.ts';
import { isDeleted, type TombstoneIndex } from '../tombstones.ts';

export interface Bounds {
  readonly minMs: number;
  readonly maxMs: number;
}

type Columns = Pick<StagedBatch, 'refs' | 'samplesEnd' | 'timestampsMs' | 'valueBits'>;

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
    const { live } = generation;
    const rejections: WriteRejection[] = batch.rejections.map(({ reason, text, samplesCount }) => ({
      reason,
      text,
      samplesCount,
    }));
    registerNew(batch, live, rejections);
    if (batch.samplesCount === 0) return { samplesCount: 0, duplicatesCount: 0, rejections };
    let columns = columnsOf(batch);
    if (!tombstones.isEmpty) columns = withoutDeleted(columns, live, tombstones, rejections);
    stage(live, columns);
    const { appended, duplicates, firstUsed } = live.head.append(generation.slot);
    if (firstUsed.length > 0) this.#logSeries(live, firstUsed);
    if (appended + duplicates > 0) this.#log.append(frameTypes.samples, live.head.encodeSamples());
    return { samplesCount: appended + duplicates, duplicatesCount: duplicates, rejections };
  }

  #logSeries({ reader }: LiveHead, refs: Uint32Array): void {
    this.#series.clear();
    for (const ref of refs) this.#series.add(ref, reader.fingerprint(ref), reader.labelBytes(ref));
    this.#log.append(frameTypes.series, this.#series.payload());
  }
}

function columnsOf(batch: WireBatch): Columns {
  const { references, samplesEnd, timestampsMs, valueBits } = batch;
  return { refs: references, samplesEnd, timestampsMs, valueBits };
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

function stage({ head }: LiveHead, columns: Columns): void {
  const staged = head.stage(columns.refs.length, columns.timestampsMs.length);
  staged.refs.set(columns.refs);
  staged.samplesEnd.set(columns.samplesEnd);
  staged.timestampsMs.set(columns.timestampsMs);
  staged.valueBits.set(columns.valueBits);
}

/** The columns without samples in deleted ranges; deletes are rare, so this copies only where there is something to drop. */
function withoutDeleted(
  columns: Columns,
  { reader }: LiveHead,
  tombstones: TombstoneIndex,
  rejections: WriteRejection[],
): Columns {
  const { refs, samplesEnd, timestampsMs, valueBits } = columns;
  const kept: number[] = [];
  const keptEnd = new Uint32Array(refs.length);
  let firstDropped: string | undefined;
  let first = 0;
  for (let row = 0; row < refs.length; row++) {
    const ref = refs[row] as number;
    const end = samplesEnd[row] as number;
    const intervals = ref < rejectedRef ? tombstones.intervals(reader.fingerprint(ref)) : [];
    for (let i = first; i < end; i++) {
      const timestampMs = Number(timestampsMs[i]);
      if (isDeleted(timestampMs, intervals)) {
        firstDropped ??= `series ${decodeLabels(reader.labelBytes(ref))}: the sample at ${timestampMs} is in a deleted range`;
      } else kept.push(i);
    }
    keptEnd[row] = kept.length;
    first = end;
  }
  if (firstDropped === undefined) return columns;
  const samplesCount = timestampsMs.length - kept.length;
  rejections.push({ reason: 'DELETED', text: firstDropped, samplesCount });
  const keptTimestampsMs = new BigInt64Array(kept.length);
  const keptBits = new BigUint64Array(kept.length);
  for (const [at, index] of kept.entries()) {
    keptTimestampsMs[at] = timestampsMs[index] as bigint;
    keptBits[at] = valueBits[index] as bigint;
  }
  return { refs, samplesEnd: keptEnd, timestampsMs: keptTimestampsMs, valueBits: keptBits };
}
