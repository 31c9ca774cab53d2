// Asks nodes while the load goes on, and holds every answer against what was acknowledged before the question: nothing of it
// may be missing (but where a warning says so, and may), no value may differ, nothing may be there that was never sent.
import { setTimeout as sleep } from 'node:timers/promises';
import { SeededRandom } from '../../src/base/index.ts';
import { type ApiAnswer, type MatrixEntry, PrometheusApi, type QueryData } from '../support/prometheus-api.ts';
import type { Fleet, FleetNode } from './fleet.ts';
import type { Journal } from './journal.ts';
import { metricName, type Writer } from './writers.ts';

const stepsMax = 60;
/** Missing samples are named up to this many. */
const namedMax = 5;

/** Steps of a writer: from ≤ step < end. */
interface Steps {
  readonly writer: Writer;
  readonly from: number;
  readonly end: number;
}

/** A question about steps that are all acknowledged, and what is wrong with an answer (undefined: nothing). */
interface Question {
  readonly what: string;
  ask(api: PrometheusApi, steps: Steps): Promise<ApiAnswer<unknown>>;
  problem(answer: ApiAnswer<unknown>, steps: Steps, isPartial: boolean): string | undefined;
}

const matcherOf = ({ options }: Writer): string => `${metricName}{writer="${options.name}"}`;

function matrixOf(answer: ApiAnswer<unknown>): readonly MatrixEntry[] {
  const data = answer.data as QueryData;
  return data.resultType === 'matrix' ? data.result : [];
}

/** The first few that are not there, in words. */
function missingSamples(answer: ApiAnswer<unknown>, { writer, from, end }: Steps): string[] {
  const found = new Set(
    matrixOf(answer).flatMap(({ metric, values }) => values.map(([seconds]) => `${metric['series']} ${seconds}`)),
  );
  const missing: string[] = [];
  for (let step = from; step < end && missing.length < namedMax; step++) {
    for (const series of writer.seriesOf(step)) {
      const timestampMs = writer.timestampMs(step);
      if (!found.has(`${series} ${timestampMs / 1000}`))
        missing.push(`series ${series} at step ${step} (${timestampMs})`);
    }
  }
  return missing.slice(0, namedMax);
}

/** The samples themselves. */
export const rawSamples: Question = {
  what: 'raw samples',
  ask(api, { writer, from, end }) {
    const { stepMs } = writer.options;
    // The range is open on the left.
    const query = `${matcherOf(writer)}[${(end - from) * stepMs}ms]`;
    return api.query({ query, timeMs: writer.timestampMs(end - 1) });
  },
  problem(answer, steps, isPartial) {
    const { writer, from, end } = steps;
    const { seriesPerStep, groupsCount, stepMs, startMs } = writer.options;
    let foundCount = 0;
    const seriesSeen = new Set<number>();
    for (const { metric, values } of matrixOf(answer)) {
      const series = Number(metric['series']);
      if (seriesSeen.has(series)) return `series ${series} is there twice`;
      seriesSeen.add(series);
      let previous = -1;
      for (const [seconds, text] of values) {
        const step = (Math.round(seconds * 1000) - startMs) / stepMs;
        const wasSent = step >= from && step < end && step % groupsCount === series % groupsCount;
        if (!wasSent) return `series ${series}: nothing was sent at ${seconds}`;
        if (Number(text) !== writer.valueOf(series, step))
          return `series ${series}, step ${step}: ${text} was not sent`;
        if (step <= previous) return `series ${series}, step ${step} is there twice`;
        previous = step;
        foundCount++;
      }
    }
    const allCount = seriesPerStep * (end - from);
    if (foundCount === allCount || isPartial) return undefined;
    return `${allCount - foundCount} of ${allCount} samples are missing: ${missingSamples(answer, steps).join(', ')}`;
  },
};

interface Aggregation {
  readonly text: (selector: string) => string;
  readonly expected: (values: readonly number[]) => number;
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

const aggregations: readonly Aggregation[] = [
  { text: (selector) => `sum(${selector})`, expected: sumOf },
  { text: (selector) => `count(${selector})`, expected: (values) => values.length },
  { text: (selector) => `max(${selector})`, expected: (values) => Math.max(...values) },
  { text: (selector) => `min by (writer) (${selector})`, expected: (values) => Math.min(...values) },
  { text: (selector) => `avg without (series) (${selector})`, expected: (values) => sumOf(values) / values.length },
  {
    text: (selector) => `sum(${selector} > bool 549755813888)`,
    expected: (values) => values.filter((value) => value > 2 ** 39).length,
  },
  { text: (selector) => `topk(1, ${selector})`, expected: (values) => Math.max(...values) },
];

/** Aggregations over all series of a writer, at each step. */
function aggregated({ text, expected }: Aggregation): Question {
  return {
    what: text(metricName),
    ask(api, { writer, from, end }) {
      const { stepMs } = writer.options;
      return api.queryRange({
        query: text(matcherOf(writer)),
        startMs: writer.timestampMs(from),
        endMs: writer.timestampMs(end - 1),
        stepMs,
        // A sample counts for its own step only.
        lookbackDelta: `${stepMs >> 1}ms`,
      });
    },
    problem(answer, { writer, from, end }, isPartial) {
      if (isPartial) return undefined;
      const found = new Map<number, number>();
      for (const { values } of matrixOf(answer)) {
        for (const [seconds, value] of values) found.set(Math.round(seconds * 1000), Number(value));
      }
      for (let step = from; step < end; step++) {
        const values = writer.seriesOf(step).map((series) => writer.valueOf(series, step));
        const right = expected(values);
        const got = found.get(writer.timestampMs(step));
        if (got === undefined || Math.abs(got - right) > Math.abs(right) * 1e-14)
          return `step ${step}: ${got} instead of ${right}`;
      }
      return found.size === end - from ? undefined : `${found.size} steps instead of ${end - from}`;
    },
  };
}

/** Values of a label: the names of all series in the range. */
const labelValues: Question = {
  what: 'values of a label',
  ask(api, { writer, from, end }) {
    return api.get('label/series/values', {
      'match[]': matcherOf(writer),
      start: String(writer.timestampMs(from) / 1000),
      end: String(writer.timestampMs(end - 1) / 1000),
    });
  },
  problem({ data }, { writer, from, end }, isPartial) {
    const values = new Set(data as readonly string[]);
    const { seriesPerStep, groupsCount } = writer.options;
    for (let step = from; step < Math.min(end, from + groupsCount); step++) {
      const missing = writer.seriesOf(step).find((series) => !values.has(String(series)));
      if (missing !== undefined && !isPartial) return `series ${missing} is not named`;
    }
    // Others may be named too: the range says for which series it has to be at least.
    const allCount = seriesPerStep * groupsCount;
    return values.size <= allCount ? undefined : `${values.size} values, and there are only ${allCount} series`;
  },
};

export const questions: readonly Question[] = [
  rawSamples,
  rawSamples,
  rawSamples,
  labelValues,
  ...aggregations.map(aggregated),
];

export class Checker {
  /** Samples that answers were found to hold, each time. */
  checkedCount = 0;
  readonly #fleet: Fleet;
  readonly #journal: Journal;
  readonly #writers: readonly Writer[];
  readonly #random: SeededRandom;
  #isStopped = false;

