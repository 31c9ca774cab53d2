// The `timbala` program as a process, with its threads: starting, signals, cancelled queries, refused options.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { oneSample, postWrite, writeBody } from './test-node.ts';

const program = fileURLToPath(new URL('../../scripts/timbala.mjs', import.meta.url));
const directories: string[] = [];
const children = new Set<ChildProcess>();

after(() => {
  for (const child of children) child.kill('SIGKILL');
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

interface Running {
  readonly url: string;
  readonly directory: string;
  readonly lines: Record<string, unknown>[];
  readonly child: ChildProcess;
  /** The first log line of this event. */
  event(name: string): Promise<Record<string, unknown>>;
  exit: Promise<[number | null, string | null]>;
}

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'timbala-process-'));
  directories.push(directory);
  return directory;
}

async function start(directory = newDirectory()): Promise<Running> {
  const options = [`--data-directory=${join(directory, 'data')}`, '--http-bind-addr=127.0.0.1:0', '--log-level=debug'];
  const child = spawn(process.execPath, [program, ...options]);
  children.add(child);
  const lines: Record<string, unknown>[] = [];
  const waiting = new Map<string, (line: Record<string, unknown>) => void>();
  let rest = '';
  child.stdout.on('data', (data) => {
    const pieces = (rest + String(data)).split('\n');
    rest = pieces.pop() ?? '';
    for (const piece of pieces) {
      const line = JSON.parse(piece) as Record<string, unknown>;
      lines.push(line);
      waiting.get(String(line['event']))?.(line);
    }
  });
  const exit = once(child, 'exit') as Promise<[number | null, string | null]>;
  const event = (name: string): Promise<Record<string, unknown>> => {
    const found = lines.find((line) => line['event'] === name);
    if (found) return Promise.resolve(found);
    const arrived = new Promise<Record<string, unknown>>((resolve) => waiting.set(name, resolve));
    const died = exit.then(([code]) => {
      throw new Error(`ended with status ${code} before ${name}: ${JSON.stringify(lines)}`);
    });
    return Promise.race([arrived, died]);
  };
  const started = await event('node-started');
  await event('node-ready');
  return { url: `http://${String(started['address'])}`, directory, lines, child, event, exit };
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
}

test(
  'SIGTERM ends a node in order, SIGKILL at once, and both leave what was acknowledged',
  { timeout: 60_000 },
  async () => {
    const nowMs = Date.now();
    const first = await start();
    assert.equal(typeof (await first.event('node-started'))['version'], 'string');
    assert.equal((await postWrite(first.url, writeBody([oneSample({ __name__: 'x', i: '1' }, nowMs, 1)]))).status, 204);
    first.child.kill('SIGTERM');
    assert.deepEqual(await first.exit, [0, null]);
    await first.event('node-stopped');

    const second = await start(first.directory);
    const recovered = await second.event('log-recovered');
    assert.ok(Number(recovered['samplesCount']) >= 1);
    assert.equal(
      (await postWrite(second.url, writeBody([oneSample({ __name__: 'x', i: '2' }, nowMs, 2)]))).status,
      204,
    );
    second.child.kill('SIGKILL');
    assert.deepEqual(await second.exit, [null, 'SIGKILL']);

    const third = await start(first.directory);
    const answer = await fetch(`${third.url}/api/v1/query?query=sum(x)&time=${nowMs / 1000}`);
    const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
    assert.equal(data.result[0]?.value[1], '3');
    third.child.kill('SIGKILL');
  },
);

test('writes under way at SIGTERM are finished or refused, never half acknowledged', { timeout: 60_000 }, async () => {
  const running = await start();
  const nowMs = Date.now();
  const acknowledged: number[] = [];
  let sent = 0;
  const sendUntilRefused = async (): Promise<void> => {
    for (;;) {
      const i = sent++;
      const body = writeBody([oneSample({ __name__: 'w', i: String(i) }, nowMs, i)]);
      const status = await postWrite(running.url, body).then(
        (response) => response.status,
        () => 0,
      );
      if (status !== 204) return;
      acknowledged.push(i);
    }
  };
  const senders = [1, 2, 3, 4].map(sendUntilRefused);
  await sleep(200);
  running.child.kill('SIGTERM');
  assert.deepEqual(await running.exit, [0, null]);
  await Promise.all(senders);
  assert.ok(acknowledged.length > 10);
  const again = await start(running.directory);
  const answer = await fetch(`${again.url}/api/v1/query?query=w&time=${nowMs / 1000}`);
  const { data } = (await answer.json()) as { data: { result: { metric: { i: string } }[] } };
  const stored = new Set(data.result.map(({ metric: { i } }) => Number(i)));
  assert.deepEqual(
    acknowledged.filter((i) => !stored.has(i)),
    [],
  );
  again.child.kill('SIGKILL');
});

