// Samples as columns, the stale marker, and the order that decides between two values at one timestamp.
// Values are kept as bits: they move between typed arrays and kernels only, never through array literals, arithmetic or
// structured clone, any of which may quiet a signalling NaN (the stale marker is one).

/** High and low halves of the stale marker, a NaN with a payload that means "this series has ended". */
export const staleMarkerHigh = 0x7ff00000;
export const staleMarkerLow = 0x00000002;

/** True where bits (as two unsigned halves) are the stale marker. */
export function isStaleMarker(high: number, low: number): boolean {
  return high === staleMarkerHigh && low === staleMarkerLow;
}

/**
 * A growing buffer of samples of one series, in time order, one sample per timestamp. Whoever reads into it owns it and
 * may read into it again; the arrays are replaced when it grows, so take them anew after each read.
 */
export class SampleBuffer {
  count = 0;
  /** ms since the epoch; integers. */
  timestampsMs: Float64Array<ArrayBuffer>;
  values: Float64Array<ArrayBuffer>;
  /** The values' bits: low half at 2i, high half at 2i + 1. */
  valueHalves: Uint32Array<ArrayBuffer>;
  /** False only where no value is a stale marker. */
  mayHoldStale = false;
  /**
   * Equal (by identity) for buffers whose timestamps are equal element by element: series of one target share it, so
   * that what depends on time alone is worked out once. Undefined where the source cannot tell.
   */
  timestampsKey: object | undefined;

  constructor(capacity = 256) {
    this.timestampsMs = new Float64Array(capacity);
    this.values = new Float64Array(capacity);
    this.valueHalves = new Uint32Array(this.values.buffer);
  }

  clear(): void {
    this.count = 0;
    this.mayHoldStale = false;
    this.timestampsKey = undefined;
  }

  /** Makes room for `additional` more samples after `count`. */
  reserve(additional: number): void {
    const needed = this.count + additional;
    if (needed <= this.timestampsMs.length) return;
    const capacity = Math.max(needed, this.timestampsMs.length * 2);
    const timestampsMs = new Float64Array(capacity);
    timestampsMs.set(this.timestampsMs.subarray(0, this.count));
    const values = new Float64Array(capacity);
    values.set(this.values.subarray(0, this.count));
    this.timestampsMs = timestampsMs;
    this.values = values;
    this.valueHalves = new Uint32Array(values.buffer);
  }

  isStale(index: number): boolean {
    return isStaleMarker(this.valueHalves[2 * index + 1] as number, this.valueHalves[2 * index] as number);
  }
}

/**
 * The merge order of two different values at one timestamp, as bits in unsigned halves: positive where `a` wins. A real
 * value beats a stale marker; otherwise the larger by IEEE 754 total order. (Kinds other than floats will rank above.)
 * The kernels hold the same order; docs/formats/samples.md is its definition.
 */
export function compareValueBits(aHigh: number, aLow: number, bHigh: number, bLow: number): number {
  const aStale = isStaleMarker(aHigh, aLow);
  const bStale = isStaleMarker(bHigh, bLow);
  if (aStale !== bStale) return aStale ? -1 : 1;
  // Total order on sign-magnitude bits: negative numbers reversed, then compared as unsigned integers.
  const aNegative = aHigh >>> 31 === 1;
  const bNegative = bHigh >>> 31 === 1;
  if (aNegative !== bNegative) return aNegative ? -1 : 1;
  const magnitude = aHigh !== bHigh ? aHigh - bHigh : aLow - bLow;
  return aNegative ? -magnitude : magnitude;
}
