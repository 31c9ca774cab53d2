// The head's one writer: registry, generations, appending, the log's sample records. See head-contract.ts for the words.
// Belongs to one thread. Staged columns, and what `encodeSamples` returns, are views of kernel memory.
import { assert, present, TimbalaError } from '../base/index.ts';
import type { AppendOutcome, GenerationStats, HeadStats, StagedBatch } from './head-contract.ts';
import {
  align8,
  extentBytes,
  extentsMax,
  fingerprintBytes,
  HeadKernel,
  initialPages,
  inputAddress,
  labelBytesMax,
  labelsMax,
  memoryFull,
  pagesPerExtent,
  scratchExtentsMax,
  type ScratchRegion,
  slotsCount,
} from './head-kernel.ts';

export interface HeadOptions {
  /**
   * Limit of registry and generations (4 MiB to 3.75 GiB); over it, calls that need more fail with HEAD_MEMORY_FULL. Scratch
   * (staging, records, reads) comes on top, at most 256 MiB.
   */
  readonly bytesMax: number;
  /** Secret of the hash tables; ports' Random is one. Without it they can be attacked by chosen label values. */
  readonly random?: { fill(target: Uint8Array): void };
}

// Results of the kernel's `register` and `append`, and the states of its record decoder.
const registerFull = 0xffffffff;
const registerBadLabels = 0xfffffffe;
const appendStatus = { appended: 0, full: 1, badBatch: 2, notActive: 3 } as const;
const recordStatus = { decoded: 0, corrupt: 1, unknownVersion: 2 } as const;
const recordHeaderBytes = 16;
const recordRowBytesMax = 10;
const recordSampleBytesMax = 17;
const recordSlackBytes = 32;
/** Where a staging region keeps counts that the kernel gives back. */
const countsBytes = 16;
const partitionsCount = 65_536;
const bitmapBytes = partitionsCount / 8;
const groupTableBytes = 2 * partitionsCount;

interface Staging extends StagedBatch {
  readonly addresses: {
    readonly counts: number;
    readonly refs: number;
    readonly samplesEnd: number;
    readonly firstUsed: number;
    readonly groups: number;
    readonly timestamps: number;
    readonly values: number;
  };
}

export class Head {
  readonly #kernel: HeadKernel;
  #stagingRegion: ScratchRegion | undefined;
  #outputRegion: ScratchRegion | undefined;
  #staging: Staging | undefined;
  /** A bitmap by reference, see `markPassing`. */
  #passing: ScratchRegion | undefined;
  #passingBits = 0;
  /** The table of groups, and two bitmaps to work with. */
  #grouping: ScratchRegion | undefined;

  private constructor(kernel: HeadKernel) {
    this.#kernel = kernel;
  }

  static create(module: WebAssembly.Module, options: HeadOptions): Head {
    const limitExtents = Math.min(extentsMax - scratchExtentsMax, Math.floor(options.bytesMax / extentBytes));
    assert(limitExtents * pagesPerExtent >= initialPages, `bytesMax ${options.bytesMax} is below 4 MiB`);
    const memory = new WebAssembly.Memory({
      initial: initialPages,
      maximum: (limitExtents + scratchExtentsMax) * pagesPerExtent,
      shared: true,
    });
    const kernel = new HeadKernel(module, memory);
    const seed = new Uint32Array(2);
    options.random?.fill(new Uint8Array(seed.buffer));
    const laidOut = kernel.exports.initialize(limitExtents, scratchExtentsMax, seed[0] ?? 0, seed[1] ?? 0);
    assert(laidOut, 'a fresh head fits into its initial memory');
    return new Head(kernel);
  }

  /** To be posted to other threads, for HeadReader.attach. */
  get memory(): WebAssembly.Memory {
    return this.#kernel.memory;
  }

