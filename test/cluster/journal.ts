// What an end-to-end run saw: per phase how many writes and queries there were, how long they took, and what failed though the
// promises (docs/cluster.md) say that it must not. Printed as a table; a run is good when there is no violation.
import { StallWatch } from './stalls.ts';

interface Phase {
  readonly name: string;
  readonly startedMs: number;
  endedMs: number;
  readonly writesMs: number[];
  readonly queriesMs: number[];
  samplesCount: number;
  /** Refusals that are no violation: the node asked was down, cut off or full, or this machine stood still. */
  excusedCount: number;
  warnedCount: number;
  violationsCount: number;
}

/** Violations are told in words up to this many. */
const printedMax = 30;

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

const inMs = (value: number): string => (Number.isNaN(value) ? '–' : value.toFixed(value < 10 ? 1 : 0));

export class Journal {
  readonly stalls = new StallWatch();
  violationsCount = 0;
  readonly #print: (line: string) => void;
  readonly #phases: Phase[] = [];
  #current: Phase;

  constructor(print: (line: string) => void) {
    this.#print = print;
    this.#current = this.#phaseNamed('start');
  }

  #phaseNamed(name: string): Phase {
    const phase: Phase = {
      name,
      startedMs: performance.now(),
      endedMs: Number.NaN,
      writesMs: [],
      queriesMs: [],
      samplesCount: 0,
      excusedCount: 0,
      warnedCount: 0,
      violationsCount: 0,
    };
    this.#phases.push(phase);
    return phase;
  }

  /** What happens from here on is counted under this name. */
  begin(name: string): void {
    this.#current.endedMs = performance.now();
    this.#current = this.#phaseNamed(name);
    this.note(name);
  }

  note(text: string): void {
    this.#print(`${new Date().toISOString().slice(11, 23)} ${text}`);
  }

  acknowledged(samplesCount: number, tookMs: number): void {
    this.#current.samplesCount += samplesCount;
    this.#current.writesMs.push(tookMs);
  }

  answered(tookMs: number, isWarned: boolean): void {
    this.#current.queriesMs.push(tookMs);
    if (isWarned) this.#current.warnedCount++;
  }

  excused(): void {
    this.#current.excusedCount++;
  }

  violated(what: string): void {
    this.#current.violationsCount++;
    if (++this.violationsCount <= printedMax) this.note(`VIOLATION in "${this.#current.name}": ${what}`);
  }

  /** Writes of the phases that `isChosen` says, in ms: what q of them took at most. */
  writesMs(isChosen: (name: string) => boolean, q: number): number {
    const all = this.#phases.filter(({ name }) => isChosen(name)).flatMap(({ writesMs }) => writesMs);
    return quantile(
      all.toSorted((a, b) => a - b),
      q,
    );
  }

  table(): string {
    const header = [
      'phase',
      's',
      'writes',
      'samples acknowledged',
      'write p50 / p99 / max ms',
      'queries',
      'query p50 / p99 / max ms',
      'excused',
      'with warnings',
      'violations',
    ];
    const rows = this.#phases.map((phase) => {
      const latencies = (values: readonly number[]): string => {
        const sorted = values.toSorted((a, b) => a - b);
        return [0.5, 0.99, 1].map((q) => inMs(quantile(sorted, q))).join(' / ');
      };
      const endedMs = Number.isNaN(phase.endedMs) ? performance.now() : phase.endedMs;
      return [
        phase.name,
        ((endedMs - phase.startedMs) / 1000).toFixed(1),
        phase.writesMs.length,
        phase.samplesCount,
        latencies(phase.writesMs),
        phase.queriesMs.length,
        latencies(phase.queriesMs),
        phase.excusedCount,
        phase.warnedCount,
        phase.violationsCount,
      ].map(String);
    });
    const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
    return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
  }
}
