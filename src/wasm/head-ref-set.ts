// Sets of series of a head, as bitmaps in kernel memory: what matchers are evaluated in. A set knows the series that were
// registered when it was made; combined with a set that is older, it forgets the later ones.
import { assert } from '../base/index.ts';
import type { HeadKernel, ScratchRegion } from './head-kernel.ts';

export class RefSet {
  readonly #kernel: HeadKernel;
  readonly #findSymbol: (text: Uint8Array) => number;
  #refsCount: number;
  #region: ScratchRegion | undefined;

  /** `findSymbol`: the reader's, for names. Throws HEAD_MEMORY_FULL. */
  constructor(kernel: HeadKernel, start: 'all' | 'empty', findSymbol: (text: Uint8Array) => number) {
    this.#kernel = kernel;
    this.#findSymbol = findSymbol;
    this.#refsCount = kernel.seriesCount;
    this.#region = kernel.takeScratch(bitmapBytes(this.#refsCount));
    kernel.exports.bitmapFill(this.#region.address, this.#refsCount, start === 'all' ? 1 : 0);
  }

  #address(): number {
    assert(this.#region, 'the set is not released');
    return this.#region.address;
  }

  addAll(): void {
    this.#kernel.exports.bitmapFill(this.#address(), this.#refsCount, 1);
  }

  /** Adds every series that has one of these pairs. */
  addPairs(pairIds: Uint32Array): void {
    const kernel = this.#kernel;
    const list = kernel.takeScratch(pairIds.length * 4);
    kernel.words.set(pairIds, list.address / 4);
    kernel.exports.bitmapAddPairs(this.#address(), this.#refsCount, list.address, pairIds.length);
    kernel.releaseScratch(list);
  }

  intersect(other: RefSet): void {
    this.#forgetLaterThan(other);
    this.#kernel.exports.bitmapIntersect(this.#address(), other.#address(), this.#refsCount);
  }

  subtract(other: RefSet): void {
    this.#forgetLaterThan(other);
    this.#kernel.exports.bitmapSubtract(this.#address(), other.#address(), this.#refsCount);
  }

  #forgetLaterThan(other: RefSet): void {
    if (other.#refsCount >= this.#refsCount) return;
    this.#refsCount = other.#refsCount;
    this.#kernel.exports.bitmapTruncate(this.#address(), this.#refsCount);
  }

  /** Keeps series that have samples in any of these generations. */
  keepSlots(slots: readonly number[]): void {
    let mask = 0;
    for (const slot of slots) mask |= 1 << slot;
    this.#kernel.exports.bitmapKeepSlots(this.#address(), this.#refsCount, mask);
  }

  count(): number {
    return this.#kernel.exports.bitmapCount(this.#address(), this.#refsCount);
  }

  /** Ascending. A copy. */
  refs(): Uint32Array<ArrayBuffer> {
    return this.#list(this.#address(), this.#refsCount);
  }

  #list(bitmap: number, bitsCount: number): Uint32Array<ArrayBuffer> {
    const kernel = this.#kernel;
    const count = kernel.exports.bitmapCount(bitmap, bitsCount);
    const target = kernel.takeScratch(count * 4);
    try {
      kernel.exports.bitmapRefs(bitmap, bitsCount, target.address);
      return kernel.words.slice(target.address / 4, target.address / 4 + count);
    } finally {
      kernel.releaseScratch(target);
    }
  }

  /** The distinct pairs among these series; of one label name where it is given. A copy. */
  pairs(name?: Uint8Array): Uint32Array<ArrayBuffer> {
    const kernel = this.#kernel;
    const symbol = name === undefined ? 0 : this.#findSymbol(name);
    if (name !== undefined && symbol === 0) return new Uint32Array(0);
    const { pairsCount } = kernel;
    const marks = kernel.takeScratch(bitmapBytes(pairsCount));
    try {
      kernel.exports.bitmapFill(marks.address, pairsCount, 0);
      kernel.exports.bitmapMarkPairs(this.#address(), this.#refsCount, symbol, marks.address, pairsCount);
      return this.#list(marks.address, pairsCount);
    } finally {
      kernel.releaseScratch(marks);
    }
  }

  release(): void {
    if (this.#region) this.#kernel.releaseScratch(this.#region);
    this.#region = undefined;
  }
}

function bitmapBytes(bitsCount: number): number {
  return Math.ceil(bitsCount / 64) * 8;
}
