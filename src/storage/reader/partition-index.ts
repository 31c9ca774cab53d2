// Which members of a source (positions in a part, references in a head) lie in which partition. Members are only ever added
// (a part's all at once). About six bytes a member.

const bitmapBytes = 65_536 / 8;

export class PartitionIndex {
  /** By member. */
  #partitions = new Uint16Array(0);
  #count = 0;
  /** Members [0, #order.length) by partition, then by number; those after are few and looked through. */
  #order = new Uint32Array(0);

  get count(): number {
    return this.#count;
  }

  get sizeBytes(): number {
    return 64 + 2 * this.#partitions.length + 4 * this.#order.length;
  }

  /** Adds the members that follow, with their partitions. */
  append(partitions: Uint16Array): void {
    const count = this.#count + partitions.length;
    if (count > this.#partitions.length) {
      const grown = new Uint16Array(Math.max(count, Math.ceil(this.#partitions.length * 1.5)));
      grown.set(this.#partitions.subarray(0, this.#count));
      this.#partitions = grown;
    }
    this.#partitions.set(partitions, this.#count);
    this.#count = count;
    const unsorted = count - this.#order.length;
    if (unsorted > 4096 && unsorted > count / 8) this.#order = this.#sorted();
  }

  /** Sorts all members by partition, in two passes of counting. */
  #sorted(): Uint32Array<ArrayBuffer> {
    const starts = new Uint32Array(65_537);
    for (let member = 0; member < this.#count; member++) {
      const after = (this.#partitions[member] as number) + 1;
      starts[after] = (starts[after] as number) + 1;
    }
    for (let i = 1; i < starts.length; i++) starts[i] = (starts[i] as number) + (starts[i - 1] as number);
    const order = new Uint32Array(this.#count);
    for (let member = 0; member < this.#count; member++) {
      const partition = this.#partitions[member] as number;
      const at = starts[partition] as number;
      order[at] = member;
      starts[partition] = at + 1;
    }
    return order;
  }

  partitionOf(member: number): number {
    return this.#partitions[member] as number;
  }

  /** Members of these partitions (each named once), ascending. */
  members(partitions: Uint32Array): Uint32Array<ArrayBuffer> {
    const order = this.#order;
    const found: number[] = [];
    const wanted = new Uint8Array(bitmapBytes);
    for (const partition of partitions) {
      wanted[partition >> 3] = (wanted[partition >> 3] as number) | (1 << (partition & 7));
      for (let i = this.#lowerBound(partition); i < order.length; i++) {
        const member = order[i] as number;
        if (this.#partitions[member] !== partition) break;
        found.push(member);
      }
    }
    for (let member = order.length; member < this.#count; member++) {
      if (holdsPartition(wanted, this.#partitions[member] as number)) found.push(member);
    }
    return Uint32Array.from(found).sort();
  }

  /** The first place in #order whose member's partition is not below. */
  #lowerBound(partition: number): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#partitions[this.#order[middle] as number] as number) < partition) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The bits of all partitions that have members, in a bitmap of 8,192 bytes. */
  addTo(bitmap: Uint8Array): void {
    for (let member = 0; member < this.#count; member++) {
      const partition = this.#partitions[member] as number;
      bitmap[partition >> 3] = (bitmap[partition >> 3] as number) | (1 << (partition & 7));
    }
  }
}

export function holdsPartition(bitmap: Uint8Array, partition: number): boolean {
  return (((bitmap[partition >> 3] as number) >> (partition & 7)) & 1) === 1;
}
