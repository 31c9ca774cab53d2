// A node over HTTP, all in one thread. What needs threads and processes is in process.test.ts.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { encodeWriteRequest, wrapSnappy } from '../wire/index.ts';
import { oneSample, postWrite, startTestNode, type TestNode, writeBody, writeHeaders } from './test-node.ts';

let running: TestNode;

before(async () => {
  running = await startTestNode();
  await running.node.ready;
});

after(async () => {
  await running.node.close();
  assert.deepEqual(running.log.lines, [], 'nothing went wrong');
});

interface Envelope<Data> {
  readonly status: string;
  readonly data: Data;
}

async function getJson<Data>(path: string, init?: RequestInit): Promise<Envelope<Data>> {
  const response = await fetch(running.url + path, init);
  return (await response.json()) as Envelope<Data>;
}

async function queryValues(query: string, timeMs: number): Promise<[Record<string, string>, string][]> {
  const { data } = await getJson<{ result: { metric: Record<string, string>; value: [number, string] }[] }>(
    `/api/v1/query?query=${encodeURIComponent(query)}&time=${timeMs / 1000}`,
  );
  return data.result.map(({ metric, value }) => [metric, value[1]]);
}

test('a write is answered when it is stored, and queried back', async () => {
  const nowMs = Date.now();
  const response = await postWrite(running.url, writeBody([oneSample({ __name__: 'a', b: 'c' }, nowMs, 42.5)]));
  assert.equal(response.status, 204);
  assert.deepEqual(await queryValues('a', nowMs), [[{ __name__: 'a', b: 'c' }, '42.5']]);
});

test('the alias /write is the same', async () => {
  const nowMs = Date.now();
  const body = writeBody([oneSample({ __name__: 'by_alias' }, nowMs, 1)]);
  const response = await fetch(`${running.url}/write`, { method: 'POST', headers: writeHeaders, body });
  assert.equal(response.status, 204);
  assert.equal((await queryValues('by_alias', nowMs)).length, 1);
});

test('special values come back as they are', async () => {
  const nowMs = Date.now();
  const values: [string, number][] = [
    ['inf', Infinity],
    ['minus_inf', -Infinity],
    ['nan', Number.NaN],
    ['minus_zero', -0],
    ['tiny', 5e-324],
  ];
  const series = values.map(([name, value]) => oneSample({ __name__: 'special', name }, nowMs, value));
  assert.equal((await postWrite(running.url, writeBody(series))).status, 204);
  const texts = Object.fromEntries(
    (await queryValues('special', nowMs)).map(([metric, text]) => [metric['name'], text]),
  );
  assert.deepEqual(texts, { inf: '+Inf', minus_inf: '-Inf', nan: 'NaN', minus_zero: '-0', tiny: '5e-324' });
});

test('other content types, encodings and remote write 2.0 are refused with 415', async () => {
  const refused: [Record<string, string>, RegExp][] = [
    [{ 'content-type': 'application/json' }, /content type "application\/json" is not supported/],
    [{ ...writeHeaders, 'content-encoding': 'gzip' }, /"gzip" is not supported; compress with snappy/],
    [{ ...writeHeaders, 'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request' }, /write 2\.0/],
  ];
  for (const [headers, message] of refused) {
    const response = await postWrite(running.url, Uint8Array.of(1), headers);
    assert.equal(response.status, 415);
    assert.match(await response.text(), message);
  }
});

test('corrupt snappy and corrupt protobuf are refused with 400', async () => {
  for (const body of [Uint8Array.of(120), wrapSnappy(Uint8Array.of(10, 200, 1, 1))]) {
    const response = await postWrite(running.url, body);
    assert.equal(response.status, 400);
    assert.match(await response.text(), /^WIRE_CORRUPT: /);
  }
});

test('a body over the limit and a decompression bomb are refused with 413 and the limit', async () => {
  const bomb = Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x04, 0, 0);
  const tooLarge = await postWrite(running.url, bomb);
  assert.equal(tooLarge.status, 413);
  assert.match(await tooLarge.text(), /^WIRE_TOO_LARGE: .*33554432/);

  const socket = await rawRequest(`content-length: ${40 * 1024 * 1024}\r\n`);
  assert.match(await firstAnswer(socket), /^HTTP\/1\.1 413 [^]*41943040 bytes exceeds the limit of 33554432/);
  socket.destroy();
});

