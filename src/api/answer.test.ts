// The query API over a memory storage. Expected texts were read off a Prometheus 3.16.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TimbalaError } from '../base/index.ts';
import { Labels } from '../model/index.ts';
import { LimitedQueryControl, PromqlEngine } from '../promql/index.ts';
import { MemoryQueryable } from '../promql/memory-queryable.ts';
import * as numbers from '../promql/numbers/index.ts';
import * as parse from '../promql/parse/index.ts';
import type { TsdbStatus } from '../storage/contracts.ts';
import { answerCall } from './answer.ts';
import type { ApiCall, QueryContext, QueryEndpoint } from './call.ts';
import { Parameters } from './parameters.ts';

const tsdbStatus: TsdbStatus = {
  seriesCount: 3,
  samplesCount: 30,
  labelPairsCount: 4,
  minMs: 1000,
  maxMs: 2000,
  seriesCountByMetricName: [
    { name: 'up', value: 2 },
    { name: 'b_total', value: 1 },
  ],
  labelValueCountByLabelName: [],
  memoryBytesByLabelName: [],
  seriesCountByLabelPair: [],
};

function testContext(): QueryContext {
  const queryable = new MemoryQueryable();
  const timesMs = Float64Array.from({ length: 10 }, (_, index) => 1000 + index * 500);
  const add = (labels: Record<string, string>, value: (index: number) => number): void =>
    queryable.append(
      Labels.of(labels),
      timesMs,
      Float64Array.from(timesMs, (_, index) => value(index)),
    );
  add({ __name__: 'up', job: 'a', 'é"\n': 'quoted "\\' }, () => 1);
  add({ __name__: 'up', job: 'b' }, (index) => index / 10);
  add({ __name__: 'b_total' }, (index) => index);
  return {
    engine: new PromqlEngine(),
    queryable,
    parse,
    numbers,
    tsdbStatus: async () => tsdbStatus,
    monotonicMs: () => 0,
  };
}

async function ask(
  endpoint: QueryEndpoint,
  parameters: string,
  changes: Partial<ApiCall> = {},
  context = testContext(),
): Promise<{ status: number; text: string }> {
  const { status, chunks } = await answerCall(context, {
    endpoint,
    parameters: new Parameters(parameters),
    labelName: '',
    nowMs: 2500,
    queuedMs: 0,
    control: () => new LimitedQueryControl(),
    ...changes,
  });
  return { status, text: Buffer.concat([...chunks]).toString() };
}

async function askError(endpoint: QueryEndpoint, parameters: string, changes: Partial<ApiCall> = {}): Promise<string> {
  const { status, text } = await ask(endpoint, parameters, changes);
  const { status: word, errorType, error } = JSON.parse(text);
  assert.equal(word, 'error', parameters);
  return `${status} ${errorType}: ${error}`;
}

test('an instant vector: labels, the evaluation time, values as text', async () => {
  const { status, text } = await ask('query', 'query=up');
  assert.equal(status, 200);
  assert.equal(
    text,
    '{"status":"success","data":{"resultType":"vector","result":[' +
      '{"metric":{"__name__":"up","job":"a","é\\"\\n":"quoted \\"\\\\"},"value":[2.500,"1"]},' +
      '{"metric":{"__name__":"up","job":"b"},"value":[2.500,"0.3"]}]}}',
  );
});

test('scalars, strings and range vectors', async () => {
  const data = async (parameters: string): Promise<string> => (await ask('query', parameters)).text;
  const wrap = (type: string, result: string): string =>
    `{"status":"success","data":{"resultType":"${type}","result":${result}}}`;
  assert.equal(await data('query=1&time=1435781430.7814'), wrap('scalar', '[1435781430.781,"1"]'));
  assert.equal(await data('query=1e-7&time=2'), wrap('scalar', '[2,"0.0000001"]'));
  assert.equal(await data('query="a\\"b"&time=2'), wrap('string', '[2,"a\\"b"]'));
  assert.equal(
    await data('query=b_total[1s]&time=2'),
    wrap('matrix', '[{"metric":{"__name__":"b_total"},"values":[[1.500,"1"],[2,"2"]]}]'),
  );
  assert.equal(await data('query=nothing'), wrap('vector', '[]'));
});

