// Finds the integers and the power of ten that a page's values are quotients of (docs/formats/pages.md, "Decimals").
// A value counts as a decimal only where the decoder's own operation, m / 10^e, gives its very bits.
import {
  distancesAt,
  exceptionsAt,
  exponentMax,
  mantissasAt,
  placesAt,
  powersAt,
  samplesMax,
  valuesAt,
} from './layout.ts';
import { readVarint, writeVarint } from './integers.ts';

const mantissaMax: f64 = 9007199254740992;
/** Where a value needs more decimal places than there are, its count goes here. */
const placesNone: u32 = 31;
/** An exception takes its bits and its position. */
export const exceptionCost: u32 = 80;

export function fillPowers(): void {
  let power: f64 = 1;
  for (let e: u32 = 0; e <= exponentMax; e++) {
    store<f64>(powersAt + (<usize>e << 3), power);
    power *= 10;
  }
}

export function powerOfTen(exponent: u32): f64 {
  return load<f64>(powersAt + (<usize>exponent << 3));
}

/** −0 has no integer: 0 / 10^e is +0. */
const negativeZero: u64 = 0x8000000000000000;

function isDecimal(bits: u64, exponent: u32): bool {
  const power = powerOfTen(exponent);
  const mantissa = nearest<f64>(reinterpret<f64>(bits) * power);
  return abs<f64>(mantissa) < mantissaMax && reinterpret<u64>(mantissa / power) === bits && bits !== negativeZero;
}

/** The fewest decimal places of a value, looked for around `hint`; `placesNone` if it has none. */
function placesOf(bits: u64, hint: u32): u32 {
  let exponent = hint;
  if (isDecimal(bits, exponent)) {
    while (exponent > 0 && isDecimal(bits, exponent - 1)) exponent--;
    return exponent;
  }
  const value = abs<f64>(reinterpret<f64>(bits));
  while (++exponent <= exponentMax) {
    if (!(value * powerOfTen(exponent) < mantissaMax)) return placesNone;
    if (isDecimal(bits, exponent)) return exponent;
  }
  return placesNone;
}

/**
 * The exponent that makes a page smallest, by an estimate, or −1 where most values are not decimals. A higher one has
 * fewer exceptions, but each place costs every changed value three bits.
 */
export function chooseExponent(count: u32): i32 {
  memory.fill(placesAt, 0, 32 * 4);
  let hint: u32 = 0;
  let changes: u32 = 0;
  let none: u32 = 0;
  let previous: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const bits = load<u64>(valuesAt + (<usize>i << 3));
    if (i === 0 || bits !== previous) {
      changes++;
      hint = placesOf(bits, hint === placesNone ? 0 : hint);
      previous = bits;
    }
    const counter = placesAt + (<usize>hint << 2);
    store<u32>(counter, load<u32>(counter) + 1);
    if (hint === placesNone) none++;
    // True doubles are dear to test: give up early.
    if ((i & 127) === 127 && none > i - (i >> 2)) return -1;
  }
  let best: i32 = -1;
  let bestCost: u32 = u32.MAX_VALUE;
  let covered: u32 = 0;
  for (let e: u32 = 0; e <= exponentMax; e++) {
    const more = load<u32>(placesAt + (<usize>e << 2));
    if (more === 0) continue;
    covered += more;
    const cost = (count - covered) * exceptionCost + changes * e * 3;
    if (cost < bestCost && covered > count / 2) {
      best = e;
      bestCost = cost;
    }
  }
  return best;
}

/** Fills mantissas and exceptions for `exponent`; returns the number of exceptions. */
export function fillMantissas(count: u32, exponent: u32): u32 {
  const power = powerOfTen(exponent);
  let exceptions: u32 = 0;
  let held: i64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const bits = load<u64>(valuesAt + (<usize>i << 3));
    const mantissa = nearest<f64>(reinterpret<f64>(bits) * power);
    if (abs<f64>(mantissa) < mantissaMax && reinterpret<u64>(mantissa / power) === bits && bits !== negativeZero) {
      held = <i64>mantissa;
      if (exceptions === i) holdBack(i, held);
    } else {
      store<u16>(exceptionsAt + (<usize>exceptions << 1), <u16>i);
      exceptions++;
    }
    store<i64>(mantissasAt + (<usize>i << 3), held);
  }
  return exceptions;
}

/** Gives the exceptions before the first decimal its mantissa, so that they cost nothing. */
function holdBack(position: u32, mantissa: i64): void {
  for (let i: u32 = 0; i < position; i++) store<i64>(mantissasAt + (<usize>i << 3), mantissa);
}