test('an invalid series is named and the rest of its request stored', async () => {
  const nowMs = Date.now();
  const body = writeBody([
    oneSample({ __name__: 'good', i: '1' }, nowMs, 1),
    { labels: ['__name__', 'bad', 'twice', 'a', 'twice', 'b'], timestampsMs: [nowMs], values: Float64Array.of(1) },
    oneSample({ nameless: 'x' }, nowMs, 1),
    oneSample({ __name__: 'far' }, nowMs + 30 * 86_400_000, 1),
    oneSample({ __name__: 'good', i: '2' }, nowMs, 2),
  ]);
  const response = await postWrite(running.url, body);
  assert.equal(response.status, 400);
  const text = await response.text();
  for (const word of [/twice/, /nameless/, /far/]) assert.match(text, word);
  assert.equal((await queryValues('good', nowMs)).length, 2);
});

test('a full queue answers 503 with Retry-After before the body is read', async () => {
  const length = `content-length: ${32 * 1024 * 1024}\r\n`;
  const holders = [await rawRequest(length), await rawRequest(length)];
  // Both have their place once the server has seen their heads; it has not said so, so it is asked again and again.
  let answer = '';
  for (let attempt = 0; attempt < 50 && !answer.includes(' 503 '); attempt++) {
    const socket = await rawRequest(`content-length: ${1024 * 1024}\r\n`);
    answer = await Promise.race([firstAnswer(socket), new Promise<string>((resolve) => setTimeout(resolve, 50, ''))]);
    socket.destroy();
  }
  assert.match(answer, /^HTTP\/1\.1 503 [^]*retry-after: 1\r\n[^]*WRITE_QUEUE_FULL/);
  for (const socket of holders) socket.destroy();
  // Their places are free again.
  const nowMs = Date.now();
  let status = 503;
  for (let attempt = 0; attempt < 50 && status === 503; attempt++) {
    ({ status } = await postWrite(running.url, writeBody([oneSample({ __name__: 'after' }, nowMs, 1)])));
  }
  assert.equal(status, 204);
});

/** A write with this header whose body never comes. */
async function rawRequest(header: string): Promise<Socket> {
  const socket = connect(running.node.address.port, '127.0.0.1');
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve));
  const types = 'content-type: application/x-protobuf\r\ncontent-encoding: snappy\r\n';
  socket.write(`POST /api/v1/write HTTP/1.1\r\nhost: x\r\n${types}${header}\r\n`);
  return socket;
}

function firstAnswer(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
      if (text.includes('\r\n\r\n')) setImmediate(() => resolve(text));
    });
    socket.on('close', () => resolve(text));
  });
}

test('queries come by GET and as a form by POST, whose form goes first', async () => {
  const byGet = await getJson('/api/v1/query?query=1%2B1&time=5');
  assert.deepEqual(byGet, { status: 'success', data: { resultType: 'scalar', result: [5, '2'] } });
  const byPost = await getJson('/api/v1/query?query=9', {
    method: 'POST',
    body: new URLSearchParams({ query: '1+1', time: '5' }),
  });
  assert.deepEqual(byPost, byGet);
  const range = await getJson('/api/v1/query_range', {
    method: 'POST',
    body: new URLSearchParams({ query: '1', start: '1', end: '2', step: '1' }),
  });
  assert.equal(range.status, 'success');
});

test('an error has its status code and type', async () => {
  const response = await fetch(`${running.url}/api/v1/query?query=sum(`);
  assert.equal(response.status, 400);
  assert.equal(response.headers.get('content-type'), 'application/json');
  assert.equal(((await response.json()) as { errorType: string }).errorType, 'bad_data');
});

