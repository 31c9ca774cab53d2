// Pages of values: chooses the cheapest codec and writes it; reads any page (docs/formats/pages.md, "Value pages").
import { distancesAt, exceptionsAt, exponentMax, mantissasAt, pageAt, resultAt, samplesMax, valuesAt } from './layout.ts';
import {
  addDistances,
  chooseExponent,
  chooseNearExponent,
  divideMantissas,
  exceptionCost,
  fillMantissas,
  fillNearMantissas,
  readExceptions,
  writeExceptions,
} from './decimals.ts';
import {
  commonShift,
  predictDelta,
  predictSlope,
  readExactLine,
  readIntegers,
  readVarint,
  residualCost,
  writeIntegers,
  writeVarint,
  zigzag,
} from './integers.ts';

// The first byte of a page: its kind, and what else there is. Kinds 8 to 15 are reserved (histograms, start timestamps).
const kindSame: u32 = 0;
const kindLine: u32 = 1;
const kindDelta: u32 = 2;
const kindSlope: u32 = 3;
const kindDifferenceDelta: u32 = 4;
const kindDifferenceSlope: u32 = 5;
const kindPlanes: u32 = 6;
const kindMask: u32 = 15;
const flagStale: u32 = 16;
const flagExceptions: u32 = 32;
const flagBase: u32 = 64;
/** In the second byte, beside the exponent. */
const flagDistances: u32 = 32;
const flagShift: u32 = 64;
/** Integers that can all be halved at least so often (sizes in memory pages) are stored so. */
const shiftMin: u32 = 3;

const staleMarker: u64 = 0x7ff0000000000002;

export function findStale(count: u32): bool {
  for (let i: usize = 0; i < <usize>count << 3; i += 8) if (load<u64>(valuesAt + i) === staleMarker) return true;
  return false;
}

/**
 * Encodes the `count` values at `valuesAt` to `pageAt`; returns the page's length. `base`, if not 0: where the mantissas
 * lie of a page with as many samples, whose exponent is `baseExponent`, and which lies `baseDistance` pages before.
 * Leaves the page's own mantissas at `mantissasAt` where its kind has any.
 */
export function encodePage(count: u32, base: usize, baseExponent: u32, baseDistance: u32): u32 {
  const first = load<u64>(valuesAt);
  let differing: u64 = 0;
  for (let i: usize = 0; i < <usize>count << 3; i += 8) differing |= load<u64>(valuesAt + i) ^ first;
  const stale = findStale(count) ? flagStale : 0;
  const planes = differing === 0 ? u64.MAX_VALUE : planesCost(count);
  let exponent = chooseExponent(count);
  let exceptions: u32 = 0;
  let distances: u32 = 0;
  let kind: u32 = 0;
  let cost = u64.MAX_VALUE;
  if (exponent >= 0) {
    exceptions = fillMantissas(count, exponent);
    kind = chooseKind(count, <u32>exponent === baseExponent ? base : 0);
    cost = load<u64>(resultAt) + <u64>exceptions * exceptionCost;
  }
  // Sums of decimals have decimals too, but of many places: where exact ones are no great gain, near ones may be.
  if (differing !== 0 && cost > planes >> 1) {
    const near = chooseNearExponent(count);
    if (near >= 0) {
      const nearExceptions = fillNearMantissas(count, near);
      const nearKind = chooseKind(count, <u32>near === baseExponent ? base : 0);
      const nearCost = load<u64>(resultAt) + <u64>nearExceptions * exceptionCost + distancesCost(count);
      if (nearCost < cost) {
        exponent = near;
        exceptions = nearExceptions;
        kind = nearKind;
        cost = nearCost;
        distances = flagDistances;
      } else {
        fillMantissas(count, exponent);
      }
    }
  }
  if (exponent < 0 || cost > planes) return encodeRaw(differing, first, count, stale);

  const usedBase = kind >= kindDifferenceDelta ? base : 0;
  const shift = kind === kindLine ? 0 : usableShift(usedBase, count);
  store<u8>(pageAt, kind | stale | (exceptions ? flagExceptions : 0));
  store<u8>(pageAt, <u32>exponent | distances | (shift ? flagShift : 0), 1);
  let at = pageAt + 2;
  if (kind === kindLine) {
    const start = load<i64>(mantissasAt);
    at = writeVarint(at, zigzag(start));
    at = writeVarint(at, zigzag(count > 1 ? load<i64>(mantissasAt, 8) - start : 0));
  } else {
    if (usedBase) at = writeVarint(at, baseDistance);
    if (shift) at = writeVarint(at, shift);
    const predictor = kind === kindDelta || kind === kindDifferenceDelta ? predictDelta : predictSlope;
    at = writeIntegers(mantissasAt, usedBase, shift, count, predictor, at);
  }
  if (distances) at = writeIntegers(distancesAt, 0, 0, count, predictDelta, at);
  if (exceptions) at = writeExceptions(exceptions, at);
  // Costs count bits, but varints take whole bytes: no page may be longer than a raw one. Until here it may have grown to
  // 10 / 7 of that, and two bytes a sample, for which `pageAt` has room.
  const length = <u32>(at - pageAt);
  return length > 1 + (count << 3) ? encodeRaw(differing, first, count, stale) : length;
}

