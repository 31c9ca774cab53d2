// Sets of series positions as runs: a Uint32Array of start, end (exclusive), start, end, …, ascending, not touching. Series
// lie in label order, so that the postings of a metric are one run, and those of most labels are a few.

/** An ascending set of positions; see the header. Immutable. */
export type Runs = Uint32Array;

export const noRuns: Runs = new Uint32Array(0);

export function allRuns(count: number): Runs {
  return count === 0 ? noRuns : Uint32Array.of(0, count);
}

/** How many positions. */
export function countOf(runs: Runs): number {
  let count = 0;
  for (let i = 0; i < runs.length; i += 2) count += (runs[i + 1] as number) - (runs[i] as number);
  return count;
}

/** Every position. */
export function expand(runs: Runs): Uint32Array {
  const positions = new Uint32Array(countOf(runs));
  let at = 0;
  for (let i = 0; i < runs.length; i += 2) {
    const end = runs[i + 1] as number;
    for (let position = runs[i] as number; position < end; position++) positions[at++] = position;
  }
  return positions;
}

export function intersect(a: Runs, b: Runs): Runs {
  const result = new Uint32Array(a.length + b.length);
  let length = 0;
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const aEnd = a[i + 1] as number;
    const bEnd = b[j + 1] as number;
    const start = Math.max(a[i] as number, b[j] as number);
    const end = Math.min(aEnd, bEnd);
    if (start < end) {
      result[length++] = start;
      result[length++] = end;
    }
    if (aEnd <= bEnd) i += 2;
    if (bEnd <= aEnd) j += 2;
  }
  return result.slice(0, length);
}

/** What is in `a` but not in `b`. */
export function subtract(a: Runs, b: Runs): Runs {
  const result = new Uint32Array(a.length + b.length);
  let length = 0;
  let j = 0;
  for (let i = 0; i < a.length; i += 2) {
    let start = a[i] as number;
    const end = a[i + 1] as number;
    while (j < b.length && (b[j + 1] as number) <= start) j += 2;
    for (let k = j; k < b.length && (b[k] as number) < end; k += 2) {
      const hole = b[k] as number;
      if (hole > start) {
        result[length++] = start;
        result[length++] = hole;
      }
      start = Math.max(start, b[k + 1] as number);
    }
    if (start < end) {
      result[length++] = start;
      result[length++] = end;
    }
  }
  return result.slice(0, length);
}

/** The union of any number of sets of positions below `count`. */
export function unite(lists: readonly Runs[], count: number): Runs {
  if (lists.length === 0) return noRuns;
  if (lists.length === 1) return lists[0] as Runs;
  // A bitmap is linear in the number of lists, however they interleave.
  const words = new Uint32Array((count + 31) >>> 5);
  for (const runs of lists) {
    for (let i = 0; i < runs.length; i += 2) setBits(words, runs[i] as number, runs[i + 1] as number);
  }
  return runsOfBits(words, count);
}

function setBits(words: Uint32Array, start: number, end: number): void {
  const firstWord = start >>> 5;
  const lastWord = (end - 1) >>> 5;
  const firstMask = -1 << (start & 31);
  const lastMask = -1 >>> (31 - ((end - 1) & 31));
  if (firstWord === lastWord) {
    words[firstWord] = (words[firstWord] as number) | (firstMask & lastMask);
    return;
  }
  words[firstWord] = (words[firstWord] as number) | firstMask;
  words.fill(0xffffffff, firstWord + 1, lastWord);
  words[lastWord] = (words[lastWord] as number) | lastMask;
}

function runsOfBits(words: Uint32Array, count: number): Runs {
  const runs: number[] = [];
  let position = 0;
  while (position < count) {
    const start = nextBit(words, position, count, true);
    if (start >= count) break;
    position = nextBit(words, start, count, false);
    runs.push(start, position);
  }
  return Uint32Array.from(runs);
}

/** The first position from `from` on whose bit is `wanted`, or `count`. */
function nextBit(words: Uint32Array, from: number, count: number, wanted: boolean): number {
  let index = from >>> 5;
  let word = (wanted ? (words[index] as number) : ~(words[index] as number)) & (-1 << (from & 31));
  while (word === 0) {
    index++;
    if (index >= words.length) return count;
    word = wanted ? (words[index] as number) : ~(words[index] as number);
  }
  // The lowest set bit: 31 less the leading zeros of the word with only that bit.
  return Math.min(count, index * 32 + 31 - Math.clz32(word & -word));
}
