// A set of partitions as one byte each: adding the partitions of every request to it has to cost next to nothing.

export class PartitionSet {
  #has = new Uint8Array(8);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(partition: number): boolean {
    return this.#has[partition] === 1;
  }

  add(partition: number): void {
    if (this.#has[partition] !== 1) this.#insert(partition);
  }

  #insert(partition: number): void {
    if (partition >= this.#has.length) {
      const grown = new Uint8Array(2 ** Math.ceil(Math.log2(partition + 1)));
      grown.set(this.#has);
      this.#has = grown;
    }
    this.#has[partition] = 1;
    this.#size++;
  }

  delete(partition: number): void {
    if (!this.has(partition)) return;
    this.#has[partition] = 0;
    this.#size--;
  }

  /** Ascending; what is added or deleted meanwhile may be seen or not. */
  *[Symbol.iterator](): Generator<number> {
    for (let partition = 0; partition < this.#has.length; partition++) if (this.#has[partition] === 1) yield partition;
  }
}