function encodeRaw(differing: u64, first: u64, count: u32, stale: u32): u32 {
  return differing === 0 ? encodeSame(first, stale) : encodePlanes(count, stale);
}

function usableShift(base: usize, count: u32): u32 {
  const shift = commonShift(mantissasAt, base, count);
  return shift >= shiftMin ? shift : 0;
}

/** The kind with the smallest residuals; leaves their cost at `resultAt`. */
function chooseKind(count: u32, base: usize): u32 {
  residualCosts(count, 0);
  const deltaCost = load<u64>(resultAt);
  const slopeCost = load<u64>(resultAt, 8);
  if (load<u64>(resultAt, 16) === 0) {
    store<u64>(resultAt, 0);
    return kindLine;
  }
  const own = min(deltaCost, slopeCost);
  if (base) {
    residualCosts(count, base);
    const difference = min(load<u64>(resultAt), load<u64>(resultAt, 8));
    // A difference has to save an eighth: it costs its readers the decoding of its base.
    if (difference + (difference >> 3) < own) {
      const kind = load<u64>(resultAt) <= load<u64>(resultAt, 8) ? kindDifferenceDelta : kindDifferenceSlope;
      store<u64>(resultAt, difference);
      return kind;
    }
  }
  store<u64>(resultAt, own);
  return deltaCost <= slopeCost ? kindDelta : kindSlope;
}

/** Leaves at `resultAt` what residuals cost by delta, by slope, and by slope but for the first step: 0 for a line. */
function residualCosts(count: u32, base: usize): void {
  const shift = usableShift(base, count);
  let deltaCost: u64 = 0;
  let slopeCost: u64 = 0;
  let previous = (load<i64>(mantissasAt) - (base ? load<i64>(base) : 0)) >> shift;
  let step: i64 = 0;
  let firstCost: u64 = 0;
  for (let i: usize = 8; i < <usize>count << 3; i += 8) {
    const value = (load<i64>(mantissasAt + i) - (base ? load<i64>(base + i) : 0)) >> shift;
    const delta = value - previous;
    deltaCost += residualCost(delta);
    slopeCost += residualCost(delta - step);
    if (i === 8) firstCost = slopeCost;
    previous = value;
    step = delta;
  }
  store<u64>(resultAt, deltaCost);
  store<u64>(resultAt, slopeCost, 8);
  store<u64>(resultAt, slopeCost - firstCost, 16);
}

function distancesCost(count: u32): u64 {
  let cost: u64 = 0;
  let previous: i64 = 0;
  for (let i: usize = 0; i < <usize>count << 3; i += 8) {
    const distance = load<i64>(distancesAt + i);
    cost += residualCost(distance - previous);
    previous = distance;
  }
  return cost;
}

/** Changed bytes: they are columns of bytes, so that a byte that seldom changes is cheap, but one that does costs all of it. */
function planesCost(count: u32): u64 {
  let cost: u64 = 64;
  for (let i: usize = 8; i < <usize>count << 3; i += 8) {
    const changed = load<u64>(valuesAt + i) ^ load<u64>(valuesAt + i - 8);
    if (changed !== 0) cost += 8 * (8 - (clz<u64>(changed) >> 3) - (ctz<u64>(changed) >> 3));
  }
  return cost;
}

