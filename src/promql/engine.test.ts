// The engine as its callers see it: results, errors, annotations and limits. What queries mean is tested by Prometheus's own
// scripts (test/promql) and against a real Prometheus (test/differential).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Labels } from '../model/index.ts';
import { PromqlEngine } from './engine.ts';
import { MemoryQueryable, setStale } from './memory-queryable.ts';
import { LimitedQueryControl } from './query-control.ts';
import type { QueryControl } from './queryable.ts';
import type { QueryResult } from './result.ts';

const minuteMs = 60_000;
const engine = new PromqlEngine();

/** `name{a="b"}` → values a minute apart from minute 0; undefined is no sample, 'stale' a stale marker. */
type Load = readonly (readonly [
  labels: Readonly<Record<string, string>>,
  values: readonly (number | 'stale' | undefined)[],
])[];

function loaded(load: Load): MemoryQueryable {
  const queryable = new MemoryQueryable();
  for (const [labels, values] of load) {
    const kept = [...values.entries()].filter(([, value]) => value !== undefined);
    const column = Float64Array.from(kept, ([, value]) => (value === 'stale' ? 0 : (value as number)));
    for (const [i, [, value]] of kept.entries()) if (value === 'stale') setStale(column, i);
    queryable.append(
      Labels.of(labels),
      Float64Array.from(kept, ([minute]) => minute * minuteMs),
      column,
    );
  }
  return queryable;
}

const at = (
  text: string,
  minute: number,
  queryable: MemoryQueryable,
  control: QueryControl = new LimitedQueryControl(),
): Promise<QueryResult> => engine.instantQuery({ text, timeMs: minute * minuteMs }, queryable, control);

const over = (
  text: string,
  minutes: readonly [number, number],
  queryable: MemoryQueryable,
  control: QueryControl = new LimitedQueryControl(),
): Promise<QueryResult> =>
  engine.rangeQuery(
    { text, startMs: minutes[0] * minuteMs, endMs: minutes[1] * minuteMs, stepMs: minuteMs },
    queryable,
    control,
  );

function shown({ value }: QueryResult): unknown {
  if (value.kind === 'vector') return value.labels.map((labels, i) => `${labels} ${value.values[i]}`);
  if (value.kind === 'matrix') {
    return value.series.map(({ labels, timestampsMs, values }) => {
      const points = Array.from(values, (each, i) => `${each}@${(timestampsMs[i] as number) / minuteMs}`);
      return `${labels} ${points.join(' ')}`;
    });
  }
  return value.value;
}

const two: Load = [
  [{ __name__: 'x', a: '1' }, [1, 2, undefined, 'stale', undefined, 5]],
  [{ __name__: 'x', a: '2' }, [10, 20, 30, 40, 50, 60]],
];

test('each type of result', async () => {
  const queryable = loaded(two);
  assert.deepEqual(shown(await at('x', 5, queryable)), ['x{a="1"} 5', 'x{a="2"} 60']);
  assert.equal(shown(await at('1 + 2', 5, queryable)), 3);
  assert.equal(shown(await at('"text"', 5, queryable)), 'text');
  assert.deepEqual(shown(await at('x[3m]', 5, queryable)), ['x{a="1"} 5@5', 'x{a="2"} 40@3 50@4 60@5']);
  assert.deepEqual(shown(await at('(-x)[2m:1m]', 5, queryable)), ['{a="1"} -5@5', '{a="2"} -50@4 -60@5']);
  assert.deepEqual(shown(await over('x', [1, 3], queryable)), ['x{a="1"} 2@1 2@2', 'x{a="2"} 20@1 30@2 40@3']);
  assert.deepEqual(shown(await over('2', [1, 2], queryable)), ['{} 2@1 2@2']);
});

test('full rows share the timestamps of the grid', async () => {
  const { value } = await over('x{a="2"} or label_replace(x{a="2"}, "a", "3", "a", ".*")', [0, 5], loaded(two));
  assert.equal(value.kind, 'matrix');
  if (value.kind !== 'matrix') return;
  const [first, second] = value.series;
  assert.equal(first?.timestampsMs, second?.timestampsMs);
});