  /**
   * Finds or creates a series. `labels`: canonical label bytes (docs/formats/labels.md); `fingerprint`: its 16 bytes.
   * Throws HEAD_MEMORY_FULL (nothing changed) or HEAD_BAD_LABELS (bytes that are no canonical label set, or more than 128 KiB
   * or 512 labels).
   */
  register(labels: Uint8Array, fingerprint: Uint8Array): number {
    assert(fingerprint.length === fingerprintBytes, 'a fingerprint has 16 bytes');
    if (labels.length > labelBytesMax) throw badLabels(labels);
    const { bytes } = this.#kernel;
    bytes.set(fingerprint, inputAddress);
    bytes.set(labels, inputAddress + fingerprintBytes);
    const ref = this.#kernel.exports.register(labels.length) >>> 0;
    if (ref === registerFull) throw memoryFull('one more series', this.#kernel);
    if (ref === registerBadLabels) throw badLabels(labels);
    return ref;
  }

  /** Opens a generation in a free slot. Throws HEAD_NO_SLOT where all four are live. */
  openGeneration(): number {
    const slot = this.#kernel.exports.openGeneration();
    if (slot === slotsCount) {
      throw new TimbalaError(
        'HEAD_NO_SLOT',
        `${slotsCount} generations are live; a flush must end before the next one`,
      );
    }
    return slot;
  }

  /** No append may follow. From here on, readers may read the slot in place. */
  freezeGeneration(slot: number): void {
    assert(this.generationStats(slot).state === 'active', `slot ${slot} is active`);
    this.#kernel.exports.freezeGeneration(slot);
  }

  /** Gives the slot's memory back. The caller has made sure that nobody reads it any more. */
  dropGeneration(slot: number): void {
    assert(this.generationStats(slot).state !== 'free', `slot ${slot} is live`);
    this.#kernel.exports.dropGeneration(slot);
  }

  /** Makes room for a batch; the caller then fills the columns. Throws HEAD_MEMORY_FULL. */
  stage(rowsCount: number, samplesCount: number): StagedBatch {
    const rowColumnBytes = align8(rowsCount * 4);
    const groupColumnBytes = align8(rowsCount * 2);
    const bytes = countsBytes + 3 * rowColumnBytes + groupColumnBytes + samplesCount * 16;
    this.#staging = undefined;
    this.#stagingRegion = this.#kernel.growScratch(this.#stagingRegion, bytes);
    const counts = this.#stagingRegion.address;
    const refs = counts + countsBytes;
    const samplesEnd = refs + rowColumnBytes;
    const firstUsed = samplesEnd + rowColumnBytes;
    const groups = firstUsed + rowColumnBytes;
    const timestamps = groups + groupColumnBytes;
    const values = timestamps + samplesCount * 8;
    const { buffer } = this.#kernel.bytes;
    this.#staging = {
      rowsCount,
      samplesCount,
      refs: new Uint32Array(buffer, refs, rowsCount),
      samplesEnd: new Uint32Array(buffer, samplesEnd, rowsCount),
      groups: new Uint16Array(buffer, groups, rowsCount),
      timestampsMs: new BigInt64Array(buffer, timestamps, samplesCount),
      valueBits: new BigUint64Array(buffer, values, samplesCount),
      addresses: { counts, refs, samplesEnd, firstUsed, groups, timestamps, values },
    };
    return this.#staging;
  }

  /** What `stage` or `decodeSamples` gave last. */
  get staged(): StagedBatch {
    return this.#staged();
  }

  #staged(): Staging {
    assert(this.#staging, 'a batch is staged');
    return this.#staging;
  }

  /**
   * Appends the staged batch to an active generation: all of it, or (HEAD_MEMORY_FULL, thrown before anything changed)
   * nothing. The staged columns stay as they are, so `encodeSamples` may come before or after.
   */
  append(slot: number): AppendOutcome {
    const { rowsCount, samplesCount, addresses } = this.#staged();
    const { refs, samplesEnd, timestamps, values, firstUsed, counts } = addresses;
    const kernel = this.#kernel;
    const status = kernel.exports.append(
      slot,
      rowsCount,
      samplesCount,
      refs,
      samplesEnd,
      timestamps,
      values,
      firstUsed,
      counts,
    );
    if (status === appendStatus.full) throw memoryFull(`a batch of ${samplesCount} samples`, kernel);
    assert(status !== appendStatus.notActive, `slot ${slot} is active`);
    assert(status !== appendStatus.badBatch, 'staged references, ranges and timestamps are valid');
    const { words } = kernel;
    const count = (index: number): number => words[counts / 4 + index] as number;
    return {
      appended: count(0),
      duplicates: count(1),
      firstUsed: words.slice(firstUsed / 4, firstUsed / 4 + count(2)),
    };
  }

