// The pages kernel: codecs of the immutable parts. Stateless but for its table of powers and the base slots; its binding is
// src/wasm/pages.ts. A fault of the input is a number that the binding turns into an error, never a trap.
import { sipHash128 } from '../common/siphash.ts';
import { fillPowers } from './decimals.ts';
import { addDigest } from './digest.ts';
import {
  baseBytes,
  basesAt,
  baseSlots,
  fingerprintAt,
  hashInputAt,
  hashKeyAt,
  mantissasAt,
  pageAt,
  resultAt,
  timesAt,
  valuesAt,
} from './layout.ts';
import { decodeTimesPage, encodeTimesPage } from './times.ts';
import { decodePage, encodePage, findStale } from './values.ts';

export function initialize(): void {
  fillPowers();
}

// Addresses that the binding makes its views of.
export function valuesAddress(): usize {
  return valuesAt;
}
export function timesAddress(): usize {
  return timesAt;
}
export function pageAddress(): usize {
  return pageAt;
}
export function resultAddress(): usize {
  return resultAt;
}
export function hashKeyAddress(): usize {
  return hashKeyAt;
}
export function fingerprintAddress(): usize {
  return fingerprintAt;
}
export function hashInputAddress(): usize {
  return hashInputAt;
}

function baseAddress(slot: i32): usize {
  return slot >= 0 && <u32>slot < baseSlots ? basesAt + <usize>slot * baseBytes : 0;
}

/** See encodePage; `baseSlot` −1 for none. */
export function encodeValues(count: u32, baseSlot: i32, baseExponent: u32, baseDistance: u32): u32 {
  return encodePage(count, baseAddress(baseSlot), baseExponent, baseDistance);
}

/** Keeps the mantissas of the page just encoded, for a page that may become a difference from it. */
export function keepBase(slot: i32, count: u32): void {
  const target = baseAddress(slot);
  if (target) memory.copy(target, mantissasAt, <usize>count << 3);
}

/** See decodePage; slots −1 for none. */
export function decodeValues(length: u32, count: u32, baseSlot: i32, keepSlot: i32): u32 {
  return decodePage(length, count, baseAddress(baseSlot), baseAddress(keepSlot));
}

/** Whether a stale marker is among the `count` values at `valuesAt`. */
export function holdsStale(count: u32): bool {
  return findStale(count);
}

export function encodeTimes(count: u32, slotStartMs: f64): u32 {
  return encodeTimesPage(count, slotStartMs);
}

export function decodeTimes(length: u32, count: u32, slotStartMs: f64): u32 {
  return decodeTimesPage(length, count, slotStartMs);
}

/** Hashes the `count` values at `valuesAt` under the key at `hashKeyAt`: 16 bytes at `resultAt`. */
export function hashValues(count: u32): void {
  sipHash128(valuesAt, count << 3, load<u64>(hashKeyAt), load<u64>(hashKeyAt, 8), resultAt);
}

/** Hashes `length` bytes at `hashInputAt`. */
export function hashBytes(length: u32, k0: u64, k1: u64): void {
  sipHash128(hashInputAt, length, k0, k1, resultAt);
}

export function digest(count: u32): void {
  addDigest(count);
}