test('names are dropped at once; series that then are equal may not meet at a step', async () => {
  const queryable = loaded([
    [{ __name__: 'a' }, [1, 2]],
    [{ __name__: 'b' }, [undefined, undefined, 3, 4]],
  ]);
  const lookback = { lookbackDeltaMs: minuteMs };
  const range = { startMs: 0, endMs: 3 * minuteMs, stepMs: minuteMs, ...lookback };
  const query = { text: 'abs({__name__=~"a|b"})', ...range };
  assert.deepEqual(shown(await engine.rangeQuery(query, queryable, new LimitedQueryControl())), ['{} 1@0 2@1 3@2 4@3']);
  await assert.rejects(over('abs({__name__=~"a|b"})', [0, 3], queryable), {
    code: 'PROMQL_EXECUTION',
    message: 'PROMQL_EXECUTION: vector cannot contain metrics with the same labelset',
  });
  const delayed = new PromqlEngine({ delayedNameRemoval: true });
  const kept = { text: 'label_replace(abs(a), "was", "$1", "__name__", "(.*)")', timeMs: 0 };
  assert.deepEqual(shown(await delayed.instantQuery(kept, queryable, new LimitedQueryControl())), ['{was="a"} 1']);
});

test('errors carry the code of their kind', async () => {
  const queryable = loaded([...two, [{ __name__: 'y', a: '1' }, [1]], [{ __name__: 'y', a: '2' }, [1]]]);
  const cases: readonly (readonly [text: string, code: string, message: string])[] = [
    ['x +', 'PROMQL_PARSE', '1:4: parse error: unexpected end of input'],
    [
      'x * on () y',
      'PROMQL_EXECUTION',
      [
        'found duplicate series for the match group {} on the right hand-side of the operation:',
        '[{__name__="y", a="1"}, {__name__="y", a="2"}];many-to-many matching not allowed: matching labels must be unique on one side',
      ].join(' '),
    ],
    [
      'x * on () y{a="1"}',
      'PROMQL_EXECUTION',
      'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)',
    ],
    [
      'label_replace(x, "a", "", "a", ".*") + on () group_left () y{a="1"}',
      'PROMQL_EXECUTION',
      'vector cannot contain metrics with the same labelset',
    ],
    ['topk(NaN, x)', 'PROMQL_EXECUTION', 'Parameter value is NaN'],
    ['label_replace(x, "a", "", "b", "(")', 'PROMQL_EXECUTION', 'invalid regular expression in label_replace(): ('],
  ];
  for (const [text, code, message] of cases) {
    await assert.rejects(at(text, 0, queryable), (error: Error & { code: string }) => {
      assert.equal(error.code, code, text);
      assert.equal(error.message.replace(`${code}: `, ''), message);
      return true;
    });
  }
  await assert.rejects(over('x[1m]', [0, 1], queryable), {
    code: 'PROMQL_INVALID',
    message: 'PROMQL_INVALID: invalid expression type "range vector" for range query, must be Scalar or instant Vector',
  });
});

test('of several things wrong with a match the one at the first step is reported', async () => {
  const many = /many-to-one matching must be explicit/;
  const duplicate = /found duplicate series/;
  const queryable = loaded([
    [{ __name__: 'l', a: '1' }, [1, 1]],
    [{ __name__: 'l', a: '2' }, [1, 1]],
    [{ __name__: 'late', b: '1' }, [1, 1]],
    [{ __name__: 'late', b: '2' }, [undefined, 1]],
    [{ __name__: 'early', b: '1' }, [1]],
    [{ __name__: 'early', b: '2' }, [1]],
  ]);
  await assert.rejects(over('l * on () late', [0, 1], queryable), many);
  await assert.rejects(over('l * on () early', [0, 1], queryable), duplicate);
  await assert.rejects(over('l * on () late', [1, 1], queryable), duplicate);
});

