import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { StepReach } from '../../promql/index.ts';
import { type NodeName, windowMs } from '../contracts.ts';
import { mayBeServedAlone, planAlone } from './plan-alone.ts';
import { type HeardMarks, ownersAlone, partitionsIn, type PlanInput, segmentsOf, tellersOf } from './plan.ts';

const partitionsCount = 8;
const names = ['a', 'b', 'c', 'd', 'e'];
const ownersOf = Array.from({ length: partitionsCount }, (_, partition) =>
  [0, 1, 2].map((at) => names[(partition + at) % names.length] as NodeName),
);
const none: HeardMarks = new Map();
/** A step per window, each looking back by one. */
const reach: StepReach = { startMs: windowMs, stepMs: windowMs, stepsCount: 9, beforeMs: windowMs - 1, afterMs: 0 };
const selection = { fromMs: 0, toMs: 9 * windowMs, wanted: Uint8Array.of(2) };

interface MarkOf {
  readonly window: number | undefined;
  readonly partition: number;
  readonly listed: readonly string[];
}

function marksOf(marks: readonly MarkOf[]): HeardMarks {
  const heard = new Map<number | undefined, { lists: Uint16Array; owners: string[][] }>();
  for (const { window, partition, listed } of marks) {
    const windowStartMs = window === undefined ? undefined : window * windowMs;
    const layer = heard.get(windowStartMs) ?? { lists: new Uint16Array(partitionsCount), owners: [[]] };
    heard.set(windowStartMs, layer);
    layer.lists[partition] = layer.owners.push(listed.map((name) => `${name}/1`)) - 1;
  }
  return heard;
}

function input(heard: Record<string, HeardMarks>): PlanInput {
  return {
    fromMs: selection.fromMs,
    toMs: selection.toMs,
    partitionsCount,
    heard: new Map(Object.entries(heard)),
    owners: (partition) => ownersOf[partition] as NodeName[],
    token: (name) => `${name}/1`,
    rank: () => 0,
    maySpare: false,
    unsparable: new Set(),
    suspects: new Set(),
  };
}

const everyone = (change: Record<string, HeardMarks> = {}): Record<string, HeardMarks> => ({
  ...Object.fromEntries(names.map((name) => [name, none])),
  ...change,
});

/** By node its partitions, and the range in windows. */
function planned(of: PlanInput): string {
  const { sources, selection: narrowed } = planAlone(of, selection, reach);
  const shares = [...sources].map(([name, [segment]]) => `${name}: ${[...partitionsIn(segment?.partitions ?? none8)]}`);
  return [
    ...shares.sort(),
    `${(narrowed?.fromMs ?? NaN) / windowMs} to ${((narrowed?.toMs ?? NaN) + 1) / windowMs}`,
  ].join(', ');
}
const none8 = new Uint8Array(1);

test('without marks the first owner of each partition serves it, over the whole range', () => {
  assert.match(planned(input(everyone())), /^a: 0,5, b: 1,6, c: 2,7, d: 3, e: 4, 0 to /);
});

test('an owner that was not heard serves nothing', () => {
  const { b: _, ...heard } = everyone();
  assert.match(planned(input(heard)), /^a: 0,5, c: 1,2,6,7, d: 3, e: 4, /);
});

test('an owner that failed lately serves only what no other could', () => {
  const others = 'a: 0,5, c: 1,2,6,7, d: 3, e: 4, 0 to ';
  assert.ok(planned({ ...input(everyone()), suspects: new Set(['b']) }).startsWith(others));
  assert.match(planned({ ...input({ b: none, d: none, e: none }), suspects: new Set(['b']) }), /^b: 0,.*d: 1,/);
});

test('a stretch ends before the window that somebody marks, and begins behind it', () => {
  const open = everyone({ e: marksOf([{ window: 9, partition: 0, listed: [] }]) });
  assert.match(planned(input(open)), /, 0 to 9$/);
  const early = everyone({ e: marksOf([{ window: 1, partition: 0, listed: [] }]) });
  assert.match(planned(input(early)), /, 2 to /);
});

test('an owner that the marks of a window list serves it, where it is the same one that serves the rest', () => {
  const listed = everyone({ e: marksOf([{ window: 4, partition: 0, listed: ['b'] }]) });
  assert.match(planned(input(listed)), /^a: 5, b: 0,1,6, c: 2,7, d: 3, e: 4, 0 to /);
  const apart = everyone({
    e: marksOf([
      { window: 4, partition: 0, listed: ['b'] },
      { window: 5, partition: 0, listed: ['c'] },
    ]),
  });
  assert.match(planned(input(apart)), /^a: 5, b: 0,1,6, .*, 0 to 5$/);
});

test('nothing is shared where no stretch is as long as a step, or few steps are in the longest', () => {
  const never = everyone({ b: marksOf([{ window: undefined, partition: 3, listed: [] }]) });
  assert.throws(() => planned(input(never)), { code: 'READ_NOT_SHARED' });
  const often = everyone({
    e: marksOf([2, 4, 6, 8].map((window) => ({ window, partition: 0, listed: [] }))),
  });
  assert.throws(() => planned(input(often)), { code: 'READ_NOT_SHARED' });
});

test('steps that reach into the window of now are not worth asking for', () => {
  assert.equal(mayBeServedAlone(reach, 2 * windowMs), true);
  assert.equal(mayBeServedAlone(reach, 2 * windowMs - 1), false);
  assert.equal(mayBeServedAlone({ ...reach, afterMs: -windowMs }, 2 * windowMs - 1), true);
});

test('whatever is marked, every partition is asked of exactly one node, which serves all of the stretch alone', () => {
  const mark = fc.record({
    window: fc.option(fc.nat(9), { nil: undefined, freq: 8 }),
    partition: fc.nat(partitionsCount - 1),
    listed: fc.uniqueArray(fc.constantFrom(...names)),
  });
  const told = fc.array(fc.tuple(fc.constantFrom(...names), fc.array(mark, { maxLength: 6 })), { maxLength: 5 });
  fc.assert(
    fc.property(told, fc.subarray(names, { minLength: 3 }), (marks, heardNames) => {
      const all = new Map(marks.map(([name, list]) => [name, marksOf(list)]));
      const of = input(Object.fromEntries(heardNames.map((name) => [name, all.get(name) ?? none])));
      let plan;
      try {
        plan = planAlone(of, selection, reach);
      } catch {
        return;
      }
      const range = plan.selection ?? selection;
      const served = [...plan.sources].flatMap(([name, segments]) =>
        segments.flatMap(({ partitions }) => [...partitionsIn(partitions)].map((partition) => ({ name, partition }))),
      );
      assert.deepEqual(
        served.map(({ partition }) => partition).sort((a, b) => a - b),
        Array.from({ length: partitionsCount }, (_, partition) => partition),
      );
      for (const [fromMs] of segmentsOf(range.fromMs, range.toMs, of.heard)) {
        for (const { name, partition } of served) {
          const bits = ownersAlone(of, partition, tellersOf(of.heard, fromMs));
          const at = of.owners(partition).indexOf(name);
          assert.equal((bits >> at) & 1, 1, `${name} does not serve partition ${partition} alone from ${fromMs}`);
        }
      }
    }),
  );
});