function encodeSame(bits: u64, stale: u32): u32 {
  store<u8>(pageAt, kindSame | stale);
  store<u64>(pageAt, bits, 1);
  return 9;
}

/** Each value XOR the one before it, as eight columns of bytes, the most significant first. */
function encodePlanes(count: u32, stale: u32): u32 {
  store<u8>(pageAt, kindPlanes | stale);
  const planes = pageAt + 1;
  let previous: u64 = 0;
  for (let i: usize = 0; i < <usize>count; i++) {
    const bits = load<u64>(valuesAt + (i << 3));
    const changed = bits ^ previous;
    previous = bits;
    for (let plane: usize = 0; plane < 8; plane++) {
      store<u8>(planes + plane * <usize>count + i, <u8>(changed >> (56 - (plane << 3))));
    }
  }
  return 1 + (count << 3);
}

/**
 * Decodes the page of `length` bytes at `pageAt` to `valuesAt`. `base`: the mantissas of the page it is a difference from,
 * or 0. `keep`: where to leave its own mantissas for pages that are differences from it. Returns 0, or the number of a
 * fault in the list of src/wasm/pages.ts.
 */
export function decodePage(length: u32, count: u32, base: usize, keep: usize): u32 {
  if (count === 0 || count > samplesMax || length < 2) return 1;
  const head: u32 = load<u8>(pageAt);
  const kind = head & kindMask;
  const end = pageAt + length;
  if (kind === kindSame) return decodeSame(length, count);
  if (kind === kindPlanes) return decodePlanes(length, count);
  if (kind > kindPlanes) return 2;

  const second: u32 = load<u8>(pageAt, 1);
  const exponent = second & 31;
  if (exponent > exponentMax) return 3;
  let at = pageAt + 2;
  if (kind === kindLine) {
    at = readExactLine(at, end, count, mantissasAt, resultAt);
  } else {
    const isDifference = kind >= kindDifferenceDelta;
    if (isDifference) {
      if (!base) return 4;
      at = readVarint(at, end, resultAt);
      if (!at) return 5;
    }
    let shift: u32 = 0;
    if (second & flagShift) {
      at = readVarint(at, end, resultAt);
      if (!at || load<u64>(resultAt) > 63) return 11;
      shift = load<u32>(resultAt);
    }
    const predictor = kind === kindDelta || kind === kindDifferenceDelta ? predictDelta : predictSlope;
    at = readIntegers(at, end, isDifference ? base : 0, shift, count, predictor, mantissasAt, resultAt);
  }
  if (!at) return 6;
  // Copied, not decoded in place: the slot may hold the base that this page was added to.
  if (head & flagBase && keep) memory.copy(keep, mantissasAt, <usize>count << 3);
  divideMantissas(count, exponent);
  if (second & flagDistances) {
    at = readIntegers(at, end, 0, 0, count, predictDelta, distancesAt, resultAt);
    if (!at) return 7;
    addDistances(count);
  }
  if (head & flagExceptions) {
    at = readExceptions(at, end, count, resultAt);
    if (!at) return 8;
  }
  return at === end ? 0 : 9;
}

function decodeSame(length: u32, count: u32): u32 {
  if (length !== 9) return 9;
  const bits = load<u64>(pageAt, 1);
  for (let i: usize = 0; i < <usize>count << 3; i += 8) store<u64>(valuesAt + i, bits);
  return 0;
}

function decodePlanes(length: u32, count: u32): u32 {
  if (length !== 1 + (count << 3)) return 9;
  const planes = pageAt + 1;
  const n = <usize>count;
  let previous: u64 = 0;
  for (let i: usize = 0; i < n; i++) {
    const from = planes + i;
    const high =
      (<u64>load<u8>(from) << 56) |
      (<u64>load<u8>(from + n) << 48) |
      (<u64>load<u8>(from + 2 * n) << 40) |
      (<u64>load<u8>(from + 3 * n) << 32);
    const low =
      (<u64>load<u8>(from + 4 * n) << 24) |
      (<u64>load<u8>(from + 5 * n) << 16) |
      (<u64>load<u8>(from + 6 * n) << 8) |
      <u64>load<u8>(from + 7 * n);
    previous ^= high | low;
    store<u64>(valuesAt + (i << 3), previous);
  }
  return 0;
}
