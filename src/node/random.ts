// Randomness from the operating system.
import { randomFillSync } from 'node:crypto';
import type { Random } from '../ports/index.ts';

export class SystemRandom implements Random {
  fill(target: Uint8Array): void {
    randomFillSync(target);
  }

  float(): number {
    return Math.random();
  }
}
