// Aggregations that are evaluated by several nodes, each over the series it holds, and put together, against the same query
// over all series in one place: random queries, random shares, random stretches of time that are answered by fragments.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorMessage, SeededRandom } from '../../src/base/index.ts';
import { Labels } from '../../src/model/index.ts';
import { MemoryQueryable } from '../../src/promql/memory-queryable.ts';
import {
  evaluateFragment,
  type FragmentAnswer,
  type FragmentRequest,
  LimitedQueryControl,
  PromqlEngine,
  type Queryable,
  type QueryControl,
  type QueryResult,
  type QueryValue,
} from '../../src/promql/index.ts';
import { type DataSeries, dataEndMs, dataStartMs, makeData } from '../differential/data.ts';
import { QueryGenerator } from '../differential/query-generator.ts';

const seed = Number(process.env['TIMBALA_TEST_SEED'] ?? 1);
const queriesCount = Number(process.env['TIMBALA_TEST_QUERIES'] ?? 1500);
const engine = new PromqlEngine();
const unlimited = (): QueryControl => new LimitedQueryControl({ samplesMax: Infinity, bytesMax: Infinity });

function loaded(series: Iterable<DataSeries>): MemoryQueryable {
  const queryable = new MemoryQueryable();
  for (const { labels, timestampsMs, valueHalves } of series) {
    const values = new Float64Array(valueHalves.buffer.slice(0) as ArrayBuffer);
    queryable.append(Labels.of(labels), Float64Array.from(timestampsMs), values);
  }
  return queryable;
}

/** What a node shows of its samples where it serves a range alone: nothing else. */
function clipped(inner: Queryable, fromMs: number, toMs: number): Pick<Queryable, 'select'> {
  return {
    select: (requests, control) =>
      inner.select(
        requests.map((request) => ({
          ...request,
          startMs: Math.max(request.startMs, fromMs),
          endMs: Math.min(request.endMs, toMs),
        })),
        control,
      ),
  };
}

/** All samples in one place, and again in shares that answer fragments over a range that `rangeOf` chooses. */
class SharedQueryable implements Queryable {
  readonly #all: MemoryQueryable;
  readonly #shares: readonly MemoryQueryable[];
  readonly #rangeOf: (request: FragmentRequest) => { fromMs: number; toMs: number };
  answeredCount = 0;
  hasSelected = false;

  constructor(
    all: MemoryQueryable,
    shares: readonly MemoryQueryable[],
    rangeOf: (request: FragmentRequest) => { fromMs: number; toMs: number },
  ) {
    this.#all = all;
    this.#shares = shares;
    this.#rangeOf = rangeOf;
  }

  select: Queryable['select'] = (requests, control) => {
    this.hasSelected = true;
    return this.#all.select(requests, control);
  };
  series: Queryable['series'] = (request, control) => this.#all.series(request, control);
  labelNames: Queryable['labelNames'] = (request, control) => this.#all.labelNames(request, control);
  labelValues: Queryable['labelValues'] = (name, request, control) => this.#all.labelValues(name, request, control);

