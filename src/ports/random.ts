/** Randomness: cryptographic in production, seeded in simulation. */
export interface Random {
  /** Fills `target` with random bytes. */
  fill(target: Uint8Array): void;
  /** A uniform number in [0, 1). */
  float(): number;
}
