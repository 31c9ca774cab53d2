import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock, Log } from '../ports/index.ts';
import type { LocalStore } from './contracts.ts';
import { decisions } from './decisions.ts';
import { ClusterRecord } from './record/index.ts';
import { testMember } from './record/test-member.ts';
import { NodeState } from './state.ts';

const log: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => log };
const clock: Clock = { nowMs: () => 0, monotonicMs: () => 0, setTimer: () => ({ cancel: () => {} }) };

/** A node called `a` that holds nothing. */
function stateOf(record: ClusterRecord): NodeState {
  const store = {
    id: 'a-s1',
    setGroups: () => {},
    saveState: async () => {},
    applyDeletes: async () => {},
  } as Partial<LocalStore> as LocalStore;
  const nobody = { owners: () => [], order: () => [] };
  const options = { name: 'a', store, clock, log, decisions, place: () => nobody, partitionsCount: 8, epoch: 1 };
  return new NodeState({ ...options, onRecord: () => {} }, record);
}

test('a node writes nothing into the entry of the store that has taken its name over', async () => {
  const record = ClusterRecord.empty('c1').with(testMember('a')).with(testMember('b'));
  const state = stateOf(record);
  state.isReady = true;
  const heir = testMember('a', { store: 'a-s2', version: 7, losses: ['a-s1'] });
  // Hearing of a loss for which it has nothing makes it say so, after what was heard meanwhile.
  const hearing = state.change((current) => current.withOwn('b', { losses: ['b-s0'] }));
  await Promise.all([hearing, state.merge(record.with(heir))]);
  await state.settle();
  assert.deepEqual(state.record.member('a'), heir);
});
