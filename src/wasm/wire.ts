// The binding of the wire kernel (kernels/wire): untrusted remote-write bytes in, a validated columnar batch out.
// One instance, one memory, one thread. Buffers: everything that is handed out is a view of the kernel's memory. A view
// taken from `bodyBuffer` is valid until `decode`; a column of a batch until the next `decode`, but memory may grow in
// `setReference`, which detaches views: take columns from the batch anew after it.
// Values cross as bits (BigUint64Array to BigUint64Array, or bytes), never as JavaScript numbers.
import { assert, mib, present, TimbalaError } from '../base/index.ts';
import { type MetricMetadata, parseMetadata } from './wire-metadata.ts';
import { readRejections, type WireRejection } from './wire-rejections.ts';

export interface WireLimits {
  /** Longest compressed request. */
  readonly bodyBytesMax: number;
  /** Longest request after decompression; it may hold one series per 32 bytes of this, and one sample per 8. */
  readonly decompressedBytesMax: number;
  /** Memory for the raw-hash cache; about 30 bytes a series. When it is full, entries are replaced at random. */
  readonly cacheBytesMax: number;
}

/** What a sender may reasonably need: Prometheus sends about 0.5 MiB at most, other agents up to 32 MiB. */
export const defaultWireLimits: WireLimits = {
  bodyBytesMax: 32 * mib,
  decompressedBytesMax: 32 * mib,
  cacheBytesMax: 256 * mib,
};

/** In `references`: a series that the raw-hash cache does not know; it is among the batch's new series. */
export const unknownReference = 0xffffffff;
/** In `references`: a series that was refused; its samples are in the columns, and must be skipped. */
export const rejectedReference = 0xfffffffe;

/** Randomness for the key of the raw-hash cache; ports' Random is one. */
export interface RandomBytes {
  fill(target: Uint8Array): void;
}

/** A request as columns; row i is one series of it, its samples are samplesEnd[i - 1] (or 0) to samplesEnd[i] - 1. */
export interface WireBatch {
  /** Series with at least one sample in range, refused ones included. */
  readonly rowsCount: number;
  /** Samples in the columns, those of refused rows included. */
  readonly samplesCount: number;
  /** Per row: the head's reference, unknownReference or rejectedReference. Writable. */
  readonly references: Uint32Array;
  /** Per row: where its samples end in the sample columns. */
  readonly samplesEnd: Uint32Array;
  /** Per row: the series' partition, the first 16 bits of its fingerprint; undefined content for refused rows. */
  readonly partitions: Uint16Array;
  /** Per sample: ms since the epoch. */
  readonly timestampsMs: BigInt64Array;
  /** Per sample: the value's bits. */
  readonly valueBits: BigUint64Array;

  /** Rows whose reference is unknown. A series that the request repeats is here once per row. */
  readonly newSeriesCount: number;
  newSeriesRow(index: number): number;
  /** The canonical label bytes (docs/formats/labels.md), a view. */
  newSeriesLabels(index: number): Uint8Array;
  /** The 16 bytes of the fingerprint, a view. */
  newSeriesFingerprint(index: number): Uint8Array;
  /** Writes the head's reference into the row, and into the raw-hash cache, so that the next request finds it. */
  setReference(index: number, reference: number): void;

  /** One per reason, with the first series that it met; empty where all is well. */
  readonly rejections: readonly WireRejection[];
  /** Metadata of metric families (type, help, unit); malformed entries are left out. */
  readonly metadata: readonly MetricMetadata[];
}

// Words of the kernel's header (kernels/wire/layout.ts), which lies at headerAddress.
const headerAddress = 1024;
const headerWordsCount = 20;
const word = {
  rowsCount: 0,
  samplesCount: 1,
  newSeriesCount: 2,
  metadataCount: 3,
  errorOffset: 4,
  decompressedBytes: 5,
  bodyAddress: 6,
  hashKeyAddress: 7,
  hashKeyBytes: 8,
  referencesAddress: 9,
  samplesEndAddress: 10,
  partitionsAddress: 11,
  timestampsAddress: 12,
  valuesAddress: 13,
  newSeriesAddress: 14,
  metadataAddress: 15,
  rejectionsAddress: 16,
  cacheEntriesCount: 17,
  cacheBytes: 18,
} as const;
type HeaderWord = keyof typeof word;

// A record of a new series: row, address and length of the canonical labels, flags, fingerprint, raw hash.
const newSeriesBytes = 48;
const newSeriesLabelsOffset = 4;
const newSeriesLabelsBytesOffset = 8;
const newSeriesFingerprintOffset = 16;
const fingerprintBytes = 16;

const status = {
  ok: 0,
  snappyCorrupt: 1,
  protobufCorrupt: 2,
  decompressedTooLarge: 3,
  samplesTooMany: 4,
} as const;

