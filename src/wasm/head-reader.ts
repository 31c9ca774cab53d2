// A reader of a head, in any thread: the registry (append-only, safe to read while the writer adds to it), postings, and the
// samples of frozen generations in place. Active generations are read from frames (Head.copySeries). A reader belongs to one
// thread, and its scratch to it alone; `close` gives the scratch back.
import { assert, TimbalaError } from '../base/index.ts';
import type { GenerationStats, HeadStats, SampleSink } from './head-contract.ts';
import { align8, HeadKernel, labelBytesMax, labelsMax, type ScratchRegion } from './head-kernel.ts';
import { RefSet } from './head-ref-set.ts';
import { copyOf } from './head.ts';

const absent = 0xffffffff;
const decodeCorrupt = 0xffffffff;
/** Room behind an image that its decoder may load from, never use. */
const imageSlackBytes = 32;
const imageSamplesOffset = 4;
/** A sample's place in the decoded columns, and in the spare ones. */
const sampleBytes = 32;
const sortEntryBytes = 16;
/** Longer reads are cut at windows, so that scratch stays small. */
const readSamplesMax = 65536;
/** Chunks never cross a border between windows (docs/formats/chunk.md). */
const windowMs = 7200000;

export class HeadReader {
  readonly #kernel: HeadKernel;
  #work: ScratchRegion | undefined;

  private constructor(kernel: HeadKernel) {
    this.#kernel = kernel;
  }

  static attach(module: WebAssembly.Module, memory: WebAssembly.Memory): HeadReader {
    return new HeadReader(new HeadKernel(module, memory));
  }

  stats(): HeadStats {
    return this.#kernel.stats();
  }

  generationStats(slot: number): GenerationStats {
    return this.#kernel.generationStats(slot);
  }

