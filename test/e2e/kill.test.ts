// SIGKILL at random moments under load: every sample that was acknowledged is there after the restart, none is altered, and
// nothing is there that was never sent. Values follow from series and step, so that no copy has to be kept.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { encodeLabelFields, WriteRequestBuilder } from '../../bench/load/write-request.ts';
import { SeededRandom } from '../../src/base/index.ts';
import { freePort, removeDirectory, type ServerProcess, temporaryDirectory } from '../support/processes.ts';
import { PrometheusApi } from '../support/prometheus-api.ts';
import { startTimbala } from '../support/servers.ts';

const seed = Number(process.env['TIMBALA_TEST_SEED'] ?? Date.now() % 1_000_000);
const killsCount = 6;
const writersCount = 3;
const seriesPerWriter = 60;
const stepMs = 250;
const pauseBetweenWritesMs = 4;
const startMs = Date.now() - 3_600_000;

/** Doubles with a full mantissa: an altered bit shows. */
const valueOf = (writer: number, series: number, step: number): number =>
  Math.sqrt(1 + step) * (1 + writer * seriesPerWriter + series);

/** Writes step after step and remembers what was acknowledged. A step that failed is sent again or left out, by turns. */
class Writer {
  readonly acknowledgedSteps = new Set<number>();
  readonly sentSteps = new Set<number>();
  refusal: string | undefined;
  #stopped = false;
  readonly #index: number;
  readonly #url: string;
  readonly #builder = new WriteRequestBuilder();
  readonly #labels: readonly Uint8Array[];

  constructor(index: number, url: string) {
    this.#index = index;
    this.#url = url;
    this.#labels = Array.from({ length: seriesPerWriter }, (_, series) =>
      encodeLabelFields([
        ['__name__', 'kill_test'],
        ['series', String(series)],
        ['writer', String(index)],
      ]),
    );
  }

  #body(step: number): Uint8Array {
    const value = new Float64Array(1);
    const halves = new Uint32Array(value.buffer);
    for (const [series, labels] of this.#labels.entries()) {
      value[0] = valueOf(this.#index, series, step);
      this.#builder.add(labels, 0, labels.length, startMs + step * stepMs, halves, 0);
    }
    return this.#builder.finish();
  }

  async #send(step: number): Promise<boolean> {
    this.sentSteps.add(step);
    try {
      const response = await request(`${this.#url}/api/v1/write`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
        body: this.#body(step),
      });
      const text = await response.body.text();
      if (response.statusCode >= 200 && response.statusCode < 300) return true;
      if (response.statusCode !== 503) this.refusal = `${response.statusCode}: ${text}`;
    } catch {
      // Killed before it answered: nothing was promised.
    }
    return false;
  }

  async run(): Promise<void> {
    let step = 0;
    let failures = 0;
    while (!this.#stopped && this.refusal === undefined) {
      if (await this.#send(step)) {
        this.acknowledgedSteps.add(step++);
        await sleep(pauseBetweenWritesMs);
      } else {
        if (failures++ % 2 === 0) step++;
        await sleep(20);
      }
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  async verify(api: PrometheusApi): Promise<void> {
    const endMs = startMs + 3_600_000 * 2;
    const series = await api.raw(`kill_test{writer="${this.#index}"}[3h]`, endMs);
    assert.equal(series.length, seriesPerWriter, `writer ${this.#index}: number of series`);
    for (const { metric, values } of series) {
      const seriesIndex = Number(metric['series']);
      const foundSteps = new Set<number>();
      for (const [seconds, text] of values) {
        const step = (Math.round(seconds * 1000) - startMs) / stepMs;
        assert(this.sentSteps.has(step), `series ${seriesIndex} holds a sample at ${seconds} that was never sent`);
        assert.equal(Number(text), valueOf(this.#index, seriesIndex, step), `series ${seriesIndex}, step ${step}`);
        foundSteps.add(step);
      }
      const lost = [...this.acknowledgedSteps].filter((step) => !foundSteps.has(step));
      assert.deepEqual(lost, [], `writer ${this.#index}, series ${seriesIndex}: acknowledged steps are lost`);
    }
  }
}

/** Ends in an error when the node is killed meanwhile. */
async function maintain(url: string): Promise<void> {
  try {
    await fetch(`${url}/internal/flush`, { method: 'POST' });
    await fetch(`${url}/internal/compact`, { method: 'POST' });
  } catch {
    // Killed.
  }
}

test(`acknowledged samples survive SIGKILL under load (seed ${seed})`, async (t) => {
  const directory = temporaryDirectory('kill');
  t.after(() => removeDirectory(directory));
  const port = await freePort();
  const random = new SeededRandom(seed);
  let node: ServerProcess = await startTimbala({ directory, port });
  t.after(() => node.kill());
  const writers = Array.from({ length: writersCount }, (_, index) => new Writer(index, node.url));
  const running = Promise.all(writers.map((writer) => writer.run()));
  try {
    for (let kill = 0; kill < killsCount; kill++) {
      await sleep(300 + random.below(1200));
      // Every other kill hits a flush, and perhaps the merge behind it, a moment after it began.
      if (kill % 2 === 1) {
        void maintain(node.url);
        await sleep(random.below(300));
      }
      await node.kill();
      node = await startTimbala({ directory, port });
    }
    await sleep(300);
  } finally {
    for (const writer of writers) writer.stop();
    await running;
  }
  // Once more with nothing in flight: all of it must come from the disk.
  await node.kill();
  node = await startTimbala({ directory, port });

  const api = new PrometheusApi(node.url);
  for (const writer of writers) {
    assert.equal(writer.refusal, undefined);
    assert(writer.acknowledgedSteps.size > killsCount, 'writes were acknowledged between the kills');
    await writer.verify(api);
  }
  const acknowledged = writers.reduce((sum, writer) => sum + writer.acknowledgedSteps.size * seriesPerWriter, 0);
  t.diagnostic(`${acknowledged} acknowledged samples are there after ${killsCount + 1} kills`);
});