  async fragments(request: FragmentRequest): Promise<FragmentAnswer> {
    const range = this.#rangeOf(request);
    const evaluate = (share: Queryable): Promise<Uint8Array> =>
      evaluateFragment(request.encoded, range, clipped(share, range.fromMs, range.toMs), unlimited());
    const frames = await Promise.all(this.#shares.map(evaluate));
    this.answeredCount++;
    return { ...range, frames };
  }
}

type Ask = (queryable: Queryable) => Promise<QueryResult>;

/** Everything of an answer but its statistics, or the error. */
async function outcome(ask: Ask, queryable: Queryable): Promise<string[]> {
  try {
    const { value, warnings, infos } = await ask(queryable);
    return [...shown(value), ...warnings.toSorted(), ...infos.toSorted()];
  } catch (error) {
    return [errorMessage(error)];
  }
}

function shown(value: QueryValue): string[] {
  switch (value.kind) {
    case 'matrix':
      return value.series.flatMap(({ labels, timestampsMs, values }) =>
        Array.from(values, (each, i) => `${labels} ${timestampsMs[i]} ${each}`),
      );
    case 'vector':
      return value.labels.map((labels, i) => `${labels} ${value.values[i]}`);
    default:
      return [String(value.value)];
  }
}

/** Compensated sums in another order may differ in their last digits; nothing else may. */
function isSame(found: string, expected: string): boolean {
  if (found === expected) return true;
  const [foundAt, expectedAt] = [found.lastIndexOf(' '), expected.lastIndexOf(' ')];
  if (found.slice(0, foundAt) !== expected.slice(0, expectedAt)) return false;
  const [a, b] = [Number(found.slice(foundAt)), Number(expected.slice(expectedAt))];
  return Math.abs(a - b) <= 1e-12 * Math.abs(b);
}

const pick = <T>(random: SeededRandom, choices: readonly T[]): T => choices[random.below(choices.length)] as T;

/** Two of three are aggregations of something that may do without what it is near. */
function nextQuery(random: SeededRandom, generator: QueryGenerator): string {
  if (random.below(3) === 0) return generator.next(3);
  const operator = pick(random, ['sum', 'avg', 'min', 'max', 'count', 'group', 'topk', 'bottomk']);
  const grouping = pick(random, ['', 'by (instance)', 'without (instance)', 'by (job, code)']);
  const parameter = operator.endsWith('k') ? pick(random, ['0, ', '1, ', '3, ', '100, ']) : '';
  return `${operator} ${grouping} (${parameter}${generator.next(1 + random.below(2))})`;
}

function nextAsk(random: SeededRandom, text: string): Ask {
  const timeMs = dataStartMs + random.below(dataEndMs - dataStartMs + 600_000);
  if (random.below(2) === 0) return (queryable) => engine.instantQuery({ text, timeMs }, queryable, unlimited());
  const stepMs = pick(random, [15_000, 60_000, 47_001, 300_000]);
  const range = { text, startMs: timeMs, endMs: timeMs + stepMs * random.below(60), stepMs };
  return (queryable) => engine.rangeQuery(range, queryable, unlimited());
}

/** All that is asked for, or a stretch of it. */
function nextRange(random: SeededRandom, { reach }: FragmentRequest): { fromMs: number; toMs: number } {
  const fromMs = reach.startMs - reach.beforeMs;
  const toMs = reach.startMs + (reach.stepsCount - 1) * reach.stepMs + reach.afterMs;
  if (random.below(2) === 0) return { fromMs, toMs };
  const [a, b] = [fromMs + random.below(toMs - fromMs + 1), fromMs + random.below(toMs - fromMs + 1)];
  return { fromMs: random.below(2) === 0 ? fromMs : Math.min(a, b), toMs: Math.max(a, b) };
}

test(`random queries over shares of the series answer as over all of them (seed ${seed}, ${queriesCount} queries)`, async () => {
  const data = makeData(seed);
  const random = new SeededRandom(seed);
  const generator = new QueryGenerator(random);
  const all = loaded(data);
  let pushedCount = 0;
  for (let i = 0; i < queriesCount; i++) {
    const shares: DataSeries[][] = Array.from({ length: 1 + random.below(4) }, () => []);
    for (const series of data) pick(random, shares).push(series);
    const query = nextQuery(random, generator);
    const ask = nextAsk(random, query);
    const rangeOf = (request: FragmentRequest) => nextRange(random, request);
    const shared = new SharedQueryable(all, shares.map(loaded), rangeOf);
    const expected = await outcome(ask, all);
    const found = await outcome(ask, shared);
    const isEqual = found.length === expected.length && found.every((line, k) => isSame(line, expected[k] as string));
    if (!isEqual) assert.deepEqual(found, expected, query);
    if (shared.answeredCount > 0 && !shared.hasSelected) pushedCount++;
  }
  assert(pushedCount > queriesCount / 8, `only ${pushedCount} of ${queriesCount} queries did without samples`);
});
