import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ReadSegment } from '../contracts.ts';
import { sharesOf } from './shares.ts';

const timesCount = 8;
const partitionsCount = 8;

/** "time/partition" of all that segments hold, as often as they do. */
function cellsOf(segments: readonly ReadSegment[]): string[] {
  return segments.flatMap(({ fromMs, toMs, partitions }) =>
    Array.from({ length: toMs - fromMs + 1 }, (_, i) => fromMs + i).flatMap((time) =>
      Array.from({ length: partitionsCount }, (_, partition) => partition)
        .filter((partition) => (((partitions[0] ?? 0) >> partition) & 1) === 1)
        .map((partition) => `${time}/${partition}`),
    ),
  );
}

const segment = fc
  .tuple(fc.nat(timesCount), fc.nat(timesCount), fc.integer({ min: 1, max: 255 }))
  .map(([a, b, bits]): ReadSegment => ({
    fromMs: Math.min(a, b),
    toMs: Math.max(a, b),
    partitions: Uint8Array.of(bits),
  }));

test('all of a plan is in some share, what is shared is read by the asking node too, and its own share is left out', () => {
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 3 }), fc.array(segment, { maxLength: 3 }), (own, theirs) => {
      const shares = sharesOf(
        new Map([
          ['self', own],
          ['other', theirs],
        ]),
        'self',
        own,
      );
      assert(shares.every(({ from, segments }) => from === 'other' && segments.length > 0));
      const of = (isShared: boolean): string[] =>
        shares.filter((share) => share.isShared === isShared).flatMap(({ segments }) => cellsOf(segments));
      assert.deepEqual([...new Set([...of(true), ...of(false)])].sort(), [...new Set(cellsOf(theirs))].sort());
      const ownCells = new Set(cellsOf(own));
      assert(of(true).every((cell) => ownCells.has(cell)));
    }),
  );
});

test('where segments begin and end alike nothing is asked for twice', () => {
  const cut = (bits: readonly [number, number]): ReadSegment[] => [
    { fromMs: 0, toMs: 3, partitions: Uint8Array.of(bits[0]) },
    { fromMs: 4, toMs: 7, partitions: Uint8Array.of(bits[1]) },
  ];
  const own = cut([0b0111, 0b0001]);
  const shares = sharesOf(
    new Map([
      ['self', own],
      ['other', cut([0b1100, 0b0001])],
    ]),
    'self',
    own,
  );
  assert.deepEqual(shares, [
    { from: 'other', segments: [{ fromMs: 0, toMs: 3, partitions: Uint8Array.of(0b1000) }], isShared: false },
    {
      from: 'other',
      segments: [
        { fromMs: 0, toMs: 3, partitions: Uint8Array.of(0b0100) },
        { fromMs: 4, toMs: 7, partitions: Uint8Array.of(0b0001) },
      ],
      isShared: true,
    },
  ]);
});
