// An instance of the head kernel over shared memory (kernels/head), and the scratch regions that its bindings work in.
// Everything a binding reads or writes through a JavaScript view lies in a scratch region that it took itself, or in the
// first 256 KiB: another thread's growth may not be visible yet to this thread's views.
import { TimbalaError } from '../base/index.ts';
import type { GenerationStats, HeadStats } from './head-contract.ts';

/** The exports of kernels/head/index.ts. Unsigned results arrive as signed: `>>> 0`. */
export interface HeadExports {
  initialize(extentsLimit: number, scratchLimit: number, seedLow: number, seedHigh: number): number;
  takeScratch(extents: number): number;
  scratchAddress(index: number): number;
  scratchExtents(index: number): number;
  releaseScratch(index: number): void;
  register(labelBytes: number): number;
  openGeneration(): number;
  freezeGeneration(slot: number): void;
  dropGeneration(slot: number): void;
  append(
    slot: number,
    rows: number,
    samples: number,
    refs: number,
    samplesEnd: number,
    timestamps: number,
    values: number,
    firstUsed: number,
    counts: number,
  ): number;
  checkTimestamps(samples: number, timestamps: number): number;
  encodeSamples(
    rows: number,
    refs: number,
    samplesEnd: number,
    timestamps: number,
    values: number,
    target: number,
  ): number;
  decodeHeader(payload: number, payloadBytes: number, counts: number): number;
  decodeSamples(
    payload: number,
    payloadBytes: number,
    counts: number,
    refs: number,
    samplesEnd: number,
    timestamps: number,
    values: number,
  ): number;
  deadSeries(passing: number, passingBits: number): number;
  groupRows(
    rows: number,
    refs: number,
    samplesEnd: number,
    groupOf: number,
    groups: number,
    seen: number,
    target: number,
    counts: number,
  ): void;
  keepGroups(
    rows: number,
    refs: number,
    samplesEnd: number,
    groups: number,
    bitmap: number,
    target: number,
    counts: number,
  ): void;
  markRows(rows: number, refs: number, bitmap: number, bits: number): void;
  sumFingerprints(rows: number, refs: number): bigint;
  writePairs(rows: number, refs: number, samplesEnd: number, timestamps: number, target: number): number;
  writePartitions(refs: number, count: number, target: number): void;
  writeImage(slot: number, ref: number, startMs: number, endMs: number, target: number, capacity: number): number;
  writeFrame(
    slot: number,
    refs: number,
    count: number,
    startMs: number,
    endMs: number,
    target: number,
    capacity: number,
  ): number;
  decodeImage(
    image: number,
    imageBytes: number,
    startMs: number,
    endMs: number,
    timestamps: number,
    values: number,
    capacity: number,
    spareTimestamps: number,
    spareValues: number,
  ): number;
  holdsStale(values: number, count: number): number;
  sortRefs(slot: number, pairsCount: number, ranks: number, entries: number, target: number): number;
  findSymbol(text: number, bytes: number): number;
  findPair(name: number, value: number): number;
  pairCount(pairId: number): number;
  pairTextBytes(pairId: number, value: number): number;
  copyPairText(pairId: number, value: number, target: number): void;
  copyPairs(ref: number, target: number): number;
  copyFingerprint(ref: number, target: number): void;
  writeLabels(ref: number, target: number): number;
  writeNames(target: number, capacity: number): number;
  writePairsOfName(namePair: number, target: number, capacity: number): number;
  bitmapAddPairs(bitmap: number, refsCount: number, pairIds: number, pairsCount: number): void;
  bitmapCount(bitmap: number, refsCount: number): number;
  bitmapFill(bitmap: number, refsCount: number, all: number): void;
  bitmapIntersect(target: number, other: number, refsCount: number): void;
  bitmapSubtract(target: number, other: number, refsCount: number): void;
  bitmapTruncate(bitmap: number, refsCount: number): void;
  bitmapKeepSlots(bitmap: number, refsCount: number, slotsMask: number): void;
  bitmapMarkPairs(bitmap: number, refsCount: number, name: number, pairs: number, pairsCount: number): void;
  bitmapRefs(bitmap: number, refsCount: number, target: number): number;
}

export const extentBytes = 256 * 1024;
export const pagesPerExtent = extentBytes / 65536;
/** Memory that exists from the start; scripts/build-kernels.mjs has the same. */
export const initialPages = 64;
/** Scratch of all threads together, beside a head's own limit. */
export const scratchExtentsMax = 1024;
export const extentsMax = 2 ** 14 - 1;
export const slotsCount = 4;
export const labelBytesMax = 131072;
export const labelsMax = 512;
export const fingerprintBytes = 16;

// Addresses of kernels/head/layout.ts, as indexes of 32-bit words.
const word = {
  extentsLimit: 1024 / 4,
  usedExtents: 1056 / 4,
  scratchExtents: 1060 / 4,
  seriesCount: 1280 / 4,
  pairsCount: 1284 / 4,
  symbolsCount: 1288 / 4,
  registryExtents: 1304 / 4,
} as const;
export const inputAddress = 124928;
const generationsAddress = 4096;
const generationBytes = 4096;
const generationStates = ['free', 'active', 'frozen'] as const;

