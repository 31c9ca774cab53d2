// Streams of 64-bit integers as residuals of a predictor, zigzag, LEB128 (docs/formats/pages.md, "Integer streams").
// Writers trust their input; readers stop at `end` and answer 0 where a stream is short or a number overlong.
// Sums wrap around: a hostile stream gives wrong numbers, not a fault.

/** The previous value. */
export const predictDelta: u32 = 0;
/** The line through the two previous values. */
export const predictSlope: u32 = 1;
/** A line given by its first value and its step. */
export const predictLine: u32 = 2;

export function zigzag(value: i64): u64 {
  return (<u64>value << 1) ^ <u64>(value >> 63);
}

export function unzigzag(value: u64): i64 {
  return <i64>(value >> 1) ^ -<i64>(value & 1);
}

/** What a residual costs after entropy coding, in bits, roughly: nothing for 0, else its bits and one to tell how many. */
export function residualCost(value: i64): u32 {
  return value === 0 ? 0 : 65 - <u32>clz<u64>(zigzag(value));
}

export function writeVarint(target: usize, value: u64): usize {
  let at = target;
  let rest = value;
  while (rest >= 128) {
    store<u8>(at++, <u8>(rest | 128));
    rest >>= 7;
  }
  store<u8>(at, <u8>rest);
  return at + 1;
}

export function varintBytes(value: u64): u32 {
  return (70 - <u32>clz<u64>(value | 1)) / 7;
}

/**
 * Reads one number to `result`; returns the position after it, or 0. Eight readable bytes after `end` are assumed by the
 * callers' fast paths, not here.
 */
export function readVarint(source: usize, end: usize, result: usize): usize {
  let at = source;
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    if (at >= end) return 0;
    const byte: u64 = load<u8>(at++);
    value |= (byte & 127) << shift;
    if (byte < 128) {
      store<u64>(result, value);
      return at;
    }
  }
  return 0;
}

/**
 * Writes `count` integers at `source`. `base`: integers to be subtracted first, or 0; what is left must be multiples of
 * 2^shift, and is divided by that.
 */
export function writeIntegers(
  source: usize,
  base: usize,
  shift: u32,
  count: u32,
  predictor: u32,
  target: usize,
): usize {
  let previous = load<i64>(source);
  if (base) previous -= load<i64>(base);
  previous >>= shift;
  let at = writeVarint(target, zigzag(previous));
  if (count === 1) return at;
  let step: i64 = 0;
  if (predictor === predictLine) {
    step = lineStep(source, count);
    at = writeVarint(at, zigzag(step));
  }
  for (let i: u32 = 1; i < count; i++) {
    let value = load<i64>(source + (<usize>i << 3));
    if (base) value -= load<i64>(base + (<usize>i << 3));
    value >>= shift;
    const residual = value - previous - step;
    at = writeVarint(at, zigzag(residual));
    if (predictor === predictLine) previous += step;
    else previous = value;
    if (predictor === predictSlope) step += residual;
  }
  return at;
}

/** How often all integers, less those of `base` if it is not 0, can be halved. */
export function commonShift(source: usize, base: usize, count: u32): u32 {
  let bits: u64 = 0;
  for (let i: usize = 0; i < <usize>count << 3; i += 8) {
    bits |= load<u64>(source + i) - (base ? load<u64>(base + i) : 0);
  }
  return bits === 0 ? 0 : <u32>ctz<u64>(bits);
}

/** The step of the line from the first to the last integer, rounded to the nearest. */
export function lineStep(source: usize, count: u32): i64 {
  const first = load<i64>(source);
  const last = load<i64>(source + (<usize>(count - 1) << 3));
  return <i64>nearest<f64>(<f64>(last - first) / <f64>(count - 1));
}

