// The stream of one read over a host that plays the cluster.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimClock } from '../../../sim/clock.ts';
import type { NodeName } from '../contracts.ts';
import { ClusterReadStream, type PlannedRead, PlanStale, type ReadHost, type RemoteRead } from './read-stream.ts';
import type { Share } from './shares.ts';

const segments = [{ fromMs: 0, toMs: 9, partitions: Uint8Array.of(1) }];
const share = (from: NodeName, isShared = false): Share => ({ from, segments, isShared });
const frame = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);

interface Play {
  /** By attempt. */
  readonly shares: readonly (readonly Share[])[];
  /** Frames of a node, or its failure. */
  frames(from: NodeName, attempt: number): readonly (Uint8Array | Error)[];
  /** Whether what was planned holds to the end. */
  isKept?(attempt: number): boolean;
  /** Whether a plan without those is complete; it always says which attempt it was of. */
  isComplete?(excluded: readonly NodeName[]): boolean;
}

class Host implements ReadHost {
  readonly clock = new SimClock(0);
  readonly #play: Play;
  attempts = 0;
  readonly excluded: string[] = [];
  readonly opened: string[] = [];
  readonly given: string[] = [];
  closedCount = 0;
  staleCount = 0;

  constructor(play: Play) {
    this.#play = play;
  }

