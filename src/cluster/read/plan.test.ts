import assert from 'node:assert/strict';
import { test } from 'node:test';
import { windowMs } from '../contracts.ts';
import {
  forEachPartition,
  type HeardMarks,
  partitionsIn,
  planEverything,
  type PlanInput,
  PlanMemory,
  planRead,
  segmentsOf,
} from './plan.ts';

const none: HeardMarks = new Map();
const marksOf = (windowStartMs: number | undefined, partition: number, confirmed: string[] = []): HeardMarks =>
  new Map([
    [
      windowStartMs,
      {
        lists: Uint16Array.from({ length: partition + 1 }, (_, at) => (at === partition ? 2 : 0)),
        owners: [[], [], confirmed],
      },
    ],
  ]);

const owners = ['a', 'b', 'c'];

function input(heard: Record<string, HeardMarks>, change: Partial<PlanInput> = {}): PlanInput {
  return {
    fromMs: 0,
    toMs: 3 * windowMs - 1,
    partitionsCount: 2,
    heard: new Map(Object.entries(heard)),
    owners: () => owners,
    token: (name) => `${name}/1`,
    rank: () => 0,
    maySpare: false,
    unsparable: new Set(),
    suspects: new Set(),
    ...change,
  };
}

/** "node: partition@from-to" with times in windows. */
function planned(of: PlanInput): string[] {
  return [...planRead(of).sources].flatMap(([name, segments]) =>
    segments.flatMap(({ fromMs, toMs, partitions }) =>
      [...partitionsIn(partitions)].map(
        (partition) => `${name}: ${partition}@${fromMs / windowMs}-${(toMs + 1) / windowMs}`,
      ),
    ),
  );
}

test('without marks one owner serves everything', () => {
  assert.deepEqual(planned(input({ a: none, b: none, c: none })), ['a: 0@0-3', 'a: 1@0-3']);
  assert.deepEqual(planned(input({ a: none, b: none }, { rank: (name) => (name === 'b' ? 0 : 1) })), [
    'b: 0@0-3',
    'b: 1@0-3',
  ]);
});

test('a marked pair is read from an owner and from who marks it, only in its window', () => {
  const plan = planned(input({ a: none, b: none, d: marksOf(windowMs, 1) }));
  assert.deepEqual(plan, ['a: 0@0-1', 'a: 1@0-1', 'a: 0@1-2', 'a: 1@1-2', 'a: 0@2-3', 'a: 1@2-3', 'd: 1@1-2']);
});

test('an owner that the mark lists serves the pair alone', () => {
  const plan = planned(input({ a: none, b: none, d: marksOf(windowMs, 1, ['b/1']) }));
  assert.ok(plan.includes('b: 1@1-2'));
  assert.ok(!plan.some((source) => source.startsWith('d')));
});

test('a list under another store of that name does not count', () => {
  const plan = planned(input({ a: none, d: marksOf(windowMs, 1, ['a/0']) }));
  assert.ok(plan.includes('d: 1@1-2'));
});

test("an owner's own mark does not keep it from serving alone, another's does", () => {
  assert.deepEqual(planned(input({ a: marksOf(undefined, 0), b: none })), ['a: 0@0-3', 'a: 1@0-3']);
  const both = planned(input({ a: marksOf(undefined, 0), b: marksOf(undefined, 0) }));
  assert.deepEqual(both, ['a: 0@0-3', 'a: 1@0-3', 'b: 0@0-3']);
});

test('one of those who mark may be spared, but none that may alone hold something', () => {
  const heard = { a: none, d: marksOf(undefined, 0), e: marksOf(undefined, 0) };
  assert.equal(planned(input(heard)).filter((source) => source.includes(': 0')).length, 3);
  const sparing = planned(input(heard, { maySpare: true }));
  assert.deepEqual(sparing, ['a: 0@0-3', 'a: 1@0-3', 'e: 0@0-3']);
  const both = planned(input(heard, { maySpare: true, unsparable: new Set(['d', 'e']) }));
  assert.equal(both.length, 4);
  // A single one who marks may be the only one heard that has it.
  assert.equal(planned(input({ a: none, d: marksOf(undefined, 0) }, { maySpare: true })).length, 3);
});

