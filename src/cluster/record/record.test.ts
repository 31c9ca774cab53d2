import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode, TimbalaError } from '../../base/index.ts';
import { hashBytes } from '../hash.ts';
import { ClusterRecord, type MemberState } from './index.ts';
import { testMember as member } from './test-member.ts';

const empty = ClusterRecord.empty('c1');

/** Records that can come about: an entry of a store and version always says the same. */
const members = fc.record({
  name: fc.constantFrom('a', 'b', 'c'),
  store: fc.constantFrom('s1', 's2', 's3'),
  version: fc.integer({ min: 1, max: 4 }),
  isRemoved: fc.boolean(),
});
const states: readonly MemberState[] = ['joining', 'active', 'active', 'leaving'];
const records = fc.array(members, { maxLength: 6 }).map((entries) =>
  entries.reduce((record, { name, store, version, isRemoved }) => {
    const entry = member(name, { store, version, state: states[version - 1] ?? 'active' });
    const merged = record.merge(empty.with(entry));
    return isRemoved ? merged.withRemoved(name) : merged;
  }, empty),
);

test('records merge to the same, whoever hears of what first, and however often', () => {
  fc.assert(
    fc.property(records, records, records, (a, b, c) => {
      assert.equal(a.merge(b).hash, b.merge(a).hash);
      assert.equal(a.merge(a).hash, a.hash);
      assert.equal(a.merge(b).merge(b).hash, a.merge(b).hash);
      // Gossip runs until nobody learns anything: all orders end alike.
      const all = a.merge(b).merge(c);
      assert.equal(all.merge(b.merge(c).merge(a)).hash, b.merge(c).merge(a).merge(all).hash);
    }),
  );
});

test('a record survives its encoding, unknown fields included', () => {
  fc.assert(
    fc.property(records, fc.uint8Array({ maxLength: 9 }), (record, rest) => {
      const extended = record.with(member('z', { rest, losses: ['x'], cleared: ['x', 'y'] }));
      const decoded = ClusterRecord.decode(extended.encode());
      assert.equal(decoded.hash, extended.hash);
      assert.deepEqual(decoded.member('z')?.rest, rest);
    }),
  );
});

test('damaged records are refused with a code', () => {
  const encoded = empty.with(member('a')).with(member('b')).encode();
  for (let length = 0; length < encoded.length; length++) {
    assert.throws(
      () => ClusterRecord.decode(encoded.subarray(0, length)),
      (error) => error instanceof TimbalaError && error.code.startsWith('DECODE_'),
    );
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        ClusterRecord.decode(bytes);
      } catch (error) {
        assert.ok(error instanceof TimbalaError && !hasCode(error, 'ASSERTION_FAILED'));
      }
    }),
  );
});

test('removal is final for a store, and another store takes the name over', () => {
  const removed = empty.with(member('a')).withRemoved('a');
  const stubborn = empty.with(member('a', { version: 9 }));
  assert.equal(removed.merge(stubborn).member('a')?.state, 'removed');
  const again = removed.merge(empty.with(member('a', { store: 'a-s2', version: 10, state: 'joining' })));
  assert.equal(again.member('a')?.state, 'joining');
  assert.deepEqual(again.losses, ['a-s1']);
});

test('a store that took a name over keeps it, whatever numbers the store before it had got to', () => {
  const before = empty.with(member('a', { version: 9 }));
  const taken = empty.with(member('a', { store: 'a-s0', version: 2, losses: ['a-s1'] }));
  for (const record of [before.merge(taken), taken.merge(before)]) {
    assert.equal(record.member('a')?.store, 'a-s0');
    assert.deepEqual(record.losses, ['a-s1']);
  }
});

test('entries and retention that were numbered twice, by a directory that was set back, are settled alike by all', () => {
  const [one, two] = [1000, 2000].map((durationMs) =>
    empty.with(member('a', { floorMs: durationMs })).withRetention(durationMs, 'a'),
  );
  assert.ok(one && two);
  assert.equal(one.merge(two).hash, two.merge(one).hash);
});

