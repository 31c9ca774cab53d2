// The digest of a run of samples: the sum, modulo 2^128, of a 128-bit hash of each (docs/formats/digests.md).
import { fingerprintAt, resultAt, timesAt, valuesAt } from './layout.ts';

/** splitmix64's finalizer: every bit of the input reaches every bit of the output. */
function mix(input: u64): u64 {
  let mixed = input;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return mixed ^ (mixed >> 31);
}

/** Adds `count` samples at `timesAt` and `valuesAt` of the series at `fingerprintAt` to the sum at `resultAt`. */
export function addDigest(count: u32): void {
  const fingerprintLow = load<u64>(fingerprintAt);
  const fingerprintHigh = load<u64>(fingerprintAt, 8);
  let sumLow = load<u64>(resultAt);
  let sumHigh = load<u64>(resultAt, 8);
  for (let i: usize = 0; i < <usize>count << 3; i += 8) {
    const time = <u64>(<i64>load<f64>(timesAt + i));
    const a = mix(fingerprintLow + time);
    const b = mix(fingerprintHigh + load<u64>(valuesAt + i));
    const low = mix(a ^ rotl<u64>(b, 32));
    sumLow += low;
    sumHigh += mix(b + rotl<u64>(a, 21)) + <u64>(sumLow < low);
  }
  store<u64>(resultAt, sumLow);
  store<u64>(resultAt, sumHigh, 8);
}