test('answers are compressed as asked', async () => {
  const url = `${running.url}/api/v1/query_range?query=time()&start=0&end=5000&step=1`;
  const plain = await (await fetch(url, { headers: { 'accept-encoding': 'identity' } })).text();
  const socketText = await new Promise<Buffer>((resolve) => {
    const socket = connect(running.node.address.port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('close', () => resolve(Buffer.concat(chunks)));
    const path = url.slice(running.url.length);
    socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n`);
  });
  const headEnd = socketText.indexOf('\r\n\r\n');
  const head = socketText.subarray(0, headEnd).toString();
  assert.match(head, /content-encoding: gzip/);
  assert.match(head, /content-length: \d+/);
  assert.equal(gunzipSync(socketText.subarray(headEnd + 4)).toString(), plain);
});

test('series, labels, label values and metadata', async () => {
  const nowMs = Date.now();
  const metadata = [{ metric: 'described_total', type: 'counter', help: 'What it counts.', unit: 's' }];
  const request = encodeWriteRequest([oneSample({ __name__: 'described_total', x: 'y' }, nowMs, 1)], metadata);
  assert.equal((await postWrite(running.url, wrapSnappy(request))).status, 204);
  const series = await getJson('/api/v1/series?match[]=described_total');
  assert.deepEqual(series.data, [{ __name__: 'described_total', x: 'y' }]);
  assert.deepEqual((await getJson('/api/v1/labels?match[]=described_total')).data, ['__name__', 'x']);
  assert.deepEqual((await getJson('/api/v1/label/x/values')).data, ['y']);
  // Nothing is there that has no sample in the range, nor in one that ends before it begins.
  const hourS = 3600;
  for (const range of [`start=${nowMs / 1000 + hourS}`, `start=${nowMs / 1000 + hourS}&end=${nowMs / 1000 - hourS}`]) {
    for (const path of ['series', 'labels', 'label/x/values']) {
      assert.deepEqual(
        (await getJson(`/api/v1/${path}?match[]=described_total&${range}`)).data,
        [],
        `${path} ${range}`,
      );
    }
  }
  assert.deepEqual((await getJson('/api/v1/metadata?metric=described_total')).data, {
    described_total: [{ type: 'counter', unit: 's', help: 'What it counts.' }],
  });
  assert.equal((await fetch(`${running.url}/api/v1/metadata?limit=x`)).status, 400);
});

test('status pages', async () => {
  const { data: build } = await getJson<Record<string, string>>('/api/v1/status/buildinfo');
  assert.match(build['version'] ?? '', /^3\.\d+\.\d+$/, 'a Prometheus version, which Grafana reads');
  assert.equal(build['timbalaVersion'], '1.2.3');
  const { data: runtime } = await getJson<Record<string, unknown>>('/api/v1/status/runtimeinfo');
  assert.equal(runtime['storageRetention'], '10y');
  assert.equal(runtime['corruptionCount'], 0);
  const { data: flags } = await getJson<Record<string, string>>('/api/v1/status/flags');
  assert.equal(flags['http-bind-addr'], '127.0.0.1:0');
  assert.equal(flags['data-directory'], 'data');
  const { data: config } = await getJson<{ yaml: string }>('/api/v1/status/config');
  assert.match(config.yaml, /^retention: "10y"$/m);
  const { data: tsdb } = await getJson<{ headStats: { numSeries: number } }>('/api/v1/status/tsdb');
  assert.ok(tsdb.headStats.numSeries > 10);
});

test('what a node does not have is answered as empty', async () => {
  assert.deepEqual(await getJson('/api/v1/rules'), { status: 'success', data: { groups: [] } });
  assert.deepEqual(await getJson('/api/v1/alerts'), { status: 'success', data: { alerts: [] } });
  assert.deepEqual(await getJson('/api/v1/query_exemplars?query=up'), { status: 'success', data: [] });
});

test('health, readiness and metrics', async () => {
  assert.equal((await fetch(`${running.url}/-/healthy`)).status, 200);
  assert.equal((await fetch(`${running.url}/-/ready`)).status, 200);
  const head = await fetch(`${running.url}/-/healthy`, { method: 'HEAD' });
  assert.equal(head.status, 200);
  const response = await fetch(`${running.url}/metrics`);
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  assert.match(text, /^timbala_http_requests_total\{handler="\/-\/healthy",code="200"\} 2$/m);
  assert.match(text, /^timbala_build_info\{version="1\.2\.3"\} 1$/m);
  assert.match(text, /^process_cpu_seconds_total 1\.5$/m);
  assert.match(text, /^timbala_ingested_samples_total \d+$/m);
});

test('a node stores its own metrics under its advertised address', async () => {
  const values = await queryValues('up{job="timbala"}', Date.now());
  assert.deepEqual(values, [[{ __name__: 'up', instance: 'test:1', job: 'timbala' }, '1']]);
  const [[, cpu] = []] = await queryValues('process_cpu_seconds_total', Date.now());
  assert.equal(cpu, '1.5');
});

test('unknown paths, other methods and cross-origin requests are answered as Prometheus does', async () => {
  assert.equal((await fetch(`${running.url}/api/v1/nope`)).status, 404);
  const put = await fetch(`${running.url}/api/v1/query?query=up`, { method: 'PUT' });
  assert.equal(put.status, 405);
  assert.equal(put.headers.get('allow'), 'GET, OPTIONS, POST');
  const options = await fetch(`${running.url}/api/v1/query`, { method: 'OPTIONS', headers: { origin: 'http://g' } });
  assert.equal(options.status, 204);
  assert.equal(options.headers.get('access-control-allow-origin'), 'http://g');
  const get = await fetch(`${running.url}/api/v1/query?query=1`, { headers: { origin: 'http://g' } });
  assert.equal(get.headers.get('access-control-allow-origin'), 'http://g');
  assert.match(get.headers.get('vary') ?? '', /origin/i);
});

test('what is flushed and compacted on demand answers as before', async () => {
  const nowMs = Date.now();
  await postWrite(running.url, writeBody([oneSample({ __name__: 'kept' }, nowMs, 7)]));
  for (const path of ['/internal/flush', '/internal/compact']) {
    assert.equal((await fetch(running.url + path, { method: 'POST' })).status, 204);
  }
  assert.deepEqual(await queryValues('kept', nowMs), [[{ __name__: 'kept' }, '7']]);
});

test('a node finds after a restart what it acknowledged', async () => {
  const first = await startTestNode();
  const nowMs = Date.now();
  assert.equal((await postWrite(first.url, writeBody([oneSample({ __name__: 'durable' }, nowMs, 3)]))).status, 204);
  await first.node.close();
  const second = await startTestNode(first.disk);
  try {
    const report = await second.node.ready;
    assert.ok(report.samplesCount >= 1);
    const answer = await fetch(`${second.url}/api/v1/query?query=durable&time=${nowMs / 1000}`);
    const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
    assert.equal(data.result[0]?.value[1], '3');
  } finally {
    await second.node.close();
  }
});

test('a second node on the same directory is refused', async () => {
  const first = await startTestNode();
  try {
    await assert.rejects(startTestNode(first.disk), /DIRECTORY_LOCKED/);
  } finally {
    await first.node.close();
  }
});

test('a node whose log can’t be synced acknowledges nothing more and ends', async () => {
  const { node, url, disk } = await startTestNode();
  await node.ready;
  const isScraped = async (): Promise<boolean> =>
    (await (await fetch(`${url}/api/v1/query?query=up`)).text()).includes('test:1');
  while (!(await isScraped())) await new Promise((resolve) => setTimeout(resolve, 5));
  // The next write to the log goes well, its sync does not.
  disk.fault = { atOperation: disk.operationsCount + 2, kind: 'io' };
  const body = writeBody([oneSample({ __name__: 'lost' }, Date.now(), 1)]);
  const response = await postWrite(url, body);
  assert.equal(response.status, 503);
  assert.equal(response.headers.get('retry-after'), '1');
  await assert.rejects(node.failed, /WORKER_DIED: the lane has ended: LOG_SYNC_FAILED/);
  assert.equal((await postWrite(url, body)).status, 503);
  await node.close();
});