/** Reads what `writeIntegers` wrote; returns the position after it, or 0. */
export function readIntegers(
  source: usize,
  end: usize,
  base: usize,
  shift: u32,
  count: u32,
  predictor: u32,
  target: usize,
  scratch: usize,
): usize {
  let at = readVarint(source, end, scratch);
  if (!at) return 0;
  const first = unzigzag(load<u64>(scratch));
  store<i64>(target, first);
  if (predictor === predictDelta) {
    at = readDeltas(at, end, first, count, target, scratch);
  } else if (predictor === predictSlope) {
    at = readSlopes(at, end, first, count, target, scratch);
  } else {
    at = readLine(at, end, first, count, target, scratch);
  }
  if (!at) return 0;
  if (shift) {
    for (let i: usize = 0; i < <usize>count << 3; i += 8) store<i64>(target + i, load<i64>(target + i) << shift);
  }
  if (base) {
    for (let i: usize = 0; i < <usize>count << 3; i += 8) {
      store<i64>(target + i, load<i64>(target + i) + load<i64>(base + i));
    }
  }
  return at;
}

// The three readers differ in one line each; a shared loop would test the predictor for every sample. Eight residuals of
// one byte each, the usual case, go without a branch per sample.

function readDeltas(source: usize, end: usize, first: i64, count: u32, target: usize, scratch: usize): usize {
  let at = source;
  let value = first;
  let i: u32 = 1;
  while (i < count) {
    if (i + 8 <= count && at + 8 <= end) {
      const word = load<u64>(at);
      if ((word & 0x8080808080808080) === 0) {
        let to = target + (<usize>i << 3);
        for (let shift: u64 = 0; shift < 64; shift += 8) {
          const byte = (word >> shift) & 127;
          value += <i64>(byte >> 1) ^ -<i64>(byte & 1);
          store<i64>(to, value);
          to += 8;
        }
        at += 8;
        i += 8;
        continue;
      }
    }
    at = readVarint(at, end, scratch);
    if (!at) return 0;
    value += unzigzag(load<u64>(scratch));
    store<i64>(target + (<usize>i << 3), value);
    i++;
  }
  return at;
}

function readSlopes(source: usize, end: usize, first: i64, count: u32, target: usize, scratch: usize): usize {
  let at = source;
  let value = first;
  let step: i64 = 0;
  let i: u32 = 1;
  while (i < count) {
    if (i + 8 <= count && at + 8 <= end) {
      const word = load<u64>(at);
      if ((word & 0x8080808080808080) === 0) {
        let to = target + (<usize>i << 3);
        for (let shift: u64 = 0; shift < 64; shift += 8) {
          const byte = (word >> shift) & 127;
          step += <i64>(byte >> 1) ^ -<i64>(byte & 1);
          value += step;
          store<i64>(to, value);
          to += 8;
        }
        at += 8;
        i += 8;
        continue;
      }
    }
    at = readVarint(at, end, scratch);
    if (!at) return 0;
    step += unzigzag(load<u64>(scratch));
    value += step;
    store<i64>(target + (<usize>i << 3), value);
    i++;
  }
  return at;
}

function readLine(source: usize, end: usize, first: i64, count: u32, target: usize, scratch: usize): usize {
  if (count === 1) return source;
  let at = readVarint(source, end, scratch);
  if (!at) return 0;
  const step = unzigzag(load<u64>(scratch));
  let onLine = first;
  for (let i: u32 = 1; i < count; i++) {
    at = readVarint(at, end, scratch);
    if (!at) return 0;
    onLine += step;
    store<i64>(target + (<usize>i << 3), onLine + unzigzag(load<u64>(scratch)));
  }
  return at;
}

/**
 * Reads a line without residuals (first value, then step, both zigzag varints) into `count` 64-bit integers at `target`. Returns where it
 * ended, 0 where the source is too short. `scratch`: eight bytes.
 */
export function readExactLine(source: usize, end: usize, count: u32, target: usize, scratch: usize): usize {
  let at = readVarint(source, end, scratch);
  if (!at) return 0;
  let value = unzigzag(load<u64>(scratch));
  at = readVarint(at, end, scratch);
  if (!at) return 0;
  const step = unzigzag(load<u64>(scratch));
  for (let i: usize = 0; i < <usize>count << 3; i += 8) {
    store<i64>(target + i, value);
    value += step;
  }
  return at;
}
