// Random queries against themselves: an instant query must answer what a range query answers at that step, and whatever is refused
// must be refused with a code. No outside program is needed for this; test/differential/ compares with Prometheus.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../src/base/index.ts';
import { Labels } from '../../src/model/index.ts';
import { LimitedQueryControl, PromqlEngine, type QueryResult } from '../../src/promql/index.ts';
import { MemoryQueryable } from '../../src/promql/memory-queryable.ts';
import { dataEndMs, dataStartMs, makeData } from '../differential/data.ts';
import { QueryGenerator } from '../differential/query-generator.ts';

const queriesCount = 400;
const seed = 20_261_124;

/**
 * Depend on the query's own times, or (`@` around a changing parameter) on its first step; or order the series of an instant query
 * alone, which shows in ties and in the last place of sums around them.
 */
const dependsOnQuery = /@|\b(?:start|end|step|range)\(\)|\b(?:topk|bottomk|limitk|sort\w*)\b/;

function loadData(): MemoryQueryable {
  const queryable = new MemoryQueryable();
  for (const { labels, timestampsMs, valueHalves } of makeData(1)) {
    const values = new Float64Array(Uint32Array.from(valueHalves).buffer);
    queryable.append(Labels.of(labels), Float64Array.from(timestampsMs), values);
  }
  return queryable;
}

/** Undefined where the query is refused. */
async function answer(run: () => Promise<QueryResult>, text: string): Promise<QueryResult | undefined> {
  try {
    return await run();
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error, `${text}: ${String(error)}`);
    assert.match(String(error.code), /^(?:PROMQL|QUERY)_/, `${text}: ${error.stack}`);
    return undefined;
  }
}

/** `labels value` lines, sorted; values by their text, so that NaN equals NaN and −0 does not equal 0. */
function lines({ value }: QueryResult, timeMs: number): string[] | undefined {
  const shown = (number: number): string => (Object.is(number, -0) ? '-0' : String(number));
  if (value.kind === 'scalar') return [`{} ${shown(value.value)}`];
  if (value.kind === 'vector')
    return value.labels.map((labels, i) => `${labels} ${shown(value.values[i] as number)}`).sort();
  if (value.kind === 'string') return undefined;
  const found = value.series.flatMap(({ labels, timestampsMs, values }) => {
    const at = timestampsMs.indexOf(timeMs);
    return at < 0 ? [] : [`${labels} ${shown(values[at] as number)}`];
  });
  return found.sort();
}

test(`an instant query answers like a step of a range query (${queriesCount} random queries)`, async () => {
  const queryable = loadData();
  const engine = new PromqlEngine();
  const random = new SeededRandom(seed);
  const generator = new QueryGenerator(random);
  let comparedCount = 0;
  for (let i = 0; i < queriesCount; i++) {
    const text = generator.next();
    const timeMs = dataStartMs + random.below(dataEndMs - dataStartMs);
    const stepMs = [1000, 15_000, 300_000][random.below(3)] ?? 1000;
    const instant = await answer(
      () => engine.instantQuery({ text, timeMs }, queryable, new LimitedQueryControl()),
      text,
    );
    const range = { text, startMs: timeMs - 3 * stepMs, endMs: timeMs + 2 * stepMs, stepMs };
    const stepped = await answer(() => engine.rangeQuery(range, queryable, new LimitedQueryControl()), text);
    if (!instant || !stepped || dependsOnQuery.test(text)) continue;
    comparedCount++;
    assert.deepEqual(lines(instant, timeMs), lines(stepped, timeMs), `${text} at ${timeMs} by ${stepMs}`);
  }
  assert.ok(comparedCount > queriesCount / 3, `only ${comparedCount} queries were compared`);
});
