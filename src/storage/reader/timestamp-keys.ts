// Keys of timestamp columns within one query: equal (by identity) for equal columns, so that the engine works out once what
// depends on time alone. Parts give keys for what they hold; a head's columns are recognised here by comparing them.
// Memory: a copy of each distinct head column, up to a limit; beyond it columns have no key.

interface KnownColumn {
  readonly timestampsMs: Float64Array;
  readonly key: object;
}

const columnSamplesMax = 1 << 20;

export class TimestampKeys {
  /** By a number made of length, first and last timestamp; columns under one number are compared in full. */
  readonly #columns = new Map<number, KnownColumn[]>();
  readonly #pairs = new WeakMap<object, WeakMap<object, object>>();
  #samplesCount = 0;

  /** The key of the column [first, end) of `timestampsMs`. */
  ofColumn(timestampsMs: Float64Array, first: number, end: number): object | undefined {
    const hash = (timestampsMs[first] as number) + 3 * (timestampsMs[end - 1] as number) + (end - first) / 1024;
    const known = this.#columns.get(hash);
    for (const column of known ?? []) if (equalColumn(column.timestampsMs, timestampsMs, first)) return column.key;
    this.#samplesCount += end - first;
    if (this.#samplesCount > columnSamplesMax) return undefined;
    const column = { timestampsMs: timestampsMs.slice(first, end), key: {} };
    if (known) known.push(column);
    else this.#columns.set(hash, [column]);
    return column.key;
  }

  /** The key of one column followed by another. */
  ofPair(head: object, tail: object): object {
    let tails = this.#pairs.get(head);
    if (!tails) this.#pairs.set(head, (tails = new WeakMap()));
    let key = tails.get(tail);
    if (!key) tails.set(tail, (key = {}));
    return key;
  }
}

function equalColumn(known: Float64Array, timestampsMs: Float64Array, first: number): boolean {
  // From the end: columns that differ at all mostly differ by jitter everywhere.
  for (let i = known.length - 1; i >= 0; i--) if (known[i] !== timestampsMs[first + i]) return false;
  return true;
}