test('a range query has every step, shared and own timestamps alike', async () => {
  const { text } = await ask('query_range', 'query=b_total>1&start=1&end=2.5&step=0.5');
  const series = '{"metric":{"__name__":"b_total"},"values":[[2,"2"],[2.500,"3"]]}';
  assert.equal(text, `{"status":"success","data":{"resultType":"matrix","result":[${series}]}}`);
});

test('wide range answers come in several chunks that make one JSON text', async () => {
  const context = testContext();
  const { engine } = context;
  const queryable = new MemoryQueryable();
  const timesMs = Float64Array.from({ length: 5000 }, (_, index) => index * 1000);
  for (let i = 0; i < 10; i++) {
    queryable.append(Labels.of({ i: String(i) }), timesMs, new Float64Array(5000).fill(i + 0.25));
  }
  const { chunks } = await answerCall(
    { ...context, engine, queryable },
    {
      endpoint: 'query_range',
      parameters: new Parameters('query={i=~".%2B"}&start=0&end=4999&step=1'),
      labelName: '',
      nowMs: 0,
      queuedMs: 0,
      control: () => new LimitedQueryControl(),
    },
  );
  const parts = [...chunks];
  assert.ok(parts.length > 1, `${parts.length} chunk`);
  const { data } = JSON.parse(Buffer.concat(parts).toString());
  assert.equal(data.result.length, 10);
  for (const { values } of data.result) assert.equal(values.length, 5000);
  assert.deepEqual(data.result[9].values[4999], [4999, '9.25']);
});

test('errors of query, in Prometheus’s words', async () => {
  const invalid = '400 bad_data: invalid parameter';
  const cases: [string, string][] = [
    ['', `${invalid} "query": unknown position: parse error: no expression found in input`],
    ['query=sum(up', `${invalid} "query": 1:7: parse error: unclosed left parenthesis`],
    ['query=up&time=abc', `${invalid} "time": invalid time value for 'time': cannot parse "abc" to a valid timestamp`],
    ['query=up&timeout=abc', `${invalid} "timeout": cannot parse "abc" to a valid duration`],
    ['query=up&timeout=0', `${invalid} "timeout": timeout must be positive, got 0s`],
    [
      'query=up&limit=9223372036854775808',
      `${invalid} "limit": strconv.Atoi: parsing "9223372036854775808": value out of range`,
    ],
    ['query=up&timeout=-1', `${invalid} "timeout": timeout must be positive, got -1s`],
    ['query=up&limit=-1', `${invalid} "limit": limit must be non-negative`],
    ['query=up&limit=a', `${invalid} "limit": strconv.Atoi: parsing "a": invalid syntax`],
    [
      'query=up&lookback_delta=a',
      '400 bad_data: error parsing lookback delta duration: cannot parse "a" to a valid duration',
    ],
    ['query=up;a', `${invalid} "query": unknown position: parse error: no expression found in input`],
  ];
  for (const [parameters, expected] of cases) assert.equal(await askError('query', parameters), expected);
  assert.match(await askError('query', 'query=b_total*on()up'), /^422 execution: found duplicate series for the match/);
});

