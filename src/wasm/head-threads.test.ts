// One head, two threads: a worker reads what is published while this thread registers, appends and grows memory.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { encodeLabels, Labels } from '../model/index.ts';
import { Head } from './head.ts';
import { loadTestModule } from './test-modules.ts';

const module = loadTestModule('head');

function createHead(): Head {
  return Head.create(module, { bytesMax: 256 * 1024 * 1024 });
}

function register(head: Head, i: number): number {
  const fingerprint = new Uint8Array(16);
  new DataView(fingerprint.buffer).setUint32(8, i * 7_777_777, true);
  return head.register(encodeLabels(Labels.of({ __name__: `metric_${i % 3}`, instance: `host-${i}` })), fingerprint);
}

/**
 * Runs `body` in a worker again and again, with `reader`, `look` (how often it ran) and `problem(text)` in scope, for as long as
 * `work` takes here. Gives how often it ran, and the problems that it saw.
 */
async function withReader(head: Head, body: string, work: () => void): Promise<{ looks: number; problems: string[] }> {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const source = `
    import { workerData, parentPort } from 'node:worker_threads';
    const { HeadReader } = await import(workerData.readerUrl);
    const { SampleBuffer } = await import(workerData.modelUrl);
    const reader = HeadReader.attach(workerData.module, workerData.memory);
    const encode = (text) => new TextEncoder().encode(text);
    const problems = [];
    const problem = (text) => problems.push(text);
    const buffer = new SampleBuffer();
    parentPort.postMessage('ready');
    let look = 0;
    for (; (Atomics.load(workerData.stop, 0) === 0 || look < 100) && problems.length < 5; look++) { ${body} }
    parentPort.postMessage({ looks: look, problems });
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
    workerData: {
      module,
      memory: head.memory,
      stop,
      readerUrl: new URL('./head-reader.ts', import.meta.url).href,
      modelUrl: new URL('../model/index.ts', import.meta.url).href,
    },
  });
  const messages: unknown[] = [];
  const ended = new Promise<void>((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', () => resolve());
  });
  await new Promise<void>((resolve) => {
    worker.on('message', (message) => {
      messages.push(message);
      resolve();
    });
  });
  work();
  Atomics.store(stop, 0, 1);
  await ended;
  return messages[1] as { looks: number; problems: string[] };
}

test('a reader sees a consistent registry while it grows', { timeout: 60_000 }, async () => {
  const head = createHead();
  const body = `
    const count = reader.stats().seriesCount;
    if (count === 0) continue;
    const i = Math.floor(count * ((look * 0.618) % 1));
    const pair = reader.findPair(encode('instance'), encode('host-' + i));
    if (pair === undefined) { problem('missing ' + i + ' of ' + count); continue; }
    const set = reader.refSet('empty');
    set.addPairs(Uint32Array.of(pair));
    const refs = set.refs();
    set.release();
    if (refs.length !== 1 || refs[0] !== i) problem('refs of ' + i + ': ' + refs);
    const metric = reader.refSet('empty');
    metric.addPairs(Uint32Array.of(reader.findPair(encode('__name__'), encode('metric_0'))));
    const found = metric.refs();
    metric.release();
    if (found.length < Math.ceil(count / 3)) problem(found.length + ' of metric_0 among ' + count);
    for (let k = 0; k < found.length; k += 1 + (found.length >> 3)) {
      if (found[k] !== k * 3) problem('at ' + k + ': ' + found[k]);
    }
    const text = Buffer.from(reader.labelBytes(i)).toString();
    if (!text.endsWith('host-' + i)) problem('labels of ' + i + ': ' + text);
  `;
  const { looks, problems } = await withReader(head, body, () => {
    for (let i = 0; i < 80_000; i++) assert.equal(register(head, i), i);
  });
  assert.deepEqual(problems, []);
  assert.ok(looks >= 100);
});

test('a frozen generation reads the same while another is appended to', { timeout: 60_000 }, async () => {
  const head = createHead();
  const seriesCount = 500;
  for (let i = 0; i < seriesCount; i++) register(head, i);
  const append = (slot: number, k: number): void => {
    const batch = head.stage(seriesCount, seriesCount);
    for (let i = 0; i < seriesCount; i++) {
      batch.refs[i] = i;
      batch.samplesEnd[i] = i + 1;
      // Every seventh comes late.
      batch.timestampsMs[i] = BigInt(k * 1000 - (k % 7 === 3 ? 5500 : 0));
      batch.valueBits[i] = BigInt(i) * 0x1_0000_0001n + BigInt(k) * 0x123_4567_89abn;
    }
    head.append(slot);
  };
  const frozen = head.openGeneration();
  for (let k = 0; k < 300; k++) append(frozen, k);
  head.freezeGeneration(frozen);
  const body = `
    const ref = look % ${seriesCount};
    buffer.clear();
    const count = reader.readSeries(${frozen}, ref, -Infinity, Infinity, buffer);
    if (count !== 300) problem(count + ' samples of ' + ref);
    for (let i = 1; i < count; i++) if (buffer.timestampsMs[i] <= buffer.timestampsMs[i - 1]) problem('order in ' + ref);
    if (look % 50 === 0 && reader.sortedRefs(${frozen}).length !== ${seriesCount}) problem('sorted references');
  `;
  const { looks, problems } = await withReader(head, body, () => {
    for (let round = 0; round < 3; round++) {
      const slot = head.openGeneration();
      for (let k = 0; k < 400; k++) append(slot, k);
      head.freezeGeneration(slot);
      head.dropGeneration(slot);
    }
  });
  assert.deepEqual(problems, []);
  assert.ok(looks >= 100);
});