test('a client that leaves stops its query, a time-out its own, and others go on', { timeout: 60_000 }, async () => {
  const running = await start();
  const nowSeconds = Math.floor(Date.now() / 1000);
  const series = Array.from({ length: 500 }, (_, i) => oneSample({ __name__: 'many', i: String(i) }, Date.now(), i));
  assert.equal((await postWrite(running.url, writeBody(series))).status, 204);
  // Many seconds of work, a series at a time.
  const heavyQuery = encodeURIComponent('quantile_over_time(0.5, (many * time())[100s:10ms])');
  const heavy = `${running.url}/api/v1/query_range?query=${heavyQuery}&start=${nowSeconds}&end=${nowSeconds + 250}&step=0.05`;
  const leaving = new AbortController();
  const aborted = fetch(heavy, { signal: leaving.signal }).catch(() => 'gone');
  while ((await metric(running.url, 'timbala_queries_active')) === 0) await sleep(10);
  leaving.abort();
  assert.equal(await aborted, 'gone');
  const leftMs = performance.now();
  while ((await metric(running.url, 'timbala_queries_active')) !== 0) {
    assert.ok(performance.now() - leftMs < 2000, 'the query ends soon after its client has left');
    await sleep(20);
  }
  const timedOut = await fetch(`${heavy}&timeout=100ms`);
  assert.equal(timedOut.status, 503);
  assert.match(await timedOut.text(), /"errorType":"timeout","error":"query timed out in expression evaluation"/);
  assert.equal((await fetch(`${running.url}/api/v1/query?query=1`)).status, 200);
  running.child.kill('SIGKILL');
});

test('a long answer to a slow client holds little memory, and arrives whole', { timeout: 60_000 }, async () => {
  const running = await start();
  const series = Array.from({ length: 500 }, (_, i) => oneSample({ __name__: 'wide', i: String(i) }, Date.now(), i));
  assert.equal((await postWrite(running.url, writeBody(series))).status, 204);
  const end = Math.floor(Date.now() / 1000);
  const query = encodeURIComponent('wide or on(i) label_replace(vector(1), "i", "x", "", "")');
  const url = `${running.url}/api/v1/query_range?query=${query}&start=${end - 300}&end=${end + 240}&step=0.1`;
  const response = await fetch(url, { headers: { 'accept-encoding': 'identity' } });
  let lengthBytes = 0;
  for await (const chunk of response.body ?? []) {
    lengthBytes += chunk.length;
    if (lengthBytes < 2_000_000) await sleep(20);
  }
  assert.ok(lengthBytes > 10_000_000, `${lengthBytes} bytes`);
  running.child.kill('SIGKILL');
});

test('what can’t be started says why, with its exit status', { timeout: 60_000 }, async () => {
  const running = await start();
  const run = (...options: string[]): { status: number | null; stderr: string; stdout: string } =>
    spawnSync(process.execPath, [program, ...options], { encoding: 'utf8', timeout: 30_000 });
  const unknown = run('--data-dir=/x');
  assert.equal(unknown.status, 2);
  assert.match(unknown.stderr, /^OPTION_UNKNOWN: --data-dir; did you mean --data-directory\?/);
  const invalid = run('--retention=soon');
  assert.equal(invalid.status, 2);
  assert.match(invalid.stderr, /^OPTION_INVALID: --retention "soon": expected a time/);
  const locked = run('--data-directory', join(running.directory, 'data'), '--http-bind-addr=127.0.0.1:0');
  assert.equal(locked.status, 1);
  assert.match(locked.stderr, /^DIRECTORY_LOCKED: /);
  const taken = run('--data-directory', newDirectory(), `--http-bind-addr=${running.url.slice('http://'.length)}`);
  assert.equal(taken.status, 1);
  assert.match(taken.stderr, /^HTTP_BIND_FAILED: .*EADDRINUSE/);
  assert.match(run('--version').stdout, /^timbala \d+\.\d+\.\d+\n$/);
  assert.match(run('--help').stdout, /--retention=TIME,SIZE/);
  running.child.kill('SIGKILL');
});