  constructor(fleet: Fleet, journal: Journal, writers: readonly Writer[], seed: number) {
    this.#fleet = fleet;
    this.#journal = journal;
    this.#writers = writers;
    this.#random = new SeededRandom(seed);
  }

  async run(pauseMs: number): Promise<void> {
    while (!this.#isStopped) {
      const able = this.#fleet.members.filter(({ answers }) => answers);
      const node = able[this.#random.below(Math.max(1, able.length))];
      const writer = this.#writers[this.#random.below(this.#writers.length)];
      const question = questions[this.#random.below(questions.length)];
      if (node && writer && question && writer.acknowledgedCount > 0) {
        await this.#check(node, question, this.#someSteps(writer));
      }
      await sleep(pauseMs);
    }
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** The newest steps, or by turns any. */
  #someSteps(writer: Writer): Steps {
    const { acknowledgedCount } = writer;
    const count = Math.min(acknowledgedCount, 1 + this.#random.below(stepsMax));
    const end =
      this.#random.below(2) === 0 ? acknowledgedCount : count + this.#random.below(acknowledgedCount - count + 1);
    return { writer, from: end - count, end };
  }

  async #check(node: FleetNode, question: Question, steps: Steps): Promise<void> {
    const { epoch } = node;
    const mayWarn = this.#fleet.mayWarn(node);
    const startedMs = performance.now();
    const { writer, from, end } = steps;
    const where = `${question.what} of ${writer.options.name}, steps ${from} to ${end - 1} of ${writer.acknowledgedCount}, at ${node.name}`;
    try {
      const answer = await question.ask(new PrometheusApi(node.url), steps);
      const isPartial = (answer.warnings ?? []).length > 0;
      const took = performance.now() - startedMs;
      if (answer.httpStatus !== 200)
        throw new Error(`${answer.httpStatus}: ${answer.error} after ${Math.round(took)} ms`);
      this.#journal.answered(took, isPartial);
      const problem = question.problem(answer, steps, isPartial);
      if (problem) {
        this.#journal.violated(`${where}: ${problem}`);
        await this.#askAgain(question, steps);
      }
      // What changed meanwhile may have taken a second store out of reach.
      else if (isPartial && !mayWarn && !this.#fleet.mayWarn(node) && !this.#journal.stalls.since(startedMs)) {
        this.#journal.violated(`${where}: warned without need: ${answer.warnings?.join('; ')}`);
      }
      this.checkedCount += (end - from) * writer.options.seriesPerStep;
    } catch (error) {
      const hasLeft = node.isLeaving && String(error).includes('READ_NOT_MEMBER');
      if (hasLeft || node.epoch !== epoch || this.#journal.stalls.since(startedMs)) this.#journal.excused();
      else this.#journal.violated(`${where}: ${String(error)}`);
    }
  }

  /** Tells what all nodes answer a moment later: whether something is lost, or was not found. */
  async #askAgain(question: Question, steps: Steps): Promise<void> {
    for (const node of this.#fleet.members.filter(({ answers }) => answers)) {
      try {
        const answer = await question.ask(new PrometheusApi(node.url), steps);
        const warnings = answer.warnings ?? [];
        const found = question.problem(answer, steps, false) ?? 'right';
        this.#journal.note(`  asked again at ${node.name}: ${found} ${warnings.join('; ')}`);
      } catch (error) {
        this.#journal.note(`  asked again at ${node.name}: ${String(error)}`);
      }
    }
  }

  /** Every acknowledged sample, at every member. */
  async everything(): Promise<void> {
    for (const node of this.#fleet.members) {
      for (const writer of this.#writers) {
        const { acknowledgedCount } = writer;
        for (let from = 0; from < acknowledgedCount; from += 500) {
          await this.#check(node, rawSamples, { writer, from, end: Math.min(acknowledgedCount, from + 500) });
        }
      }
    }
  }
}
