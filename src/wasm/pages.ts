// The binding of the pages kernel: encodes and decodes the pages of parts (docs/formats/pages.md), hashes values and label
// bytes, and adds up digests. One instance belongs to one thread. Views that it hands out lie in the kernel's memory: they
// are valid until the next call, and what is to last must be copied. Values cross as memory only, so that every bit lasts.
import { assert, TimbalaError } from '../base/index.ts';

/** Most samples in a page. */
export const pageSamplesMax = 2048;
/** Slots for the mantissas of pages that others are differences from: the first half for writers, the rest for readers. */
export const pageBaseSlots = 256;
/** The longest page: raw values and a byte of kind; nothing longer is ever written. */
export const pageBytesMax = 1 + pageSamplesMax * 8;

/** Kinds of value pages, as this side needs to know them: the low four bits of a page's first byte. */
export const pageKind = {
  same: 0,
  line: 1,
  delta: 2,
  slope: 3,
  differenceDelta: 4,
  differenceSlope: 5,
  planes: 6,
  reference: 7,
};
export const pageKindMask = 15;
export const pageFlagStale = 16;
export const pageFlagBase = 64;
/** The exponent, in the second byte of kinds `line` to `differenceSlope`. */
export const pageExponentMask = 31;

/** What the kernel's numbers mean; it reports the first fault that it finds. */
const faults = [
  '',
  'its count or length is out of bounds',
  'its kind is unknown',
  'its exponent is above 22',
  'the page it is a difference from is missing',
  'its distance to that page is malformed',
  'its integers are malformed',
  'its distances are malformed',
  'its exceptions are malformed',
  'its length does not fit its contents',
  'its timestamps do not ascend',
  'its shift is malformed',
];

interface PagesExports {
  initialize(): void;
  valuesAddress(): number;
  timesAddress(): number;
  pageAddress(): number;
  resultAddress(): number;
  hashKeyAddress(): number;
  fingerprintAddress(): number;
  hashInputAddress(): number;
  encodeValues(count: number, baseSlot: number, baseExponent: number, baseDistance: number): number;
  keepBase(slot: number, count: number): void;
  decodeValues(length: number, count: number, baseSlot: number, keepSlot: number): number;
  holdsStale(count: number): number;
  encodeTimes(count: number, slotStartMs: number): number;
  decodeTimes(length: number, count: number, slotStartMs: number): number;
  hashValues(count: number): void;
  hashBytes(length: number, k0: bigint, k1: bigint): void;
  digest(count: number): void;
}

/** A page that the next one may be a difference from: its slot, its exponent, and how many pages it lies before. */
export interface PageBase {
  readonly slot: number;
  readonly exponent: number;
  readonly distance: number;
}

// "timbala.series.1", the key of fingerprints.
const fingerprintKey = new DataView(new TextEncoder().encode('timbala.series.1').buffer);
const fingerprintKey0 = fingerprintKey.getBigUint64(0, true);
const fingerprintKey1 = fingerprintKey.getBigUint64(8, true);

export class PagesKernel {
  readonly #exports: PagesExports;
  readonly #memory: WebAssembly.Memory;
  /** Values and timestamps of one page, decoded or to be encoded. */
  #values: Float64Array<ArrayBuffer>;
  #times: Float64Array<ArrayBuffer>;
  #page: Uint8Array<ArrayBuffer>;
  #result: Uint8Array<ArrayBuffer>;
  #sums: BigUint64Array<ArrayBuffer>;
  #memoryBytes = 0;
  #digestLow = 0n;
  #digestHigh = 0n;
  readonly #baseOwners: (object | undefined)[] = Array.from({ length: pageBaseSlots });

