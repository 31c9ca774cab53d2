// Compensated summation (Kahan's, in Neumaier's form, which also holds where a term is larger than the sum), in the order of
// operations that Prometheus uses, so that sums are equal to the bit.

/** A running sum and what its rounding has lost so far. The fields are public: some algorithms scale both. */
export class KahanSum {
  sum = 0;
  compensation = 0;

  add(value: number): void {
    const sum = this.sum;
    const next = sum + value;
    if (next === Infinity || next === -Infinity) this.compensation = 0;
    else if (Math.abs(sum) >= Math.abs(value)) this.compensation += sum - next + value;
    else this.compensation += value - next + sum;
    this.sum = next;
  }

  /** The best estimate; at the infinities the compensation means nothing (it is 0 there). */
  get total(): number {
    return this.sum + this.compensation;
  }
}
