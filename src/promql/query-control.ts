// The limits of one query as a QueryControl: how many samples it may load, how much memory its intermediate results may
// take, and whether it should stop. Prometheus counts the samples that are in memory at one step; we count what a query
// loads and returns over its whole life, because memory is bounded by `bytesMax` on its own.
import { mib, TimbalaError } from '../base/index.ts';
import type { QueryControl } from './queryable.ts';

export interface QueryLimits {
  /** Default 50 million, as Prometheus's query.max-samples. */
  readonly samplesMax?: number;
  /** Default 1 GiB. */
  readonly bytesMax?: number;
  /** Asked at every batch of work; must be cheap. 'run' unless the query is to end. */
  readonly state?: () => 'run' | 'cancelled' | 'timeout';
}

export class LimitedQueryControl implements QueryControl {
  readonly #samplesMax: number;
  readonly #bytesMax: number;
  readonly #state: () => 'run' | 'cancelled' | 'timeout';
  #samplesCount = 0;
  #bytesCount = 0;

  constructor(limits: QueryLimits = {}) {
    this.#samplesMax = limits.samplesMax ?? 50_000_000;
    this.#bytesMax = limits.bytesMax ?? 1024 * mib;
    this.#state = limits.state ?? ((): 'run' => 'run');
  }

  get samplesCount(): number {
    return this.#samplesCount;
  }

  check(): void {
    const state = this.#state();
    if (state === 'run') return;
    if (state === 'timeout') throw new TimbalaError('QUERY_TIMEOUT', 'query timed out in expression evaluation');
    throw new TimbalaError('QUERY_CANCELLED', 'query was canceled in expression evaluation');
  }

  addSamples(count: number): void {
    this.#samplesCount += count;
    if (this.#samplesCount > this.#samplesMax) {
      throw new TimbalaError(
        'QUERY_TOO_MANY_SAMPLES',
        'query processing would load too many samples into memory in query execution',
      );
    }
  }

  /** Whoever is refused has taken nothing. */
  addBytes(count: number): void {
    if (count > 0 && this.#bytesCount + count > this.#bytesMax) {
      throw new TimbalaError(
        'QUERY_TOO_MUCH_MEMORY',
        `query processing would take more than ${this.#bytesMax / mib} MiB for intermediate results; narrow its selectors or its range`,
      );
    }
    this.#bytesCount += count;
  }
}

/** The control of a part of a query that may come to nothing: knows what memory it took, so that it can be given back. */
export class CountedControl implements QueryControl {
  readonly remainingMs?: () => number;
  readonly #control: QueryControl;
  #bytesCount = 0;

  constructor(control: QueryControl) {
    this.#control = control;
    if (control.remainingMs) this.remainingMs = () => control.remainingMs?.() ?? Infinity;
  }

  check(): void {
    this.#control.check();
  }

  addSamples(count: number): void {
    this.#control.addSamples(count);
  }

  addBytes(count: number): void {
    this.#control.addBytes(count);
    this.#bytesCount += count;
  }

  giveBack(): void {
    this.#control.addBytes(-this.#bytesCount);
    this.#bytesCount = 0;
  }
}