test('annotations point into the query and are given once', async () => {
  const queryable = loaded([...two, [{ __name__: 'b_bucket', le: 'wrong' }, [1]]]);
  const { infos } = await over('1 +\n rate(x[5m]) + rate(x[5m])', [1, 5], queryable);
  assert.deepEqual(infos, [
    'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "x" (2:21)',
  ]);
  // Even where no value of it can matter.
  assert.equal((await at('topk(0, rate(x[5m]))', 5, queryable)).infos.length, 1);
  const { warnings } = await at('quantile(2, x) + histogram_quantile(-1, b_bucket)', 0, queryable);
  assert.deepEqual(warnings, [
    'PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)',
    'PromQL warning: quantile value should be between 0 and 1, got -1 (1:37)',
    'PromQL warning: bucket label "le" is missing or has a malformed value of "wrong" (1:41)',
  ]);
});

test('a series without a match is read all the same where that warns', async () => {
  const { infos } = await at('rate(x[5m]) and on (a) y', 5, loaded(two));
  assert.equal(infos.length, 1);
});

test('clamp has no result at steps where its bounds are the wrong way round', async () => {
  const queryable = loaded([[{ __name__: 'x' }, [5, 5, 5]]]);
  assert.deepEqual(shown(await over('clamp(x, 1, time() / 60)', [0, 2], queryable)), ['{} 1@1 2@2']);
});

test('samples and memory are limited, and a query can be stopped', async () => {
  const queryable = loaded(two);
  const limited = (limits: ConstructorParameters<typeof LimitedQueryControl>[0]): Promise<QueryResult> =>
    over('sum(x)', [0, 5], queryable, new LimitedQueryControl(limits));
  await limited({ samplesMax: 100 });
  await assert.rejects(limited({ samplesMax: 5 }), { code: 'QUERY_TOO_MANY_SAMPLES' });
  await assert.rejects(limited({ bytesMax: 500 }), { code: 'QUERY_TOO_MUCH_MEMORY' });
  // A subquery without a selector loads no sample, but each of its steps takes memory.
  await assert.rejects(at('max_over_time(vector(1)[100y:1ms])', 0, queryable), { code: 'QUERY_TOO_MUCH_MEMORY' });
  // An instant query has little more than labels to count.
  const wide = loaded(Array.from({ length: 100 }, (_, i) => [{ __name__: 'w', i: `${i}` }, [i]]));
  const control = (): QueryControl => new LimitedQueryControl({ bytesMax: 40_000 });
  assert.equal((await at('count(w)', 0, wide, control())).infos.length, 0);
  await assert.rejects(at('count_values("v", w)', 0, wide, control()), { code: 'QUERY_TOO_MUCH_MEMORY' });
  await assert.rejects(limited({ state: () => 'cancelled' }), { code: 'QUERY_CANCELLED' });
  await assert.rejects(limited({ state: () => 'timeout' }), { code: 'QUERY_TIMEOUT' });
});

test('a long series asks for leave within itself', async () => {
  const queryable = loaded(two);
  const inner = '(-vector(time()))[100s:10ms]';
  for (const text of [`quantile_over_time(0.5, ${inner})`, `max_over_time(${inner})`, `stddev_over_time(${inner})`]) {
    let asked = 0;
    const state = (): 'run' | 'timeout' => (++asked > 50 ? 'timeout' : 'run');
    await assert.rejects(over(text, [0, 500], queryable, new LimitedQueryControl({ state })), {
      code: 'QUERY_TIMEOUT',
    });
  }
});

test('errors of an operand come before those of its operator', async () => {
  const queryable = loaded([...two, [{ __name__: 'y', a: '1' }, [1]], [{ __name__: 'y', b: '2' }, [1]]]);
  for (const left of ['double_exponential_smoothing(x[1m], 1, 0.5)', 'abs({__name__=~"x|y", a="1"})']) {
    await assert.rejects(
      at(`${left} * on () y`, 0, queryable),
      (error: Error) => !/duplicate series/.test(error.message),
    );
  }
});

test('stats tell what was loaded and returned', async () => {
  const { stats } = await over('x', [4, 5], loaded(two));
  assert.deepEqual(stats, { samplesLoadedCount: 10, seriesLoadedCount: 2, samplesReturnedCount: 3 });
});
