// The heap behind `topk`, `bottomk` and `limitk`: at every step the best k values of a group, held in flat arrays. It does what
// Go's container/heap does, in the same order, because that decides which of several equal values survive.

/** True where `a` is to be thrown out before `b`. NaN goes first, even before NaN. */
export type Less = (a: number, b: number) => boolean;

export const lowestFirst: Less = (a, b) => Number.isNaN(a) || a < b;
export const highestFirst: Less = (a, b) => Number.isNaN(a) || a > b;

export class ValueHeaps {
  readonly #values: Float64Array;
  readonly #members: Int32Array;
  readonly #sizes: Int32Array;
  readonly #capacity: number;
  readonly #less: Less;

  /** One heap per step, of at most `capacity` entries. */
  constructor(stepsCount: number, capacity: number, less: Less) {
    this.#values = new Float64Array(stepsCount * capacity);
    this.#members = new Int32Array(stepsCount * capacity);
    this.#sizes = new Int32Array(stepsCount);
    this.#capacity = capacity;
    this.#less = less;
  }

  static bytes(stepsCount: number, capacity: number): number {
    return stepsCount * (12 * capacity + 4);
  }

  size(step: number): number {
    return this.#sizes[step] as number;
  }

  /** Offers a value; a heap that is full (`limit` entries) takes it in place of its root, if the root is worse. */
  offer(step: number, limit: number, value: number, member: number): void {
    const size = this.#sizes[step] as number;
    const base = step * this.#capacity;
    if (size < limit) {
      this.#set(base + size, value, member);
      this.#sizes[step] = size + 1;
      this.#siftUp(base, size);
      return;
    }
    const root = this.#values[base] as number;
    const rootIsWorse = Number.isNaN(root) ? !Number.isNaN(value) : this.#less(root, value);
    if (!rootIsWorse) return;
    this.#set(base, value, member);
    this.#siftDown(base, size);
  }

  /** Takes the value only where there is room. */
  offerIfRoom(step: number, limit: number, value: number, member: number): void {
    if (this.size(step) < limit) this.offer(step, limit, value, member);
  }

  /** Calls back for each entry in the heap's order. */
  forEach(step: number, visit: (value: number, member: number) => void): void {
    const base = step * this.#capacity;
    for (let i = 0; i < this.size(step); i++)
      visit(this.#values[base + i] as number, this.#members[base + i] as number);
  }

  /** The members at a step, best first; equal ones in the heap's order (for up to twelve, exactly as Go's sort leaves them). */
  sortedMembers(step: number): number[] {
    const base = step * this.#capacity;
    const order = Array.from({ length: this.size(step) }, (_, i) => base + i);
    const outranks = (a: number, b: number): boolean =>
      this.#less(this.#values[b] as number, this.#values[a] as number);
    if (order.length <= 12) insertionSort(order, outranks);
    else order.sort((a, b) => Number(outranks(b, a)) - Number(outranks(a, b)));
    return order.map((entry) => this.#members[entry] as number);
  }

  #set(entry: number, value: number, member: number): void {
    this.#values[entry] = value;
    this.#members[entry] = member;
  }

  #siftUp(base: number, start: number): void {
    let child = start;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!this.#less(this.#values[base + child] as number, this.#values[base + parent] as number)) return;
      this.#swap(base + child, base + parent);
      child = parent;
    }
  }

  #siftDown(base: number, size: number): void {
    let parent = 0;
    for (;;) {
      let child = 2 * parent + 1;
      if (child >= size) return;
      const other = child + 1;
      if (other < size && this.#less(this.#values[base + other] as number, this.#values[base + child] as number))
        child = other;
      if (!this.#less(this.#values[base + child] as number, this.#values[base + parent] as number)) return;
      this.#swap(base + child, base + parent);
      parent = child;
    }
  }

  #swap(a: number, b: number): void {
    const value = this.#values[a] as number;
    const member = this.#members[a] as number;
    this.#set(a, this.#values[b] as number, this.#members[b] as number);
    this.#set(b, value, member);
  }
}

function insertionSort(order: number[], outranks: (a: number, b: number) => boolean): void {
  for (let i = 1; i < order.length; i++) {
    for (let j = i; j > 0 && outranks(order[j] as number, order[j - 1] as number); j--) {
      [order[j - 1], order[j]] = [order[j] as number, order[j - 1] as number];
    }
  }
}