/** Distance of a value from its nearest decimal in units in the last place; i64.MIN_VALUE where that is no use. */
function distanceOf(bits: u64, power: f64): i64 {
  const mantissa = nearest<f64>(reinterpret<f64>(bits) * power);
  const magnitude = abs<f64>(mantissa);
  if (!(magnitude < mantissaMax)) return i64.MIN_VALUE;
  // By way of an integer, as the decoder has it: −0 is far from 0.
  const distance = <i64>(bits - reinterpret<u64>(<f64>(<i64>mantissa) / power));
  // Neighbouring decimals are about 2^52 / m units apart: a distance below a 64th of that is no accident.
  const span = abs<i64>(distance);
  return span >= 0 && <f64>span * (magnitude + 1) < <f64>(<i64>1 << 46) ? distance : i64.MIN_VALUE;
}

/** The least exponent whose decimals lie close to nearly all values, or −1. */
export function chooseNearExponent(count: u32): i32 {
  const failuresMax = count >> 4;
  for (let e: u32 = 0; e <= 17; e++) {
    const power = powerOfTen(e);
    let failures: u32 = 0;
    for (let i: u32 = 0; i < count && failures <= failuresMax; i++) {
      if (distanceOf(load<u64>(valuesAt + (<usize>i << 3)), power) === i64.MIN_VALUE) failures++;
    }
    if (failures <= failuresMax) return e;
  }
  return -1;
}

/** As `fillMantissas`, with distances. */
export function fillNearMantissas(count: u32, exponent: u32): u32 {
  const power = powerOfTen(exponent);
  let exceptions: u32 = 0;
  let held: i64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const bits = load<u64>(valuesAt + (<usize>i << 3));
    let distance = distanceOf(bits, power);
    if (distance === i64.MIN_VALUE) {
      distance = 0;
      store<u16>(exceptionsAt + (<usize>exceptions << 1), <u16>i);
      exceptions++;
    } else {
      held = <i64>nearest<f64>(reinterpret<f64>(bits) * power);
      if (exceptions === i) holdBack(i, held);
    }
    store<i64>(mantissasAt + (<usize>i << 3), held);
    store<i64>(distancesAt + (<usize>i << 3), distance);
  }
  return exceptions;
}

/** Turns the mantissas into values: m / 10^e. */
export function divideMantissas(count: u32, exponent: u32): void {
  const bytes = <usize>count << 3;
  if (exponent === 0) {
    for (let i: usize = 0; i < bytes; i += 8) store<f64>(valuesAt + i, <f64>load<i64>(mantissasAt + i));
    return;
  }
  const power = powerOfTen(exponent);
  const powers = f64x2.splat(power);
  // An odd count computes one value too many, into the slack.
  for (let i: usize = 0; i < bytes; i += 16) {
    const pair = f64x2.replace_lane(f64x2.splat(<f64>load<i64>(mantissasAt + i)), 1, <f64>load<i64>(mantissasAt + i, 8));
    v128.store(valuesAt + i, f64x2.div(pair, powers));
  }
}

/** Adds the distances at `distancesAt` to the bits of the values. */
export function addDistances(count: u32): void {
  for (let i: usize = 0; i < <usize>count << 3; i += 8) {
    store<u64>(valuesAt + i, load<u64>(valuesAt + i) + load<u64>(distancesAt + i));
  }
}

/** Exceptions: their number, the gaps between their positions, their bits. */
export function writeExceptions(exceptions: u32, target: usize): usize {
  let at = writeVarint(target, exceptions);
  let previous: u32 = 0;
  for (let i: u32 = 0; i < exceptions; i++) {
    const position: u32 = load<u16>(exceptionsAt + (<usize>i << 1));
    at = writeVarint(at, position - previous);
    previous = position;
  }
  for (let i: u32 = 0; i < exceptions; i++) {
    const position: usize = load<u16>(exceptionsAt + (<usize>i << 1));
    store<u64>(at, load<u64>(valuesAt + (position << 3)));
    at += 8;
  }
  return at;
}

/** Puts exceptions over the values; returns the position after them, or 0 where they are malformed. */
export function readExceptions(source: usize, end: usize, count: u32, scratch: usize): usize {
  let at = readVarint(source, end, scratch);
  if (!at) return 0;
  const wanted = load<u64>(scratch);
  if (wanted > <u64>count || wanted > <u64>samplesMax) return 0;
  const exceptions = <u32>wanted;
  let position: u64 = 0;
  for (let i: u32 = 0; i < exceptions; i++) {
    at = readVarint(at, end, scratch);
    if (!at) return 0;
    const gap = load<u64>(scratch);
    if (gap >= <u64>count) return 0;
    position += gap;
    if (position >= <u64>count) return 0;
    store<u16>(exceptionsAt + (<usize>i << 1), <u16>position);
  }
  if (end - at < <usize>exceptions << 3) return 0;
  for (let i: u32 = 0; i < exceptions; i++) {
    const to: usize = load<u16>(exceptionsAt + (<usize>i << 1));
    store<u64>(valuesAt + (to << 3), load<u64>(at));
    at += 8;
  }
  return at;
}