  async plan(excluded: ReadonlyMap<NodeName, string>): Promise<PlannedRead> {
    const attempt = this.attempts++;
    this.excluded.push([...excluded.keys()].join());
    return {
      selection: { fromMs: 0, toMs: 9, wanted: frame(1) },
      own: segments,
      shares: this.#play.shares[Math.min(attempt, this.#play.shares.length - 1)] ?? [],
      dropsCounts: new Map(),
      viewHash: '',
      warnings: this.#play.isComplete?.([...excluded.keys()]) ? [] : [`attempt ${attempt}`],
      counters: {} as PlannedRead['counters'],
      demandUnchanged: () => {
        if (this.#play.isKept?.(attempt) === false) throw new PlanStale();
      },
    };
  }

  open(_planned: PlannedRead, { from }: Share, wanted: Uint8Array, _signal?: AbortSignal): RemoteRead {
    this.opened.push(`${from} ${wanted.join()}`);
    const frames = [...this.#play.frames(from, this.attempts - 1)];
    return {
      next: async () => {
        const next = frames.shift();
        if (next instanceof Error) throw next;
        if (next) this.given.push(`${from} ${next.join()}`);
        return next;
      },
      close: () => this.closedCount++,
    };
  }

  noteStale(): void {
    this.staleCount++;
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Draws to the end; what was seen, as text. */
async function drain(stream: ClusterReadStream): Promise<string[]> {
  const seen: string[] = [];
  for (;;) {
    const event = await stream.next();
    if (event.kind === 'plan') seen.push('plan');
    else if (event.kind === 'frame') seen.push(`${event.from}${event.isShared ? '*' : ''} ${event.frame.join()}`);
    else return [...seen, ...event.warnings];
  }
}

test('frames of all shares follow the plan, those of one in order, and the end says what is missing', async () => {
  const host = new Host({
    shares: [[share('a'), share('b'), share('a', true)]],
    frames: (from) => (from === 'a' ? [frame(1), frame(), frame(2)] : []),
  });
  const seen = await drain(new ClusterReadStream(host, 1000));
  assert.equal(seen[0], 'plan');
  assert.equal(seen.at(-1), 'attempt 0');
  const of = (source: string): string[] => seen.filter((text) => text.startsWith(`${source} `));
  assert.deepEqual(of('a'), ['a 1', 'a 2']);
  assert.deepEqual(of('a*'), ['a* 1', 'a* 2']);
  assert.equal(seen.length, 6);
  assert.equal(host.closedCount, 3);
});

test('whoever draws slowly is not sent more than one frame ahead', async () => {
  const host = new Host({ shares: [[share('a')]], frames: () => [frame(1), frame(2), frame(3)] });
  const stream = new ClusterReadStream(host, 1000);
  await stream.next();
  for (const expected of [1, 2, 3]) {
    await settle();
    assert.equal(host.given.length, expected);
    await stream.next();
  }
});

test('a shared part is asked for when the reader has said what it has, others at once', async () => {
  const host = new Host({ shares: [[share('a'), share('b', true), share('c', true)]], frames: () => [] });
  const stream = new ClusterReadStream(host, 1000);
  await stream.next();
  await settle();
  assert.deepEqual(host.opened, ['a 1']);
  const end = await stream.next(new Map([['b', frame(7)]]));
  assert.equal(end.kind, 'end');
  assert.deepEqual(host.opened, ['a 1', 'b 7', 'c 1']);
});

test('what a reader says of an earlier plan is not taken for a later one', async () => {
  const host = new Host({
    shares: [[share('a'), share('b', true)], [share('b', true)]],
    frames: (from) => (from === 'a' ? [new PlanStale('a', 'broken')] : []),
  });
  const stream = new ClusterReadStream(host, 1000);
  assert.equal((await stream.next()).kind, 'plan');
  await settle(); // the plan is given up while the reader reads its own share
  assert.equal((await stream.next(new Map([['b', frame(7)]]))).kind, 'plan');
  assert.equal((await stream.next(new Map([['b', frame(8)]]))).kind, 'end');
  assert.deepEqual(host.opened, ['a 1', 'b 8']);
});

test('a node that fails is done without, and what it gave is forgotten with a new plan', async () => {
  const host = new Host({
    shares: [[share('a'), share('b')], [share('b')]],
    frames: (from, attempt) => (from === 'a' ? [new PlanStale('a', 'broken')] : [frame(attempt)]),
    isComplete: (excluded) => excluded.length < 2,
  });
  const seen = await drain(new ClusterReadStream(host, 1000));
  assert.deepEqual(seen.slice(seen.lastIndexOf('plan')), ['plan', 'b 1']);
  assert.deepEqual(host.excluded, ['', 'a']);
});

test('before an answer does without more than it may, those that failed are asked once more', async () => {
  const shares = [share('a'), share('b'), share('c')];
  const broken = (from: NodeName): Error[] => [new PlanStale(from, 'the connection has ended')];
  const passing = new Host({
    shares: [shares, shares.slice(1), [], shares],
    frames: (from, attempt) => (from === 'c' || attempt > 2 ? [frame(attempt)] : broken(from)),
    isComplete: (excluded) => excluded.length < 2,
  });
  const seen = await drain(new ClusterReadStream(passing, 1000));
  assert.deepEqual(seen.slice(seen.lastIndexOf('plan')), ['plan', 'a 3', 'b 3', 'c 3']);
  assert.deepEqual(passing.excluded, ['', 'a', 'a,b', '']);

  const lasting = new Host({
    shares: [shares, shares.slice(1), [], shares, shares.slice(1), [share('c')]],
    frames: (from) => (from === 'c' ? [frame(9)] : broken(from)),
    isComplete: (excluded) => excluded.length < 2,
  });
  assert.deepEqual((await drain(new ClusterReadStream(lasting, 1000))).slice(-3), ['plan', 'c 9', 'attempt 5']);
});

test('the end vouches for the own share too: where it may have changed all is read again', async () => {
  const host = new Host({ shares: [[]], frames: () => [], isKept: (attempt) => attempt === 2 });
  assert.deepEqual(await drain(new ClusterReadStream(host, 1000)), ['plan', 'plan', 'plan', 'attempt 2']);
});

test('a cluster that never settles, a deadline and a reader that leaves end a read', async () => {
  const never = new Host({ shares: [[]], frames: () => [], isKept: () => false });
  await assert.rejects(drain(new ClusterReadStream(never, 1000)), { code: 'READ_UNSETTLED' });

  const stuck = new Host({ shares: [[share('a')]], frames: () => [frame(1), frame(2)] });
  const late = new ClusterReadStream(stuck, 1000);
  await late.next();
  stuck.clock.advance(1001);
  await assert.rejects(late.next(), { code: 'QUERY_TIMEOUT' });
  await settle();
  assert.equal(stuck.closedCount, 1);

  const left = new Host({ shares: [[share('a')]], frames: () => [frame(1)] });
  const stream = new ClusterReadStream(left, 1000);
  await stream.next();
  stream.cancel();
  await assert.rejects(stream.next(), { code: 'QUERY_CANCELLED' });
  await settle();
  assert.equal(left.closedCount, 1);
});

test('a read that was given up is no stale plan', async () => {
  const host = new Host({ shares: [[share('a')]], frames: () => [] });
  host.open = (_planned, _share, _wanted, signal?: AbortSignal): RemoteRead => ({
    next: () =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(new PlanStale()));
      }),
    close: () => undefined,
  });
  const stream = new ClusterReadStream(host, 1000);
  await stream.next();
  await settle();
  stream.cancel();
  await settle();
  assert.deepEqual([host.attempts, host.staleCount], [1, 0]);
});
