// The same scripts over the real storage engine on a simulated disk: every load goes through the wire format, the log and the
// head. Every second time the samples are flushed to parts before they are queried, so that answers come from both.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { yearMs } from '../../src/base/index.ts';
import type { Queryable } from '../../src/promql/index.ts';
import type { ReadSession } from '../../src/storage/index.ts';
import { encodeWriteRequest, wrapSnappy } from '../../src/wire/index.ts';
import { SimDisk } from '../../sim/disk.ts';
import { SimClock } from '../../sim/clock.ts';
import { openWorld, type World } from '../crash/world.ts';
import type { ScriptStorage } from './runner.ts';
import { checkScript, scriptFiles, skipReason } from './scripts.ts';

/** Scripts begin at the epoch; with the clock beside it, all that they load is inside the retention. */
const nowMs = yearMs;

class RealStorage implements ScriptStorage {
  readonly queryable: Queryable;
  #world: World | undefined;
  #session: ReadSession | undefined;
  #loadsCount = 0;

  constructor() {
    this.queryable = {
      select: (requests, control) => this.#query((session) => session.select(requests, control)),
      series: (request, control) => this.#query((session) => session.series(request, control)),
      labelNames: (request, control) => this.#query((session) => session.labelNames(request, control)),
      labelValues: (name, request, control) => this.#query((session) => session.labelValues(name, request, control)),
    };
  }

  async load(loaded: Parameters<ScriptStorage['load']>[0]): Promise<void> {
    const world = await this.#open();
    const series = loaded.map(({ labels, timestampsMs, values }) => ({ labels: labels.pairs, timestampsMs, values }));
    const body = wrapSnappy(encodeWriteRequest(series));
    const { rejections } = await world.clock.runUntil(world.storage.lane.write(body));
    assert.deepEqual(rejections, []);
    if (this.#loadsCount++ % 2 === 1) await world.clock.runUntil(world.storage.lane.flushNow());
  }

  async clear(): Promise<void> {
    this.#session?.close();
    this.#session = undefined;
    const world = this.#world;
    this.#world = undefined;
    if (world) await world.clock.runUntil(world.storage.close());
  }

  async #open(): Promise<World> {
    if (this.#world) return this.#world;
    const clock = new SimClock(nowMs);
    this.#world = await openWorld(new SimDisk(), {
      clock,
      retentionMs: 2 * yearMs,
      limits: { futureMs: 100 * yearMs },
    });
    await clock.runUntil(this.#world.storage.lane.replayed);
    return this.#world;
  }

  /** One query at a time: the session of the last ends when the next begins. */
  async #query<Value>(ask: (session: ReadSession) => Promise<Value>): Promise<Value> {
    const { clock, storage } = await this.#open();
    this.#session?.close();
    this.#session = storage.reader.openSession();
    return clock.runUntil(ask(this.#session));
  }
}

/** Scripts of arithmetic and syntax, and those that are nearly all known gaps. */
const asksLittleOfStorage: ReadonlySet<string> = new Set(
  [
    'duration_expression extended_vectors fill-modifier histograms info literals',
    'native_histograms start_timestamps trig_functions',
  ]
    .join(' ')
    .split(' ')
    .map((name) => `${name}.test`),
);

if (scriptFiles.length === 0) test('promqltest scripts on the storage engine', { skip: skipReason }, () => {});
for (const file of scriptFiles.filter((name) => !asksLittleOfStorage.has(name))) {
  test(`promqltest ${file} on the storage engine`, async (context) => {
    const storage = new RealStorage();
    context.after(() => storage.clear());
    await checkScript(file, storage, context);
  });
}