  /**
   * The staged batch, without its unknown and rejected rows, as the payload of a log sample record
   * (docs/formats/log-samples.md). A view of kernel memory, valid until the next call on this head: copy it before any
   * asynchronous I/O.
   */
  encodeSamples(): Uint8Array {
    const { rowsCount, samplesCount, addresses } = this.#staged();
    const bytesMax =
      recordHeaderBytes + rowsCount * recordRowBytesMax + samplesCount * recordSampleBytesMax + recordSlackBytes;
    this.#outputRegion = this.#kernel.growScratch(this.#outputRegion, bytesMax);
    const { address } = this.#outputRegion;
    const { refs, samplesEnd, timestamps, values } = addresses;
    const bytes = this.#kernel.exports.encodeSamples(rowsCount, refs, samplesEnd, timestamps, values, address);
    return this.#kernel.bytes.subarray(address, address + bytes);
  }

  /**
   * Decodes such a payload into the staged columns. Its refs are the writer's of that time: the caller replaces them in
   * `refs` by its own (unknownRef skips the row) and then appends. Throws LOG_SAMPLES_CORRUPT; never reads past `payload`.
   */
  decodeSamples(payload: Uint8Array): StagedBatch {
    const kernel = this.#kernel;
    this.#outputRegion = kernel.growScratch(this.#outputRegion, countsBytes + payload.length + recordSlackBytes);
    const counts = this.#outputRegion.address;
    const source = counts + countsBytes;
    kernel.bytes.set(payload, source);
    let status = kernel.exports.decodeHeader(source, payload.length, counts);
    if (status === recordStatus.decoded) {
      const { words } = kernel;
      this.stage(words[counts / 4] as number, words[counts / 4 + 1] as number);
      const { refs, samplesEnd, timestamps, values } = this.#staged().addresses;
      status = kernel.exports.decodeSamples(source, payload.length, counts, refs, samplesEnd, timestamps, values);
    }
    if (status !== recordStatus.decoded) {
      this.#staging = undefined;
      const reason = status === recordStatus.unknownVersion ? `unknown version ${payload[0]}` : 'malformed content';
      throw new TimbalaError('LOG_SAMPLES_CORRUPT', `sample record of ${payload.length} bytes: ${reason}`);
    }
    return this.#staged();
  }