/** Matches `initialMemory` of scripts/build-kernels.mjs; the kernel grows it to its layout at once. */
const initialPages = 64;

interface WireExports {
  initialize(bodyBytesMax: number, decompressedBytesMax: number, cacheBytesMax: number): number;
  decode(bodyBytes: number, minMs: number, maxMs: number): number;
  setReference(index: number, reference: number): void;
  clearReferences(): void;
}

export class WireKernel {
  readonly limits: WireLimits;
  readonly #module: WebAssembly.Module;
  readonly #random: RandomBytes;
  readonly #batch: Batch;
  #memory: WebAssembly.Memory;
  #exports: WireExports;

  /** Throws WIRE_MEMORY_EXHAUSTED where the memory for `limits` can't be had. */
  constructor(module: WebAssembly.Module, random: RandomBytes, limits: Partial<WireLimits> = {}) {
    this.#module = module;
    this.#random = random;
    this.limits = { ...defaultWireLimits, ...limits };
    const { memory, exports } = this.#instantiate();
    this.#memory = memory;
    this.#exports = exports;
    this.#batch = new Batch(memory, exports);
  }

  /** Room for a compressed body of so many bytes, to be filled before `decode`. Throws WIRE_TOO_LARGE. */
  bodyBuffer(bodyBytes: number): Uint8Array {
    const { bodyBytesMax } = this.limits;
    if (bodyBytes > bodyBytesMax) {
      throw new TimbalaError(
        'WIRE_TOO_LARGE',
        `the request has ${bodyBytes} bytes, at most ${bodyBytesMax} are accepted; send less at once`,
      );
    }
    return new Uint8Array(this.#memory.buffer, this.#batch.word('bodyAddress'), bodyBytes);
  }

  /**
   * Decodes the body that was put into `bodyBuffer(bodyBytes)`. Samples before `minMs` or after `maxMs` are left out and
   * reported. The batch is valid until the next call. Throws WIRE_CORRUPT (the request can never succeed), WIRE_TOO_LARGE,
   * or WIRE_KERNEL_FAILED (a defect of the kernel: the instance was rebuilt, nothing of the request was taken).
   */
  decode(bodyBytes: number, minMs: number, maxMs: number): WireBatch {
    assert(bodyBytes <= this.limits.bodyBytesMax, 'the body fits into its buffer');
    let result: number;
    try {
      result = this.#exports.decode(bodyBytes, minMs, maxMs);
    } catch (cause) {
      this.#rebuild();
      throw new TimbalaError('WIRE_KERNEL_FAILED', 'the decoder of write requests trapped; its instance was rebuilt', {
        cause,
      });
    }
    if (result !== status.ok) throw this.#decodeError(result);
    return this.#batch;
  }

  /** Forgets every reference: the head that gave them is replaced. */
  clearReferences(): void {
    this.#exports.clearReferences();
  }

  /** Entries of the raw-hash cache. */
  get cacheEntriesCount(): number {
    return this.#batch.word('cacheEntriesCount');
  }

  get cacheBytes(): number {
    return this.#batch.word('cacheBytes');
  }

  #instantiate(): { memory: WebAssembly.Memory; exports: WireExports } {
    const { bodyBytesMax, decompressedBytesMax, cacheBytesMax } = this.limits;
    let memory: WebAssembly.Memory | undefined;
    let exports: WireExports | undefined;
    let initialized = false;
    try {
      memory = new WebAssembly.Memory({ initial: initialPages });
      exports = new WebAssembly.Instance(this.#module, { env: { memory } }).exports as unknown as WireExports;
      initialized = exports.initialize(bodyBytesMax, decompressedBytesMax, cacheBytesMax) === 1;
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
    }
    if (!memory || !exports || !initialized) {
      throw new TimbalaError(
        'WIRE_MEMORY_EXHAUSTED',
        'no memory for the decoder of write requests; free some, or lower its limits',
      );
    }
    const header = new Uint32Array(memory.buffer, headerAddress, headerWordsCount);
    const keyAddress = present(header[word.hashKeyAddress], 'key address');
    // The port fills an ordinary array: Web Crypto refuses views of WebAssembly memory in some versions.
    const key = new Uint8Array(present(header[word.hashKeyBytes], 'key length'));
    // oxlint-disable-next-line unicorn/no-array-fill-with-reference-type -- the port's fill, not Array's
    this.#random.fill(key);
    new Uint8Array(memory.buffer).set(key, keyAddress);
    return { memory, exports };
  }

  #rebuild(): void {
    const { memory, exports } = this.#instantiate();
    this.#memory = memory;
    this.#exports = exports;
    this.#batch.attach(memory, exports);
  }

