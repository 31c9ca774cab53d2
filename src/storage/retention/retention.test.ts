import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dayMs } from '../../base/index.ts';
import type { PartEntry } from '../manifest/manifest-edit.ts';
import { decideRetention } from './retention.ts';

const part = (id: number, maxTimeMs: number, sizeBytes: number): PartEntry => {
  const window = { level: 0, startMs: maxTimeMs - 10, endMs: maxTimeMs + 10, minTimeMs: maxTimeMs - 5 };
  return { id, ...window, maxTimeMs, seriesCount: 1, samplesCount: 1, sizeBytes, tombstoneSeq: 0 };
};
const nowMs = 100 * dayMs;
const parts = [part(3, 90 * dayMs, 10), part(1, 10 * dayMs, 10), part(2, 50 * dayMs, 10)];
const never = Number.MIN_SAFE_INTEGER;
const ids = (entries: readonly PartEntry[]): number[] => entries.map(({ id }) => id);

test('retention by time drops parts whose last sample is past it', () => {
  const { horizonMs, obsolete, sizeHorizonMs } = decideRetention(parts, { timeMs: 60 * dayMs }, nowMs, never);
  assert.equal(horizonMs, 40 * dayMs);
  assert.deepEqual(ids(obsolete), [1]);
  assert.equal(sizeHorizonMs, undefined);
  assert.deepEqual(
    ids(decideRetention(parts, { timeMs: 90 * dayMs }, nowMs, never).obsolete),
    [],
    'a part at the edge stays',
  );
});

test('retention by size drops the oldest parts and moves the horizon behind them', () => {
  const { horizonMs, obsolete, sizeHorizonMs } = decideRetention(parts, { timeMs: 1e15, sizeBytes: 15 }, nowMs, never);
  assert.deepEqual(ids(obsolete), [1, 2]);
  assert.equal(horizonMs, 50 * dayMs + 1);
  assert.equal(sizeHorizonMs, horizonMs);
});

test('what is past retention by time does not count, and a horizon once moved stays', () => {
  const both = decideRetention(parts, { timeMs: 60 * dayMs, sizeBytes: 20 }, nowMs, never);
  assert.deepEqual(ids(both.obsolete), [1]);
  assert.equal(both.sizeHorizonMs, undefined);
  assert.equal(decideRetention([], { timeMs: 1e15 }, nowMs, 7).horizonMs, 7);
});
