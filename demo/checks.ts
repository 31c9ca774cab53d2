// Whether what the nodes answer is right: every sample that was acknowledged before a query began is there with its exact
// value, nothing is there that was not sent, and no answer carries a warning.
import { dayMs, secondMs } from '../src/base/index.ts';
import { type ApiAnswer, PrometheusApi, type QueryData } from '../test/support/prometheus-api.ts';
import { intervalMs, type Load, metric, seriesCount, valueOf } from './load.ts';

const rangeDays = 2;

export interface CheckedNode {
  readonly label: string;
  readonly url: string;
}

export interface Verified {
  readonly samplesCount: number;
  readonly lostCount: number;
}

export class Checks {
  rightCount = 0;
  readonly problems: string[] = [];
  readonly #load: Load;

  constructor(load: Load) {
    this.#load = load;
  }

  /** A few queries of one node while the load goes on: one series whole, and a sum over all. */
  async glance(node: CheckedNode, random: () => number): Promise<void> {
    const series = Math.floor(random() * seriesCount);
    await this.#attempt(node, () => this.#checkSeries(node, series));
    await this.#attempt(node, () => this.#checkCount(node));
  }

  /** Every sample of every series, at one node, when nothing is being written. */
  async everything(node: CheckedNode): Promise<Verified> {
    let samplesCount = 0;
    let lostCount = 0;
    for (let series = 0; series < seriesCount; series++) {
      await this.#attempt(node, async () => {
        const verified = await this.#checkSeries(node, series);
        samplesCount += verified.samplesCount;
        lostCount += verified.lostCount;
      });
    }
    return { samplesCount, lostCount };
  }

  async #attempt(node: CheckedNode, check: () => Promise<unknown>): Promise<void> {
    const problemsBefore = this.problems.length;
    try {
      await check();
    } catch (error) {
      this.#problem(node, error instanceof Error ? error.message : String(error));
    }
    if (this.problems.length === problemsBefore) this.rightCount++;
  }

  #problem(node: CheckedNode, what: string): void {
    this.problems.push(`${node.label}: ${what}`);
  }

  async #query(node: CheckedNode, query: string): Promise<ApiAnswer<QueryData>> {
    // A range is open on its left: it begins a little before the first sample.
    const timeMs = this.#load.startMs + rangeDays * dayMs - secondMs;
    const answer = await new PrometheusApi(node.url).query({ query, timeMs });
    if (answer.status !== 'success') throw new Error(`${query}: ${answer.errorType}: ${answer.error}`);
    for (const warning of answer.warnings ?? []) this.#problem(node, `${query}: warning: ${warning}`);
    return answer;
  }

  async #checkSeries(node: CheckedNode, series: number): Promise<Verified> {
    const acknowledged = this.#load.acknowledged(series);
    const { data } = await this.#query(node, `${metric}{series="${series}"}[${rangeDays}d]`);
    const [only] = data?.resultType === 'matrix' ? data.result : [];
    const positions = new Set<number>();
    const sent = this.#load.sent(series);
    for (const [seconds, text] of only?.values ?? []) {
      const position = (seconds * 1000 - this.#load.startMs) / intervalMs;
      if (!(position >= 0 && position < sent)) this.#problem(node, `series ${series}: a sample that nobody sent`);
      else if (Number(text) !== valueOf(series, position)) this.#problem(node, `series ${series}: an altered value`);
      positions.add(position);
    }
    let lostCount = 0;
    for (let position = 0; position < acknowledged; position++) if (!positions.has(position)) lostCount++;
    if (lostCount > 0) this.#problem(node, `series ${series}: ${lostCount} acknowledged samples are missing`);
    return { samplesCount: acknowledged - lostCount, lostCount };
  }

  async #checkCount(node: CheckedNode): Promise<void> {
    const acknowledged = this.#load.acknowledgedCount;
    const query = `sum(count_over_time(${metric}[${rangeDays}d]))`;
    const { data } = await this.#query(node, query);
    const [only] = data?.resultType === 'vector' ? data.result : [];
    const count = Number(only?.value[1] ?? 0);
    const sent = Array.from({ length: seriesCount }, (_, series) => this.#load.sent(series)).reduce((a, b) => a + b, 0);
    if (count < acknowledged || count > sent) {
      this.#problem(node, `${query} is ${count}; acknowledged ${acknowledged}, sent ${sent}`);
    }
  }
}