  /** Canonical label bytes. A copy. */
  labelBytes(ref: number): Uint8Array<ArrayBuffer> {
    this.#checkRef(ref);
    const { address } = this.#scratch(labelBytesMax);
    const bytes = this.#kernel.exports.writeLabels(ref, address);
    return copyOf(this.#kernel.bytes.subarray(address, address + bytes));
  }

  /** Its label pairs, in canonical order of their names. A copy. */
  pairsOfSeries(ref: number): Uint32Array<ArrayBuffer> {
    this.#checkRef(ref);
    const { address } = this.#scratch(labelsMax * 4);
    const count = this.#kernel.exports.copyPairs(ref, address);
    return this.#kernel.words.slice(address / 4, address / 4 + count);
  }

  /** The 16 bytes. A copy. */
  fingerprint(ref: number): Uint8Array<ArrayBuffer> {
    this.#checkRef(ref);
    const { address } = this.#scratch(16);
    this.#kernel.exports.copyFingerprint(ref, address);
    return copyOf(this.#kernel.bytes.subarray(address, address + 16));
  }

  /** The partitions of series, in the order given. A copy. */
  partitions(refs: Uint32Array): Uint16Array<ArrayBuffer> {
    for (const ref of refs) this.#checkRef(ref);
    const { address } = this.#scratch(refs.length * 6);
    const target = address + refs.length * 4;
    this.#kernel.words.set(refs, address / 4);
    this.#kernel.exports.writePartitions(address, refs.length, target);
    const bytes = copyOf(this.#kernel.bytes.subarray(target, target + refs.length * 2));
    return new Uint16Array(bytes.buffer);
  }

  #checkRef(ref: number): void {
    assert(ref < this.#kernel.seriesCount, `series reference ${ref} is registered`);
  }

  #scratch(bytes: number): ScratchRegion {
    return (this.#work = this.#kernel.growScratch(this.#work, bytes));
  }

  /** The symbol of a text, 0 where no label has it. */
  #findSymbol(text: Uint8Array): number {
    if (text.length === 0 || text.length > labelBytesMax) return 0;
    const { address } = this.#scratch(text.length);
    this.#kernel.bytes.set(text, address);
    return this.#kernel.exports.findSymbol(address, text.length) >>> 0;
  }

  /** The pair of a name and a value, or undefined where no series has it. UTF-8 bytes. */
  findPair(name: Uint8Array, value: Uint8Array): number | undefined {
    const nameSymbol = this.#findSymbol(name);
    const valueSymbol = nameSymbol === 0 ? 0 : this.#findSymbol(value);
    if (valueSymbol === 0) return undefined;
    const pair = this.#kernel.exports.findPair(nameSymbol, valueSymbol) >>> 0;
    return pair === absent ? undefined : pair;
  }

  #findNamePair(name: Uint8Array): number | undefined {
    const symbol = this.#findSymbol(name);
    if (symbol === 0) return undefined;
    const pair = this.#kernel.exports.findPair(symbol, 0) >>> 0;
    return pair === absent ? undefined : pair;
  }

  /** Label names in use, as UTF-8 (copies), in no order. */
  labelNames(): Uint8Array<ArrayBuffer>[] {
    const names = this.#list((target, capacity) => this.#kernel.exports.writeNames(target, capacity));
    return Array.from(names, (pair) => this.#pairText(pair, 0));
  }

  /** How many pairs a label name has: only ever grows, by what comes first in `pairsOfName`. */
  pairsOfNameCount(name: Uint8Array): number {
    const pair = this.#findNamePair(name);
    return pair === undefined ? 0 : this.#kernel.exports.pairCount(pair) >>> 0;
  }

  /** All pairs of a label name, newest first; empty for an unknown name. A copy. */
  pairsOfName(name: Uint8Array): Uint32Array<ArrayBuffer> {
    const pair = this.#findNamePair(name);
    if (pair === undefined) return new Uint32Array(0);
    return this.#list((target, capacity) => this.#kernel.exports.writePairsOfName(pair, target, capacity));
  }

  /** A list that the kernel writes to scratch, however long. */
  #list(write: (target: number, capacity: number) => number): Uint32Array<ArrayBuffer> {
    let count = 1024;
    while (true) {
      const { address, bytes } = this.#scratch(count * 4);
      count = write(address, bytes / 4) >>> 0;
      if (count * 4 <= bytes) return this.#kernel.words.slice(address / 4, address / 4 + count);
    }
  }

  /** The value of a pair, UTF-8. A copy. */
  pairValue(pairId: number): Uint8Array<ArrayBuffer> {
    return this.#pairText(pairId, 1);
  }

  /** The label name of a pair, UTF-8. A copy. */
  pairName(pairId: number): Uint8Array<ArrayBuffer> {
    return this.#pairText(pairId, 0);
  }

  #pairText(pairId: number, value: 0 | 1): Uint8Array<ArrayBuffer> {
    assert(pairId < this.#kernel.pairsCount, `label pair ${pairId} is registered`);
    const bytes = this.#kernel.exports.pairTextBytes(pairId, value) >>> 0;
    const { address } = this.#scratch(bytes);
    this.#kernel.exports.copyPairText(pairId, value, address);
    return copyOf(this.#kernel.bytes.subarray(address, address + bytes));
  }

  /** How many series have the pair. */
  pairSeriesCount(pairId: number): number {
    assert(pairId < this.#kernel.pairsCount, `label pair ${pairId} is registered`);
    return this.#kernel.exports.pairCount(pairId) >>> 0;
  }

  /** Every series registered by now, or (`empty`) none. */
  refSet(start: 'all' | 'empty'): RefSet {
    return new RefSet(this.#kernel, start, (name) => this.#findSymbol(name));
  }

  /** The series of a frozen generation, in label order (Labels.compare): for the flush. A copy. */
  sortedRefs(slot: number): Uint32Array<ArrayBuffer> {
    const { state, seriesCount } = this.generationStats(slot);
    assert(state === 'frozen', `slot ${slot} is frozen`);
    const { pairsCount } = this.#kernel;
    const refsBytes = align8(seriesCount * 4);
    const ranksBytes = align8(pairsCount * 4);
    const entriesBytes = Math.max(seriesCount, pairsCount) * sortEntryBytes;
    // A region of its own: it is large, and needed once in a while.
    const region = this.#kernel.takeScratch(refsBytes + ranksBytes + entriesBytes);
    try {
      const { address } = region;
      const ranks = address + refsBytes;
      const count = this.#kernel.exports.sortRefs(slot, pairsCount, ranks, ranks + ranksBytes, address);
      return this.#kernel.words.slice(address / 4, address / 4 + count);
    } finally {
      this.#kernel.releaseScratch(region);
    }
  }

  /**
   * Appends a series' samples within [startMs, endMs] of a *frozen* generation to `into`: in time order, merged, one per
   * timestamp. Returns how many. Sets `into.mayHoldStale` where one is a stale marker, and clears `into.timestampsKey`.
   */
  readSeries(slot: number, ref: number, startMs: number, endMs: number, into: SampleSink): number {
    assert(this.#kernel.isFrozen(slot), `slot ${slot} is frozen`);
    return this.#readInPlace(slot, ref, startMs, endMs, into);
  }

  #readInPlace(slot: number, ref: number, startMs: number, endMs: number, into: SampleSink): number {
    let region = this.#scratch(1);
    let imageBytes = this.#writeImage(slot, ref, startMs, endMs, region);
    if (imageBytes + imageSlackBytes > region.bytes) {
      region = this.#scratch(imageBytes + imageSlackBytes);
      imageBytes = this.#writeImage(slot, ref, startMs, endMs, region);
    }
    if (imageBytes === 0) return 0;
    const samples = this.#kernel.words[(region.address + imageSamplesOffset) / 4] as number;
    if (samples > readSamplesMax) {
      const { minMs, maxMs } = this.generationStats(slot);
      const firstWindow = Math.floor(Math.max(startMs, minMs) / windowMs);
      const lastWindow = Math.floor(Math.min(endMs, maxMs) / windowMs);
      if (firstWindow < lastWindow) {
        const middleMs = (firstWindow + Math.ceil((lastWindow - firstWindow) / 2)) * windowMs;
        const before = this.#readInPlace(slot, ref, startMs, middleMs - 1, into);
        return before + this.#readInPlace(slot, ref, middleMs, endMs, into);
      }
    }
    const needed = columnsOffset(imageBytes) + samples * sampleBytes;
    if (needed > region.bytes) {
      region = this.#scratch(needed);
      this.#writeImage(slot, ref, startMs, endMs, region);
    }
    return this.#decode(region, imageBytes, samples, startMs, endMs, into);
  }

  #writeImage(slot: number, ref: number, startMs: number, endMs: number, region: ScratchRegion): number {
    return this.#kernel.exports.writeImage(slot, ref, startMs, endMs, region.address, region.bytes) >>> 0;
  }

  /** Decodes the image at the begin of a region that is large enough for its columns too. */
  #decode(
    region: ScratchRegion,
    imageBytes: number,
    samples: number,
    startMs: number,
    endMs: number,
    into: SampleSink,
  ): number {
    const kernel = this.#kernel;
    const timestamps = region.address + columnsOffset(imageBytes);
    const columnBytes = samples * 8;
    const values = timestamps + columnBytes;
    const count =
      kernel.exports.decodeImage(
        region.address,
        imageBytes,
        startMs,
        endMs,
        timestamps,
        values,
        samples,
        values + columnBytes,
        values + 2 * columnBytes,
      ) >>> 0;
    if (count === decodeCorrupt) {
      throw new TimbalaError(
        'HEAD_FRAME_CORRUPT',
        `a chunk image of ${imageBytes} bytes contradicts itself; memory is damaged`,
      );
    }
    into.timestampsKey = undefined;
    if (count === 0) return 0;
    into.reserve(count);
    const { floats } = kernel;
    into.timestampsMs.set(floats.subarray(timestamps / 8, timestamps / 8 + count), into.count);
    into.values.set(floats.subarray(values / 8, values / 8 + count), into.count);
    into.count += count;
    if (!into.mayHoldStale && kernel.exports.holdsStale(values, count)) into.mayHoldStale = true;
    return count;
  }

  /** Opens what Head.copySeries gave; `bytes` must stay unchanged while the frame is in use. Throws HEAD_FRAME_CORRUPT. */
  openFrame(bytes: Uint8Array): HeadFrame {
    return new HeadFrame(bytes, (image, startMs, endMs, into) => this.#readImage(image, startMs, endMs, into));
  }

  #readImage(image: Uint8Array, startMs: number, endMs: number, into: SampleSink): number {
    const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
    const samples = view.getUint32(imageSamplesOffset, true);
    // Two bits a sample at least: a damaged count must not become a large allocation.
    if (samples > image.length * 4) throw frameCorrupt(`${samples} samples in ${image.length} bytes`);
    const region = this.#scratch(columnsOffset(image.length) + samples * sampleBytes);
    this.#kernel.bytes.set(image, region.address);
    return this.#decode(region, image.length, samples, startMs, endMs, into);
  }

  /** Gives this reader's scratch memory back to the head. */
  close(): void {
    if (this.#work) this.#kernel.releaseScratch(this.#work);
    this.#work = undefined;
  }
}

/** Where an image's columns begin, from the begin of its region. */
function columnsOffset(imageBytes: number): number {
  return align8(imageBytes + imageSlackBytes);
}

function frameCorrupt(what: string): TimbalaError {
  return new TimbalaError('HEAD_FRAME_CORRUPT', `${what}; the query cannot be answered`);
}

type ReadImage = (image: Uint8Array, startMs: number, endMs: number, into: SampleSink) => number;

/** Copied chunks of some series of an active generation. */
export class HeadFrame {
  readonly seriesCount: number;
  readonly #bytes: Uint8Array;
  readonly #offsets: DataView;
  readonly #readImage: ReadImage;

  constructor(bytes: Uint8Array, readImage: ReadImage) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const count = bytes.length < 8 ? -1 : view.getUint32(0, true);
    if (count < 0 || 8 + (count + 1) * 4 > bytes.length) throw frameCorrupt(`frame of ${bytes.length} bytes`);
    this.seriesCount = count;
    this.#bytes = bytes;
    this.#offsets = view;
    this.#readImage = readImage;
  }

  /** As HeadReader.readSeries, for the i-th of the references that the frame was made for. */
  read(index: number, startMs: number, endMs: number, into: SampleSink): number {
    assert(index < this.seriesCount, `series ${index} is in the frame`);
    const start = this.#offsets.getUint32(8 + index * 4, true);
    const end = this.#offsets.getUint32(12 + index * 4, true);
    if (start === end) return 0;
    if (start > end || end > this.#bytes.length || end - start < 8) throw frameCorrupt(`image of series ${index}`);
    return this.#readImage(this.#bytes.subarray(start, end), startMs, endMs, into);
  }
}