  constructor(module: WebAssembly.Module) {
    this.#memory = new WebAssembly.Memory({ initial: 80 });
    const instance = new WebAssembly.Instance(module, { env: { memory: this.#memory } });
    this.#exports = instance.exports as unknown as PagesExports;
    this.#exports.initialize();
    this.#values = this.#times = new Float64Array(0);
    this.#page = this.#result = new Uint8Array(0);
    this.#sums = new BigUint64Array(0);
    this.#deriveViews();
  }

  /** Growing the memory detaches its views. */
  #deriveViews(): void {
    // Not shared: a plain ArrayBuffer.
    const buffer = this.#memory.buffer as ArrayBuffer;
    this.#memoryBytes = buffer.byteLength;
    this.#values = new Float64Array(buffer, this.#exports.valuesAddress(), pageSamplesMax);
    this.#times = new Float64Array(buffer, this.#exports.timesAddress(), pageSamplesMax);
    this.#page = new Uint8Array(buffer, this.#exports.pageAddress(), pageBytesMax);
    this.#result = new Uint8Array(buffer, this.#exports.resultAddress(), 16);
    this.#sums = new BigUint64Array(buffer, this.#exports.resultAddress(), 2);
  }

  /** The values last set or decoded, by index in their page. */
  get values(): Float64Array<ArrayBuffer> {
    return this.#values;
  }

  /** The timestamps last set or decoded. */
  get times(): Float64Array<ArrayBuffer> {
    return this.#times;
  }

  setValues(source: Float64Array, from: number, to: number): void {
    this.#values.set(source.subarray(from, to));
  }

  setTimes(source: Float64Array, from: number, to: number): void {
    this.#times.set(source.subarray(from, to));
  }

  /** Encodes the first `count` values set; with `base` as a difference from it where that is smaller. */
  encodeValues(count: number, base: PageBase | undefined): Uint8Array<ArrayBuffer> {
    assert(count > 0 && count <= pageSamplesMax, 'a page has 1 to 2,048 samples');
    const length = base
      ? this.#exports.encodeValues(count, base.slot, base.exponent, base.distance)
      : this.#exports.encodeValues(count, -1, 0, 0);
    assert(length <= 1 + count * 8, 'no page is longer than its values');
    return this.#page.subarray(0, length);
  }

  /** Keeps the mantissas of the page encoded last; `owner` is whom they belong to until the slot is taken again. */
  keepBase(slot: number, count: number, owner: object): void {
    this.#exports.keepBase(slot, count);
    this.#baseOwners[slot] = owner;
  }

  /** Whose mantissas the slot holds: parts and writers share the slots, and each looks before it relies on one. */
  baseOwner(slot: number): object | undefined {
    return this.#baseOwners[slot];
  }

  /**
   * Decodes a page of any kind but `reference` to `values`. `baseSlot`: where its base's mantissas were kept, or −1;
   * `keepSlot`: where to keep its own, for `owner`, if its flag says that it is a base, or −1. The two may be the same.
   * Throws PAGE_CORRUPT.
   */
  decodeValues(page: Uint8Array, count: number, baseSlot: number, keepSlot: number, owner?: object): void {
    this.#setPage(page);
    if (keepSlot >= 0 && ((page[0] as number) & pageFlagBase) !== 0) this.#baseOwners[keepSlot] = owner;
    const fault = this.#exports.decodeValues(page.length, count, baseSlot, keepSlot);
    if (fault !== 0) {
      if (keepSlot >= 0) this.#baseOwners[keepSlot] = undefined;
      throw pageCorrupt('value', fault);
    }
  }

  /** Encodes the first `count` timestamps set, relative to the start of their slot. */
  encodeTimes(count: number, slotStartMs: number): Uint8Array<ArrayBuffer> {
    assert(count > 0 && count <= pageSamplesMax, 'a page has 1 to 2,048 samples');
    return this.#page.subarray(0, this.#exports.encodeTimes(count, slotStartMs));
  }

  /** Decodes a page of timestamps to `times`, strictly ascending. Throws PAGE_CORRUPT. */
  decodeTimes(page: Uint8Array, count: number, slotStartMs: number): void {
    this.#setPage(page);
    const fault = this.#exports.decodeTimes(page.length, count, slotStartMs);
    if (fault !== 0) throw pageCorrupt('timestamp', fault);
  }

  #setPage(page: Uint8Array): void {
    if (page.length > pageBytesMax) throw pageCorrupt('', 1);
    this.#page.set(page);
  }

  /** Whether a stale marker is among the first `count` values. */
  holdsStale(count: number): boolean {
    return this.#exports.holdsStale(count) !== 0;
  }

  /** A hash of the first `count` values set under a key of 16 bytes: 16 bytes. */
  hashValues(key: Uint8Array, count: number): Uint8Array<ArrayBuffer> {
    assert(key.length === 16, 'the content hash has a key of 16 bytes');
    new Uint8Array(this.#memory.buffer, this.#exports.hashKeyAddress(), 16).set(key);
    this.#exports.hashValues(count);
    return this.#result;
  }

  /** The fingerprint of canonical label bytes: 16 bytes (docs/formats/labels.md). */
  fingerprint(labelBytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const address = this.#exports.hashInputAddress();
    const missingBytes = address + labelBytes.length + 8 - this.#memoryBytes;
    if (missingBytes > 0) {
      this.#memory.grow(Math.ceil(missingBytes / 65536));
      this.#deriveViews();
    }
    new Uint8Array(this.#memory.buffer, address, labelBytes.length).set(labelBytes);
    this.#exports.hashBytes(labelBytes.length, fingerprintKey0, fingerprintKey1);
    return this.#result;
  }

  /** Begins a digest of samples of one series. */
  beginDigest(fingerprint: Uint8Array): void {
    new Uint8Array(this.#memory.buffer, this.#exports.fingerprintAddress(), 16).set(fingerprint);
    this.#digestLow = 0n;
    this.#digestHigh = 0n;
  }

  /** Adds the first `count` samples set. */
  addDigest(count: number): void {
    this.#sums[0] = this.#digestLow;
    this.#sums[1] = this.#digestHigh;
    this.#exports.digest(count);
    this.#digestLow = this.#sums[0] as bigint;
    this.#digestHigh = this.#sums[1] as bigint;
  }

  /** The sum of the hashes of what was added, modulo 2¹²⁸ (docs/formats/digests.md). */
  endDigest(): bigint {
    return (this.#digestHigh << 64n) | this.#digestLow;
  }

  /** The digest of the first `count` samples of two columns. */
  digestOf(fingerprint: Uint8Array, timestampsMs: Float64Array, values: Float64Array, count: number): bigint {
    this.beginDigest(fingerprint);
    for (let from = 0; from < count; from += pageSamplesMax) {
      const to = Math.min(count, from + pageSamplesMax);
      this.setTimes(timestampsMs, from, to);
      this.setValues(values, from, to);
      this.addDigest(to - from);
    }
    return this.endDigest();
  }
}

function pageCorrupt(what: string, fault: number): TimbalaError {
  return new TimbalaError('PAGE_CORRUPT', `${what} page: ${faults[fault] ?? `fault ${fault}`}`);
}