/** A part of kernel memory that one binding holds. */
export interface ScratchRegion {
  readonly index: number;
  readonly address: number;
  readonly bytes: number;
}

export class HeadKernel {
  readonly memory: WebAssembly.Memory;
  readonly exports: HeadExports;
  #buffer: ArrayBufferLike | undefined;
  #bytes: Uint8Array = new Uint8Array(0);
  #words: Uint32Array = new Uint32Array(0);
  #floats: Float64Array = new Float64Array(0);
  /** Views of the map of memory, which never moves: usable in any thread at any time. */
  readonly #mapWords: Uint32Array;
  readonly #mapBytes: DataView;

  constructor(module: WebAssembly.Module, memory: WebAssembly.Memory) {
    this.memory = memory;
    const instance = new WebAssembly.Instance(module, { env: { memory } });
    // The compiler of the kernel and HeadExports are kept alike by the tests, which call every export.
    this.exports = instance.exports as unknown as HeadExports;
    this.#mapWords = new Uint32Array(memory.buffer, 0, extentBytes / 4);
    this.#mapBytes = new DataView(memory.buffer, 0, extentBytes);
  }

  #refresh(): void {
    const { buffer } = this.memory;
    if (buffer === this.#buffer) return;
    this.#buffer = buffer;
    this.#bytes = new Uint8Array(buffer);
    this.#words = new Uint32Array(buffer);
    this.#floats = new Float64Array(buffer);
  }

  /** All of memory, as far as this thread knows; valid until memory grows. */
  get bytes(): Uint8Array {
    this.#refresh();
    return this.#bytes;
  }

  get words(): Uint32Array {
    this.#refresh();
    return this.#words;
  }

  get floats(): Float64Array {
    this.#refresh();
    return this.#floats;
  }

  /** Throws HEAD_MEMORY_FULL. Contents are undefined. */
  takeScratch(bytes: number): ScratchRegion {
    const extents = Math.ceil(Math.max(bytes, 1) / extentBytes);
    const index = extents <= scratchExtentsMax ? this.exports.takeScratch(extents) : -1;
    if (index < 0) throw memoryFull(`${bytes} bytes of scratch`, this);
    const address = this.exports.scratchAddress(index) >>> 0;
    const region = { index, address, bytes: this.exports.scratchExtents(index) * extentBytes };
    // Where another thread grew memory for it, this one may not have heard of that yet: growing by nothing tells.
    if (region.address + region.bytes > this.memory.buffer.byteLength) this.memory.grow(0);
    return region;
  }

  releaseScratch(region: ScratchRegion): void {
    this.exports.releaseScratch(region.index);
  }

  /** `region` where it is large enough, otherwise a larger one in its place; contents are not kept. */
  growScratch(region: ScratchRegion | undefined, bytes: number): ScratchRegion {
    if (region && region.bytes >= bytes) return region;
    const grown = this.takeScratch(Math.max(bytes, (region?.bytes ?? 0) * 2));
    if (region) this.releaseScratch(region);
    return grown;
  }

  get seriesCount(): number {
    return Atomics.load(this.#mapWords, word.seriesCount);
  }

  get pairsCount(): number {
    return Atomics.load(this.#mapWords, word.pairsCount);
  }

  stats(): HeadStats {
    const words = this.#mapWords;
    const at = (index: number): number => Atomics.load(words, index);
    return {
      seriesCount: at(word.seriesCount),
      pairsCount: at(word.pairsCount),
      symbolsCount: at(word.symbolsCount),
      bytes: (1 + at(word.usedExtents)) * extentBytes,
      scratchBytes: at(word.scratchExtents) * extentBytes,
      bytesMax: at(word.extentsLimit) * extentBytes,
      registryBytes: at(word.registryExtents) * extentBytes,
    };
  }

  isFrozen(slot: number): boolean {
    const state = Atomics.load(this.#mapWords, (generationsAddress + slot * generationBytes) / 4);
    return generationStates[state] === 'frozen';
  }

  generationStats(slot: number): GenerationStats {
    const base = generationsAddress + slot * generationBytes;
    const view = this.#mapBytes;
    const samplesCount = Number(view.getBigUint64(base + 24, true));
    return {
      state: generationStates[view.getUint32(base, true)] ?? 'free',
      bytes: view.getUint32(base + 8, true) * extentBytes,
      seriesCount: view.getUint32(base + 20, true),
      samplesCount,
      minMs: samplesCount === 0 ? NaN : Number(view.getBigInt64(base + 32, true)),
      maxMs: samplesCount === 0 ? NaN : Number(view.getBigInt64(base + 40, true)),
    };
  }
}

export function memoryFull(what: string, kernel: HeadKernel): TimbalaError {
  const { bytes, bytesMax } = kernel.stats();
  return new TimbalaError(
    'HEAD_MEMORY_FULL',
    `no memory for ${what}: ${bytes} of at most ${bytesMax} bytes are in use; the write was not stored, try again after the next flush`,
  );
}

/** Rounds up to a multiple of 8, the alignment of columns. */
export function align8(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
