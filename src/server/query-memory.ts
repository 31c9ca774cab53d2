// Memory that the queries of one worker take together. Each has a limit of its own; this one keeps many of them from taking
// the whole machine. What is counted lies in array buffers, which the JavaScript heap's limit does not see.
import { mib, TimbalaError } from '../base/index.ts';
import { queryTimeoutMs } from './limits.ts';
import { LimitedQueryControl, type QueryControl, type QueryLimits } from '../promql/index.ts';

export class QueryMemory {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Negative: gives back. Throws QUERY_TOO_MUCH_MEMORY, and then has taken nothing. */
  add(count: number): void {
    if (count > 0 && this.#bytes + count > this.#bytesMax) {
      const others = 'other queries that are under way and this one would take more than';
      throw new TimbalaError(
        'QUERY_TOO_MUCH_MEMORY',
        `${others} ${Math.floor(this.#bytesMax / mib)} MiB; ask again later`,
      );
    }
    this.#bytes += count;
  }
}

/** The limits of one query, which takes its memory from what all may take. */
export class SharedQueryControl implements QueryControl {
  readonly #own: LimitedQueryControl;
  readonly #memory: QueryMemory;
  readonly remainingMs: () => number;
  #takenBytes = 0;

  constructor(limits: QueryLimits & { readonly remainingMs?: () => number }, memory: QueryMemory) {
    this.#own = new LimitedQueryControl(limits);
    this.#memory = memory;
    this.remainingMs = limits.remainingMs ?? ((): number => queryTimeoutMs);
  }

  check(): void {
    this.#own.check();
  }

  addSamples(count: number): void {
    this.#own.addSamples(count);
  }

  addBytes(count: number): void {
    this.#own.addBytes(count);
    try {
      this.#memory.add(count);
    } catch (error) {
      this.#own.addBytes(-count);
      throw error;
    }
    this.#takenBytes += count;
  }

  /** The query and its answer are gone. */
  release(): void {
    this.#memory.add(-this.#takenBytes);
    this.#takenBytes = 0;
  }
}
