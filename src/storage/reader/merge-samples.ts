// Puts samples behind or among those of a buffer: the union of two sorted columns, one sample per timestamp, where two
// values meet the merge order decides (docs/formats/samples.md). Values move as bits.
import { compareValueBits, SampleBuffer } from '../../model/index.ts';

/** Appends all of `tail`, whose samples are all newer than those of `into`. */
export function appendSamples(into: SampleBuffer, tail: SampleBuffer): void {
  into.reserve(tail.count);
  into.timestampsMs.set(tail.timestampsMs.subarray(0, tail.count), into.count);
  into.values.set(tail.values.subarray(0, tail.count), into.count);
  into.count += tail.count;
  into.mayHoldStale ||= tail.mayHoldStale;
}

/** Unites `other` into `into`; `scratch` is used on the way. */
export function mergeSamples(into: SampleBuffer, other: SampleBuffer, scratch: SampleBuffer): void {
  const firstMs = other.timestampsMs[0] as number;
  let untouched = into.count;
  while (untouched > 0 && (into.timestampsMs[untouched - 1] as number) >= firstMs) untouched--;
  scratch.clear();
  scratch.reserve(into.count - untouched + other.count);
  let left = untouched;
  let right = 0;
  while (left < into.count || right < other.count) {
    const leftMs = left < into.count ? (into.timestampsMs[left] as number) : Number.POSITIVE_INFINITY;
    const rightMs = right < other.count ? (other.timestampsMs[right] as number) : Number.POSITIVE_INFINITY;
    if (leftMs < rightMs) copySample(scratch, into, left++);
    else if (rightMs < leftMs) copySample(scratch, other, right++);
    else {
      if (wins(into, left, other, right)) copySample(scratch, into, left);
      else copySample(scratch, other, right);
      left++;
      right++;
    }
  }
  const mayHoldStale = into.mayHoldStale || other.mayHoldStale;
  into.count = untouched;
  appendSamples(into, scratch);
  into.mayHoldStale = mayHoldStale;
}

function copySample(into: SampleBuffer, from: SampleBuffer, index: number): void {
  const at = into.count++;
  into.timestampsMs[at] = from.timestampsMs[index] as number;
  // As halves: a signalling NaN may not pass through a number.
  into.valueHalves[2 * at] = from.valueHalves[2 * index] as number;
  into.valueHalves[2 * at + 1] = from.valueHalves[2 * index + 1] as number;
}

function wins(a: SampleBuffer, i: number, b: SampleBuffer, j: number): boolean {
  const aHalves = a.valueHalves;
  const bHalves = b.valueHalves;
  return (
    compareValueBits(
      aHalves[2 * i + 1] as number,
      aHalves[2 * i] as number,
      bHalves[2 * j + 1] as number,
      bHalves[2 * j] as number,
    ) >= 0
  );
}
