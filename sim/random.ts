// The Random port from a seed.
import { SeededRandom } from '../src/base/index.ts';
import type { Random } from '../src/ports/index.ts';

export class SimRandom implements Random {
  readonly #random: SeededRandom;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  fill(target: Uint8Array): void {
    for (let i = 0; i < target.length; i++) target[i] = this.#random.below(256);
  }

  float(): number {
    return this.#random.float();
  }
}
