// What clients know of a simulated cluster, and the promises of docs/cluster.md held against it: every sample sent, every
// acknowledgement with its moment, every delete; every answer is judged by what had been acknowledged when it was asked for.
import type { Sample } from './data.ts';

interface Acknowledged {
  readonly sample: Sample;
  readonly atMs: number;
}

export interface DeleteSeen {
  readonly series: readonly number[];
  readonly fromMs: number;
  readonly toMs: number;
  /** When it was sent, and when acknowledged. */
  readonly sentMs: number;
  ackedMs: number;
}

export type Promise6 =
  | 'lost'
  | 'phantom'
  | 'twice'
  | 'undeleted'
  | 'pulled-back'
  | 'unequal'
  | 'not-healed'
  | 'oracle'
  | 'warned';

export interface Violation {
  readonly promise: Promise6;
  readonly atMs: number;
  readonly what: string;
}

const keyOf = ({ series, timestampMs }: Sample): string => `${series}@${timestampMs}`;

export class Checker {
  readonly violations: Violation[] = [];
  samplesAcked = 0;
  samplesChecked = 0;
  readsChecked = 0;
  readsWarned = 0;
  readsAloneChecked = 0;
  readonly deletes: DeleteSeen[] = [];
  /** Samples older than this need not be there any more. */
  #expiredBeforeMs = Number.NEGATIVE_INFINITY;
  readonly #sent = new Set<string>();
  readonly #acked = new Map<string, Acknowledged>();

  expire(beforeMs: number): void {
    this.#expiredBeforeMs = Math.max(this.#expiredBeforeMs, beforeMs);
  }

  sent(samples: readonly Sample[]): void {
    for (const sample of samples) this.#sent.add(`${keyOf(sample)}=${sample.value}`);
  }

  acked(samples: readonly Sample[], atMs: number): void {
    for (const sample of samples) {
      const known = this.#acked.get(keyOf(sample));
      if (!known) this.samplesAcked++;
      // Of two values of one timestamp the larger one wins, whenever it came; the first acknowledgement counts for it.
      if (!known || sample.value > known.sample.value) this.#acked.set(keyOf(sample), { sample, atMs });
    }
  }

  /** Whether a delete that had been sent by now may hide it, or one acknowledged before `askedMs` must. */
  #hiding(sample: Sample, askedMs: number): 'must' | 'may' | 'no' {
    const matching = this.deletes.filter(
      ({ series, fromMs, toMs }) =>
        series.includes(sample.series) && sample.timestampMs >= fromMs && sample.timestampMs <= toMs,
    );
    if (matching.some(({ ackedMs }) => ackedMs < askedMs)) return 'must';
    return matching.length > 0 ? 'may' : 'no';
  }

  #fail(promise: Promise6, atMs: number, what: string): void {
    this.violations.push({ promise, atMs, what });
  }

  fail(promise: Promise6, atMs: number, what: string): void {
    this.#fail(promise, atMs, what);
  }

  /** What single owners serve: no two of them give a sample of one series and time. */
  onceAnswered(answers: readonly { from: string; samples: readonly Sample[] }[], nowMs: number, by: string): void {
    this.readsAloneChecked++;
    const holders = new Map<string, string>();
    for (const { from, samples } of answers) {
      for (const sample of samples) {
        const holder = holders.get(keyOf(sample)) ?? from;
        if (holder !== from) this.#fail('twice', nowMs, `${keyOf(sample)} from ${holder} and ${from} at ${by}`);
        holders.set(keyOf(sample), holder);
      }
    }
  }

  /** An answer without warnings to a query over everything in [fromMs, toMs], asked at `askedMs`. */
  answered(answer: readonly Sample[], fromMs: number, toMs: number, askedMs: number, nowMs: number, by: string): void {
    this.readsChecked++;
    const found = new Map<string, Sample>();
    for (const sample of answer) {
      const key = keyOf(sample);
      const other = found.get(key);
      if (!other || sample.value > other.value) found.set(key, sample);
      if (!this.#sent.has(`${key}=${sample.value}`)) this.#fail('phantom', nowMs, `${key}=${sample.value} at ${by}`);
      if (this.#hiding(sample, askedMs) === 'must') this.#fail('undeleted', nowMs, `${key} at ${by}`);
    }
    for (const [key, { sample, atMs }] of this.#acked) {
      const { timestampMs } = sample;
      if (atMs >= askedMs || timestampMs < fromMs || timestampMs > toMs || timestampMs < this.#expiredBeforeMs)
        continue;
      if (this.#hiding(sample, askedMs) !== 'no') continue;
      this.samplesChecked++;
      const value = found.get(key)?.value ?? Number.NEGATIVE_INFINITY;
      if (value < sample.value) this.#fail('lost', nowMs, `${key}=${sample.value}, acknowledged at ${atMs}, at ${by}`);
    }
  }
}