test('who has left is not removed after all', () => {
  const left = empty.with(member('a', { state: 'left' }));
  assert.equal(left.withRemoved('a'), left);
});

test('of two stores under one name the beaten one is a loss, unless it had left', () => {
  const taken = empty.with(member('a', { store: 'a-s2', version: 2 }));
  assert.deepEqual(empty.with(member('a')).merge(taken).losses, ['a-s1']);
  assert.deepEqual(empty.with(member('a', { state: 'left' })).merge(taken).losses, []);
});

test('a loss is healed when every member has cleared it', () => {
  const record = empty.with(member('a', { losses: ['old'], cleared: ['old'] })).with(member('b'));
  assert.deepEqual(record.unhealedLosses, ['old']);
  assert.deepEqual(record.withOwn('b', { cleared: ['old'] }).unhealedLosses, []);
  // Who has left has nothing to say any more.
  assert.deepEqual(record.withOwn('b', { state: 'left' }).unhealedLosses, []);
});

test('the view is that part on which placement and confirmations depend', () => {
  const record = empty.with(member('a')).with(member('b'));
  assert.equal(record.withOwn('a', { cleared: ['x'], address: 'elsewhere' }).viewHash, record.viewHash);
  assert.notEqual(record.withOwn('a', { state: 'leaving' }).viewHash, record.viewHash);
  assert.notEqual(record.withOwn('a', { store: 'a-s2' }).viewHash, record.viewHash);
  assert.notEqual(record.withRetention(1000, 'a').viewHash, record.viewHash);
  const request = { id: 'd1', matchers: new Uint8Array(1), fromMs: 0, toMs: 1 };
  assert.notEqual(record.withDelete(request).viewHash, record.viewHash);
});

test('a member that becomes the only active one says so', () => {
  const record = empty.with(member('a')).with(member('b', { state: 'leaving' }));
  assert.equal(record.withSoleActive('a').member('a')?.alone, 2);
  assert.equal(record.withSoleActive('b'), record);
  const two = empty.with(member('a')).with(member('b'));
  assert.equal(two.withSoleActive('a'), two);
});

test('hashes tell single bits apart', () => {
  const seen = new Set<string>();
  for (let length = 0; length < 40; length++) {
    seen.add(hashBytes(new Uint8Array(length)));
    for (let bit = 0; bit < length * 8; bit++) {
      const bytes = new Uint8Array(length);
      bytes[bit >> 3] = 1 << (bit & 7);
      seen.add(hashBytes(bytes));
    }
  }
  assert.equal(seen.size, 40 + (8 * 39 * 40) / 2);
  assert.equal(hashBytes(new Uint8Array(0)), '0'.repeat(32));
});

test('the limit in bytes that two members have reached is kept by all, one alone decides it for nobody', () => {
  const withWish = (name: string, floorMs: number): ClusterRecord => empty.with(member(name, { floorMs }));
  assert.equal(empty.floorMs, 0);
  assert.equal(withWish('a', 500).floorMs, 500);
  assert.equal(withWish('a', 500).merge(withWish('b', 0)).floorMs, 0);
  assert.equal(withWish('a', 500).merge(withWish('b', 700)).merge(withWish('c', 900)).floorMs, 700);
});

test('a delete that was pruned does not come back from who has not pruned it', () => {
  const request = (id: string, toMs: number) => ({ id, matchers: new Uint8Array(0), fromMs: 0, toMs });
  const both = empty.withDelete(request('old', 99)).withDelete(request('new', 100));
  const pruned = both.withPruned(100);
  const idsOf = (record: ClusterRecord): string[] => record.deletes.map(({ id }) => id);
  assert.deepEqual(idsOf(pruned), ['new']);
  assert.deepEqual(idsOf(pruned.merge(both)), ['new']);
  assert.equal(pruned.merge(both).hash, both.merge(pruned).hash);
  assert.deepEqual(idsOf(ClusterRecord.decode(pruned.encode())), ['new']);
  assert.equal(pruned.withPruned(50), pruned);
});
