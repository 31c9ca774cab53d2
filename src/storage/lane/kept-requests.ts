// Requests that a coordinator has decoded and that are under way to their owners: their samples as columns, of which any part
// can be staged again, for the own append or for a node that stands in. The memory of one is used again for the next, since
// fresh pages cost more than the copy itself.
import { assert, present } from '../../base/index.ts';
import type { StagedBatch } from '../../wasm/index.ts';

/** Columns of a batch, copied. */
export interface KeptColumns {
  readonly refs: Uint32Array;
  readonly samplesEnd: Uint32Array;
  readonly groups: Uint16Array;
  readonly timestampsMs: BigInt64Array;
  readonly valueBits: BigUint64Array;
}

/** The log's record of what this node itself appends, where a payload made it already. */
export interface KeptRecord {
  readonly groups: Uint16Array;
  readonly bytes: Uint8Array;
}

export interface KeptRequest {
  /** Of the head that the references are of. */
  readonly headId: number;
  readonly columns: KeptColumns;
  readonly record: KeptRecord | undefined;
}

interface Entry {
  readonly headId: number;
  readonly columns: KeptColumns;
  readonly buffers: ArrayBuffer[];
  record: KeptRecord | undefined;
}

const bufferBytesMin = 4096;

export class KeptRequests {
  readonly #bytesMax: number;
  readonly #idleBytesMax: number;
  readonly #entries = new Map<number, Entry>();
  readonly #idleBySize = new Map<number, ArrayBuffer[]>();
  #idleBytes = 0;
  #nextId = 1;
  #bytes = 0;

  /** `bytesMax` bounds what is kept, `idleBytesMax` the memory that waits to be used again. */
  constructor(bytesMax: number, idleBytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#idleBytesMax = idleBytesMax;
  }

  get count(): number {
    return this.#entries.size;
  }

  /** Of what is kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True when no more should be decoded until something is released. */
  get isFull(): boolean {
    return this.#bytes >= this.#bytesMax;
  }

  /** Copies the columns; gives the number of the request. */
  keep(batch: StagedBatch, headId: number): number {
    const { rowsCount, samplesCount } = batch;
    const buffer = this.#take(16 * samplesCount + 10 * rowsCount);
    const rowsAt = 16 * samplesCount;
    const columns = {
      timestampsMs: new BigInt64Array(buffer, 0, samplesCount),
      valueBits: new BigUint64Array(buffer, 8 * samplesCount, samplesCount),
      refs: new Uint32Array(buffer, rowsAt, rowsCount),
      samplesEnd: new Uint32Array(buffer, rowsAt + 4 * rowsCount, rowsCount),
      groups: new Uint16Array(buffer, rowsAt + 8 * rowsCount, rowsCount),
    };
    copyColumns(batch, columns);
    const id = this.#nextId++;
    this.#entries.set(id, { headId, columns, buffers: [buffer], record: undefined });
    this.#bytes += buffer.byteLength;
    return id;
  }

  get(id: number): KeptRequest {
    return this.#entry(id);
  }

  /** Copies the log's record of some groups of a request. */
  keepRecord(id: number, groups: Uint16Array, bytes: Uint8Array): void {
    const entry = this.#entry(id);
    const buffer = this.#take(bytes.length);
    const copy = new Uint8Array(buffer, 0, bytes.length);
    copy.set(bytes);
    entry.record = { groups, bytes: copy };
    this.#bytes += buffer.byteLength;
    entry.buffers.push(buffer);
  }

  #entry(id: number): Entry {
    return present(this.#entries.get(id), 'kept request');
  }

  release(id: number): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    this.#entries.delete(id);
    for (const buffer of entry.buffers) this.#give(buffer);
  }

  #give(buffer: ArrayBuffer): void {
    const { byteLength } = buffer;
    this.#bytes -= byteLength;
    if (this.#idleBytes + byteLength > this.#idleBytesMax) return;
    this.#idleBytes += byteLength;
    const idle = this.#idleBySize.get(byteLength);
    if (idle) idle.push(buffer);
    else this.#idleBySize.set(byteLength, [buffer]);
  }

  /** Sizes are powers of two, so that a buffer fits the next request too. */
  #take(bytes: number): ArrayBuffer {
    const size = Math.max(bufferBytesMin, 2 ** Math.ceil(Math.log2(bytes)));
    const idle = this.#idleBySize.get(size)?.pop();
    if (!idle) return new ArrayBuffer(size);
    this.#idleBytes -= size;
    return idle;
  }
}

/** Copies columns of one length to others. */
export function copyColumns(from: KeptColumns, to: KeptColumns): void {
  assert(from.refs.length === to.refs.length, 'columns have as many rows');
  to.refs.set(from.refs);
  to.samplesEnd.set(from.samplesEnd);
  to.groups.set(from.groups);
  to.timestampsMs.set(from.timestampsMs);
  to.valueBits.set(from.valueBits);
}