test('who failed lately is read only where others will not do', () => {
  const of = (heard: Record<string, HeardMarks>, suspects: string[], change: Partial<PlanInput> = {}): string =>
    planned(input(heard, { partitionsCount: 1, suspects: new Set(suspects), ...change }))
      .map((source) => source.charAt(0))
      .join('');
  const everyone = { a: none, b: none, c: none };
  assert.equal(of(everyone, ['a']), 'b');
  assert.equal(of(everyone, ['a', 'b', 'c']), 'a');
  assert.equal(of({ ...everyone, d: marksOf(undefined, 0) }, ['a']), 'bd');
  // Alone `a` could serve: rather two that are sound, but not another one that is not.
  assert.equal(of({ ...everyone, d: marksOf(undefined, 0, ['a/1']) }, ['a']), 'bd');
  assert.equal(of({ ...everyone, d: marksOf(undefined, 0, ['a/1']) }, ['a', 'd']), 'a');
  const marked = { a: none, d: marksOf(undefined, 0), e: marksOf(undefined, 0) };
  assert.equal(of(marked, ['e'], { maySpare: true }), 'ad');
  assert.equal(of(marked, ['e'], { maySpare: true, unsparable: new Set(['e']) }), 'ae');
  assert.equal(of(marked, ['e']), 'ade');
});

test('segments cover the range without gap or overlap', () => {
  const heard = new Map([
    ['a', marksOf(windowMs, 0)],
    ['b', marksOf(4 * windowMs, 0)],
  ]);
  for (const [fromMs, toMs] of [
    [0, 6 * windowMs],
    [windowMs + 5, windowMs + 5],
    [1, 2 * windowMs - 1],
  ] as const) {
    const segments = segmentsOf(fromMs, toMs, heard);
    assert.equal(segments[0]?.[0], fromMs);
    assert.equal(segments.at(-1)?.[1], toMs);
    for (const [index, [begin, end]] of segments.entries()) {
      assert.ok(begin <= end);
      if (index > 0) assert.equal(begin, (segments[index - 1]?.[1] ?? 0) + 1);
    }
  }
});

test('partitions without a heard owner are counted', () => {
  const { ownerlessCount } = planRead(input({ d: none }));
  assert.equal(ownerlessCount, 2);
});

test('everything from everyone asks every heard node for every partition', () => {
  const { sources } = planEverything(input({ a: none, d: none }));
  assert.deepEqual([...sources.keys()], ['a', 'd']);
  for (const [segment] of sources.values())
    assert.deepEqual([...partitionsIn(segment?.partitions ?? new Uint8Array(0))].slice(0, 2), [0, 1]);
});

test('one memory gives what planning anew gives, and follows the marks', () => {
  const memory = new PlanMemory();
  const marks = marksOf(windowMs, 1);
  const before = input({ a: none, b: none, d: marks });
  assert.deepEqual(planRead(before, memory), planRead(before));
  const [first] = planRead(before, memory).sources.get('d') ?? [];
  const [again] = planRead(before, memory).sources.get('d') ?? [];
  assert.equal(again?.partitions, first?.partitions);
  for (const after of [
    input({ a: none, b: none, d: marksOf(windowMs, 0) }),
    input({ a: none, d: marks }),
    input({ a: marks, b: none, d: marks }, { maySpare: true }),
    input({ a: marks, b: none, d: marks }, { maySpare: true, unsparable: new Set(['d']) }),
    input({ a: marks, b: none, d: marks }, { maySpare: true, suspects: new Set(['a']) }),
  ]) {
    assert.deepEqual(planRead(after, memory), planRead(after));
  }
});

test('partitions are taken for alike only where all that was told of them is', () => {
  const partitionsCount = 500;
  // So many lists that their numbers do not fit into one: 40 members with 16 lists each.
  const tellers = Array.from({ length: 40 }, (_, teller) => ({
    name: `n${teller}`,
    whole: undefined,
    window: {
      lists: Uint16Array.from(
        { length: partitionsCount - teller },
        (_, at) => (at * (teller % 3)) % (2 + (teller % 14)),
      ),
      owners: Array.from({ length: 16 }, () => []),
    },
  }));
  const of = input({}, { partitionsCount, owners: (partition) => (partition % 2 === 0 ? owners : []) });
  const toldOf = (partition: number): string =>
    [partition % 2, ...tellers.map(({ window }) => window.lists[partition] ?? 0)].join();
  const workedOut = new Set<string>();
  forEachPartition(
    of,
    tellers,
    (partition) => {
      const told = toldOf(partition);
      assert(!workedOut.has(told), 'worked out twice');
      workedOut.add(told);
      return told;
    },
    (partition, found) => assert.equal(found, toldOf(partition)),
  );
  assert(workedOut.size > 50 && workedOut.size < partitionsCount);
});