  #decodeError(result: number): TimbalaError {
    const offset = this.#batch.word('errorOffset');
    switch (result) {
      case status.snappyCorrupt:
        return new TimbalaError(
          'WIRE_CORRUPT',
          `snappy: invalid block at byte ${offset} of the request; nothing was stored`,
        );
      case status.protobufCorrupt:
        return new TimbalaError(
          'WIRE_CORRUPT',
          `protobuf: invalid WriteRequest at byte ${offset} of the decompressed request; nothing was stored`,
        );
      case status.decompressedTooLarge:
        return new TimbalaError(
          'WIRE_TOO_LARGE',
          `the request has ${this.#batch.word('decompressedBytes')} bytes decompressed, at most ${this.limits.decompressedBytesMax} ` +
            'are accepted; send less at once',
        );
      case status.samplesTooMany:
        return new TimbalaError(
          'WIRE_TOO_LARGE',
          'the request has more series or samples than one request may have; send less at once',
        );
      default:
        return new TimbalaError('WIRE_KERNEL_FAILED', `the decoder of write requests answered ${result}`);
    }
  }
}

/** What lies in the kernel's memory after `decode`; its own views are made anew whenever the buffer has changed. */
class Batch implements WireBatch {
  #memory: WebAssembly.Memory;
  #exports: WireExports;
  /** All of the memory. */
  #words: Uint32Array;
  #bytes: Uint8Array;

  constructor(memory: WebAssembly.Memory, exports: WireExports) {
    this.#memory = memory;
    this.#exports = exports;
    this.#words = new Uint32Array(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
  }

  attach(memory: WebAssembly.Memory, exports: WireExports): void {
    this.#memory = memory;
    this.#exports = exports;
  }

  word(name: HeaderWord): number {
    return this.#wordAt(headerAddress + 4 * word[name]);
  }

  get rowsCount(): number {
    return this.word('rowsCount');
  }

  get samplesCount(): number {
    return this.word('samplesCount');
  }

  get references(): Uint32Array {
    return new Uint32Array(this.#memory.buffer, this.word('referencesAddress'), this.rowsCount);
  }

  get samplesEnd(): Uint32Array {
    return new Uint32Array(this.#memory.buffer, this.word('samplesEndAddress'), this.rowsCount);
  }

  get partitions(): Uint16Array {
    return new Uint16Array(this.#memory.buffer, this.word('partitionsAddress'), this.rowsCount);
  }

  get timestampsMs(): BigInt64Array {
    return new BigInt64Array(this.#memory.buffer, this.word('timestampsAddress'), this.samplesCount);
  }

  get valueBits(): BigUint64Array {
    return new BigUint64Array(this.#memory.buffer, this.word('valuesAddress'), this.samplesCount);
  }

  get newSeriesCount(): number {
    return this.word('newSeriesCount');
  }

  newSeriesRow(index: number): number {
    return this.#wordAt(this.#newSeries(index));
  }

  newSeriesLabels(index: number): Uint8Array {
    const record = this.#newSeries(index);
    const address = this.#wordAt(record + newSeriesLabelsOffset);
    return this.#bytes.subarray(address, address + this.#wordAt(record + newSeriesLabelsBytesOffset));
  }

  newSeriesFingerprint(index: number): Uint8Array {
    const address = this.#newSeries(index) + newSeriesFingerprintOffset;
    return this.#bytes.subarray(address, address + fingerprintBytes);
  }

  setReference(index: number, reference: number): void {
    assert(index < this.newSeriesCount, 'the new series is one of the batch');
    assert(reference < rejectedReference, 'the reference is a series');
    this.#exports.setReference(index, reference);
  }

  get rejections(): readonly WireRejection[] {
    return readRejections(this.#memory.buffer, this.word('rejectionsAddress'));
  }

  get metadata(): readonly MetricMetadata[] {
    const count = this.word('metadataCount');
    if (count === 0) return [];
    const address = this.word('metadataAddress');
    const entries: MetricMetadata[] = [];
    for (let at = address; at < address + 8 * count; at += 8) {
      const start = this.#wordAt(at);
      const end = this.#wordAt(at + 4);
      const entry = parseMetadata(this.#bytes.subarray(start, end));
      if (entry) entries.push(entry);
    }
    return entries;
  }

  /** Address of the record of a new series. */
  #newSeries(index: number): number {
    assert(index < this.newSeriesCount, 'the new series is one of the batch');
    return this.word('newSeriesAddress') + index * newSeriesBytes;
  }

  #wordAt(address: number): number {
    const { buffer } = this.#memory;
    if (this.#words.buffer !== buffer) {
      this.#words = new Uint32Array(buffer);
      this.#bytes = new Uint8Array(buffer);
    }
    return this.#words[address >>> 2] as number;
  }
}