test('errors of query_range, in Prometheus’s words', async () => {
  const invalid = '400 bad_data: invalid parameter';
  const cases: [string, string][] = [
    ['query=up&end=2&step=x', `${invalid} "start": cannot parse "" to a valid timestamp`],
    ['query=up&start=1&end=b&step=1', `${invalid} "end": cannot parse "b" to a valid timestamp`],
    ['query=up&start=1&end=0&step=1', `${invalid} "end": end timestamp must not be before start time`],
    ['query=up&start=1&end=2&step=x', `${invalid} "step": cannot parse "x" to a valid duration`],
    [
      'query=up&start=1&end=100&step=0',
      `${invalid} "step": zero or negative query resolution step widths are not accepted. Try a positive integer`,
    ],
    [
      'query=up&start=0&end=1&step=1e20',
      `${invalid} "step": cannot parse "1e20" to a valid duration. It overflows int64`,
    ],
    [
      'query=up&start=1&end=100000&step=1',
      '400 bad_data: exceeded maximum resolution of 11,000 points per timeseries. ' +
        'Try decreasing the query resolution (?step=XX)',
    ],
    [
      'query=up[5m]&start=1&end=2&step=1',
      `${invalid} "query": invalid expression type "range vector" for range query, must be Scalar or instant Vector`,
    ],
  ];
  for (const [parameters, expected] of cases) assert.equal(await askError('query_range', parameters), expected);
  const widest = await ask('query_range', 'query=up&start=0&end=11000&step=1');
  assert.equal(widest.status, 200);
});

test('a limit cuts series and says so; 0 is no limit', async () => {
  const cut = JSON.parse((await ask('query', 'query=up&limit=1')).text);
  assert.equal(cut.data.result.length, 1);
  assert.deepEqual(cut.warnings, ['results truncated due to limit']);
  const all = JSON.parse((await ask('query', 'query=up&limit=0')).text);
  assert.equal(all.data.result.length, 2);
  assert.equal('warnings' in all, false);
  const range = JSON.parse((await ask('query_range', 'query=up&start=1&end=2&step=1&limit=1')).text);
  assert.equal(range.data.result.length, 1);
});

test('warnings and infos follow the data', async () => {
  const { text } = await ask('query', 'query=rate(up[2s])');
  const { infos } = JSON.parse(text);
  const info =
    'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "up" (1:6)';
  assert.deepEqual(infos, [info]);
});

test('what an answer may lack is a warning, or an error for who wants all or nothing', async () => {
  const context = testContext();
  const queryable = Object.assign(context.queryable, { warnings: () => ['node c was not heard'] });
  const incomplete = { ...context, queryable };
  const calls: [QueryEndpoint, string][] = [
    ['query', 'query=up'],
    ['query_range', 'query=up&start=1&end=2&step=1'],
    ['series', 'match[]=up'],
    ['labels', ''],
    ['label_values', ''],
  ];
  for (const [endpoint, parameters] of calls) {
    const answer = (more: string) => ask(endpoint, parameters + more, { labelName: 'job' }, incomplete);
    for (const more of ['', '&partial_response=true']) {
      const { status, text } = await answer(more);
      assert.equal(status, 200);
      assert.deepEqual(JSON.parse(text).warnings, ['node c was not heard']);
    }
    const strict = await answer('&partial_response=false');
    assert.equal(strict.status, 503);
    assert.equal(JSON.parse(strict.text).errorType, 'unavailable');
    assert.equal((await answer('&partial_response=no')).status, 400);
  }
  assert.equal((await ask('query', 'query=up&partial_response=false')).status, 200);
});

test('stats are given where asked for, with a warning for values other than true and all', async () => {
  const stats = JSON.parse((await ask('query', 'query=b_total&stats=all', { queuedMs: 250 })).text);
  assert.equal(stats.data.stats.samples.seriesTouched, 1);
  assert.equal(stats.data.stats.timings.execQueueTime, 0.25);
  assert.equal('warnings' in stats, false);
  const deprecated = JSON.parse((await ask('query', 'query=up&stats=1')).text);
  assert.match(deprecated.warnings[0], /^value "1" for parameter "stats" is deprecated and will be rejected/);
});

test('a lookback of the query’s own', async () => {
  const at7 = (lookback: string) => ask('query', `query=count(up)&time=7&lookback_delta=${lookback}`);
  assert.deepEqual(JSON.parse((await at7('1s')).text).data.result, []);
  assert.equal(JSON.parse((await at7('3')).text).data.result.length, 1);
  assert.equal(JSON.parse((await at7('0')).text).data.result.length, 1);
});

