// Pages of timestamps (docs/formats/pages.md, "Timestamp pages"): integer streams relative to the page's slot.
import { mantissasAt, pageAt, resultAt, samplesMax, timesAt } from './layout.ts';
import {
  lineStep,
  predictDelta,
  predictLine,
  predictSlope,
  readExactLine,
  readIntegers,
  residualCost,
  writeIntegers,
  writeVarint,
  zigzag,
} from './integers.ts';

// The first byte of a page. Kinds 1 to 3 are a stream with predictor kind − 1.
const kindRegular: u32 = 0;

/** Encodes the `count` timestamps at `timesAt` to `pageAt`; returns the page's length. */
export function encodeTimesPage(count: u32, slotStartMs: f64): u32 {
  const start = <i64>slotStartMs;
  for (let i: usize = 0; i < <usize>count << 3; i += 8) {
    store<i64>(mantissasAt + i, <i64>load<f64>(timesAt + i) - start);
  }
  const first = load<i64>(mantissasAt);
  const step: i64 = count > 1 ? load<i64>(mantissasAt, 8) - first : 0;
  const line = lineStep(mantissasAt, max<u32>(count, 2));
  let irregular: u64 = 0;
  let deltaCost: u64 = 0;
  let slopeCost: u64 = 0;
  let lineCost: u64 = 0;
  let previous = first;
  let previousStep: i64 = 0;
  let onLine = first;
  for (let i: usize = 8; i < <usize>count << 3; i += 8) {
    const value = load<i64>(mantissasAt + i);
    const delta = value - previous;
    onLine += line;
    irregular |= <u64>(delta - step);
    deltaCost += residualCost(delta);
    slopeCost += residualCost(delta - previousStep);
    lineCost += residualCost(value - onLine);
    previous = value;
    previousStep = delta;
  }
  if (irregular === 0) {
    store<u8>(pageAt, kindRegular);
    return <u32>(writeVarint(writeVarint(pageAt + 1, zigzag(first)), zigzag(step)) - pageAt);
  }
  let predictor = slopeCost < deltaCost ? predictSlope : predictDelta;
  if (lineCost < min(slopeCost, deltaCost)) predictor = predictLine;
  store<u8>(pageAt, 1 + predictor);
  return <u32>(writeIntegers(mantissasAt, 0, 0, count, predictor, pageAt + 1) - pageAt);
}

/** Decodes the page of `length` bytes at `pageAt` to `timesAt`; returns 0, or the reason as decodePage does. */
export function decodeTimesPage(length: u32, count: u32, slotStartMs: f64): u32 {
  if (count === 0 || count > samplesMax || length < 2) return 1;
  const kind: u32 = load<u8>(pageAt);
  const end = pageAt + length;
  let at = pageAt + 1;
  if (kind === kindRegular) {
    at = readExactLine(at, end, count, mantissasAt, resultAt);
  } else {
    if (kind > 1 + predictLine) return 2;
    at = readIntegers(at, end, 0, 0, count, kind - 1, mantissasAt, resultAt);
  }
  if (!at) return 6;
  if (at !== end) return 9;
  const start = <i64>slotStartMs;
  let previous = i64.MIN_VALUE;
  for (let i: usize = 0; i < <usize>count << 3; i += 8) {
    const time = load<i64>(mantissasAt + i) + start;
    if (time <= previous) return 10;
    previous = time;
    store<f64>(timesAt + i, <f64>time);
  }
  return 0;
}