  /**
   * Copies the chunks that overlap [startMs, endMs] of these series (whether or not they have any) out of a generation:
   * how another thread reads the active one. `HeadReader.openFrame` reads it. At most about 1 µs a series: slice long lists.
   */
  copySeries(slot: number, refs: Uint32Array, startMs: number, endMs: number): Uint8Array<ArrayBuffer> {
    const kernel = this.#kernel;
    const refsBytes = align8(refs.length * 4);
    let frameBytes = refs.length * 128;
    while (true) {
      const region = kernel.growScratch(this.#outputRegion, refsBytes + frameBytes);
      this.#outputRegion = region;
      kernel.words.set(refs, region.address / 4);
      const frame = region.address + refsBytes;
      const capacity = region.bytes - refsBytes;
      frameBytes = kernel.exports.writeFrame(slot, region.address, refs.length, startMs, endMs, frame, capacity) >>> 0;
      if (frameBytes <= capacity) return copyOf(kernel.bytes.subarray(frame, frame + frameBytes));
    }
  }

  stats(): HeadStats {
    return this.#kernel.stats();
  }

  generationStats(slot: number): GenerationStats {
    return this.#kernel.generationStats(slot);
  }

  /**
   * Registered series without a sample in any live generation that did not pass through either (`markPassing`), as a share of
   * all (0 to 1): over 1/3, start a new head.
   */
  deadSeriesShare(): number {
    const { seriesCount } = this.#kernel;
    const dead = this.#kernel.exports.deadSeries(this.#passing?.address ?? 0, this.#passingBits);
    return seriesCount === 0 ? 0 : dead / seriesCount;
  }

  /** The staged series are in use, also where no generation keeps a sample of them: they are other nodes'. */
  markPassing(): void {
    const { rowsCount, addresses } = this.#staged();
    const { seriesCount } = this.#kernel;
    if (seriesCount > this.#passingBits) this.#growPassing(seriesCount);
    this.#kernel.exports.markRows(rowsCount, addresses.refs, this.#passing?.address ?? 0, this.#passingBits);
  }

  /** Which series pass through is asked anew from here on. */
  clearPassing(): void {
    const address = this.#passing?.address ?? 0;
    this.#kernel.bytes.fill(0, address, address + this.#passingBits / 8);
  }

  #growPassing(bitsMin: number): void {
    const old = this.#passing;
    const oldBytes = this.#passingBits / 8;
    const region = this.#kernel.takeScratch(Math.max(bitsMin / 8, 2 * oldBytes));
    const { bytes } = this.#kernel;
    bytes.fill(0, region.address, region.address + region.bytes);
    if (old) {
      bytes.copyWithin(region.address, old.address, old.address + oldBytes);
      this.#kernel.releaseScratch(old);
    }
    this.#passing = region;
    this.#passingBits = region.bytes * 8;
  }

  /** Says which group each partition is of; a group is a number below 65,536. */
  setGroups(groupOf: Uint16Array): void {
    assert(groupOf.length === partitionsCount, 'each partition has a group');
    this.#grouping ??= this.#kernel.takeScratch(groupTableBytes + 2 * bitmapBytes);
    this.#kernel.bytes.set(new Uint8Array(groupOf.buffer, groupOf.byteOffset, groupTableBytes), this.#grouping.address);
  }

  /**
   * Finds the groups of the staged rows, in the staged column `groups`; rows without samples become rejected ones. Gives each
   * group that there is, once: a copy.
   */
  groupRows(): { readonly groups: Uint16Array<ArrayBuffer>; readonly samplesCount: number } {
    const { rowsCount, addresses } = this.#staged();
    const { refs, samplesEnd, firstUsed, groups, counts } = addresses;
    const { address } = present(this.#grouping, 'table of groups');
    const kernel = this.#kernel;
    const seen = address + groupTableBytes;
    kernel.bytes.fill(0, seen, seen + bitmapBytes);
    // The column for first uses is free until the next append.
    kernel.exports.groupRows(rowsCount, refs, samplesEnd, address, groups, seen, firstUsed, counts);
    const { words, bytes } = kernel;
    const found = new Uint16Array(bytes.buffer, firstUsed, words[counts / 4] as number);
    return { groups: Uint16Array.from(found), samplesCount: words[counts / 4 + 1] as number };
  }

  /**
   * Keeps, of the staged batch, the rows whose groups are in `bitmap` (8,192 bytes, bit g of the little-endian bitmap); all
   * other rows become rejected ones. Gives the references of the rows that are left: a copy.
   */
  keepGroups(bitmap: Uint8Array): { readonly refs: Uint32Array<ArrayBuffer>; readonly samplesCount: number } {
    assert(bitmap.length === bitmapBytes, 'a bitmap has a bit for each group');
    const { rowsCount, addresses } = this.#staged();
    const { refs, samplesEnd, firstUsed, groups, counts } = addresses;
    const kernel = this.#kernel;
    const wanted = present(this.#grouping, 'table of groups').address + groupTableBytes + bitmapBytes;
    kernel.bytes.set(bitmap, wanted);
    kernel.exports.keepGroups(rowsCount, refs, samplesEnd, groups, wanted, firstUsed, counts);
    const { words } = kernel;
    const keptCount = words[counts / 4] as number;
    return {
      refs: words.slice(firstUsed / 4, firstUsed / 4 + keptCount),
      samplesCount: words[counts / 4 + 1] as number,
    };
  }

  /** The pairs of the staged batch, window number × 65,536 + partition, each at least once. A copy. */
  stagedPairs(): Float64Array<ArrayBuffer> {
    const { rowsCount, samplesCount, addresses } = this.#staged();
    const { refs, samplesEnd, timestamps } = addresses;
    const kernel = this.#kernel;
    this.#outputRegion = kernel.growScratch(this.#outputRegion, samplesCount * 8);
    const { address } = this.#outputRegion;
    const count = kernel.exports.writePairs(rowsCount, refs, samplesEnd, timestamps, address) >>> 0;
    return kernel.floats.slice(address / 8, address / 8 + count) as Float64Array<ArrayBuffer>;
  }

  /** Whether every staged timestamp is one that can be stored: what an untrusted batch must be asked before `append`. */
  hasValidTimestamps(): boolean {
    const { samplesCount, addresses } = this.#staged();
    return this.#kernel.exports.checkTimestamps(samplesCount, addresses.timestamps) !== 0;
  }

  /** The sum, modulo 2⁶⁴, of the first halves of the fingerprints of the staged rows. */
  fingerprintSum(): bigint {
    const { rowsCount, addresses } = this.#staged();
    return BigInt.asUintN(64, this.#kernel.exports.sumFingerprints(rowsCount, addresses.refs));
  }
}

function badLabels(labels: Uint8Array): TimbalaError {
  return new TimbalaError(
    'HEAD_BAD_LABELS',
    `${labels.length} bytes are not a canonical label set of at most ${labelBytesMax} bytes and ${labelsMax} labels`,
  );
}

/** A copy that is not shared. */
export function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy;
}