test('limits of a query are its errors, by type and status', async () => {
  const throwing = (code: string, message: string): Partial<ApiCall> => ({
    control: () => ({
      check() {
        throw new TimbalaError(code, message);
      },
      addSamples() {},
      addBytes() {},
    }),
  });
  const cases: [string, string, string][] = [
    [
      'QUERY_TIMEOUT',
      'query timed out in expression evaluation',
      '503 timeout: query timed out in expression evaluation',
    ],
    ['QUERY_CANCELLED', 'query was canceled', '499 canceled: query was canceled'],
    ['STORAGE_REPLAYING', 'wait', '503 unavailable: STORAGE_REPLAYING: wait'],
    ['PART_CORRUPT', 'part 3', '500 internal: PART_CORRUPT: part 3'],
  ];
  for (const [code, message, expected] of cases) {
    assert.equal(await askError('query', 'query=up', throwing(code, message)), expected);
  }
  const limited = { control: () => new LimitedQueryControl({ samplesMax: 3 }) };
  assert.equal(
    await askError('query', 'query=up[10s]', limited),
    '422 execution: query processing would load too many samples into memory in query execution',
  );
});

test('series, labels and label values', async () => {
  const series = await ask('series', 'match[]=b_total&match[]=up{job="b"}');
  assert.equal(series.text, '{"status":"success","data":[{"__name__":"b_total"},{"__name__":"up","job":"b"}]}');
  const limited = await ask('series', 'match[]=up&limit=1');
  assert.match(limited.text, /"job":"a".*\}\],"warnings":\["results truncated due to limit"\]\}$/);
  assert.equal((await ask('labels', 'match[]=up{job="b"}')).text, '{"status":"success","data":["__name__","job"]}');
  const values = await ask('label_values', '', { labelName: 'job' });
  assert.equal(values.text, '{"status":"success","data":["a","b"]}');
  assert.equal((await ask('label_values', '', { labelName: 'none' })).text, '{"status":"success","data":[]}');
  const escaped = await ask('label_values', '', { labelName: 'U___e9__22__a_' });
  assert.deepEqual(JSON.parse(escaped.text).data, ['quoted "\\']);
});

test('errors of discovery, in Prometheus’s words', async () => {
  const empty = 'match[] must contain at least one non-empty matcher';
  const unreadable = `400 bad_data: invalid parameter "start": invalid time value for 'start': cannot parse "x" to a valid timestamp`;
  assert.equal(await askError('series', ''), '400 bad_data: no match[] parameter provided');
  assert.equal(await askError('series', 'match[]={}'), `400 bad_data: invalid parameter "match[]": ${empty}`);
  assert.equal(await askError('labels', 'match[]={}'), `400 bad_data: ${empty}`);
  assert.equal(await askError('series', 'match[]=up&start=x'), unreadable);
  assert.equal(
    await askError('series', 'match[]=up{'),
    '400 bad_data: invalid parameter "match[]": 1:4: parse error: unexpected end of input inside braces',
  );
  assert.match(await askError('label_values', '', { labelName: '' }), /400 bad_data: invalid label name: ""/);
});

test('format_query and parse_query', async () => {
  const formatted = await ask('format_query', 'query=sum(up)+by+(job)');
  assert.equal(formatted.text, '{"status":"success","data":"sum by (job) (up)"}');
  assert.equal(
    await askError('format_query', 'query=sum('),
    '400 bad_data: invalid parameter "query": 1:5: parse error: unclosed left parenthesis',
  );
  const { data } = JSON.parse((await ask('parse_query', 'query=sum(up)')).text);
  assert.equal(data.type, 'aggregation');
  assert.equal(data.expr.name, 'up');
});

test('status/tsdb gives as many rows as asked for', async () => {
  const { data } = JSON.parse((await ask('tsdb', 'limit=1')).text);
  assert.deepEqual(data.headStats, { numSeries: 3, numLabelPairs: 4, chunkCount: 3, minTime: 1000, maxTime: 2000 });
  assert.deepEqual(data.seriesCountByMetricName, [{ name: 'up', value: 2 }]);
  for (const limit of ['0', 'x']) {
    assert.equal(await askError('tsdb', `limit=${limit}`), '400 bad_data: limit must be a positive number');
  }
});
