// Whom a survey waits for, and for how long. What is heard is the simulator's to check.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimClock } from '../../../sim/clock.ts';
import { TimbalaError } from '../../base/index.ts';
import { decisions } from '../decisions.ts';
import type { Exchange } from '../exchange.ts';
import type { NodeState } from '../state.ts';
import { defaultClusterTiming } from '../timing.ts';
import { Surveyor } from './survey.ts';

const timing = { ...defaultClusterTiming, askDeadlineMs: 2000, briefAskDeadlineMs: 250, doubtMs: 10_000 };

/** A node `self` among others, of which some are silent. */
function surveyorOf(silent: ReadonlySet<string>, afterwards: (asked: readonly string[]) => void = () => {}) {
  const clock = new SimClock(0);
  const asked: string[] = [];
  const members = ['a', 'b', 'self'].map((name) => ({ name, store: name, alone: 0 }));
  const state = {
    name: 'self',
    clock,
    decisions: { ...decisions, countedLosses: () => [] },
    isReady: true,
    dropsCount: 0,
    epoch: 1,
    view: { hash: 'view' },
    record: { members, losses: [] },
    marks: { told: () => [] },
  };
  const exchange = {
    answer: () => {},
    ask: async (name: string, _question: unknown, _request: unknown, deadlineMs: number) => {
      asked.push(`${name} ${deadlineMs}`);
      const isSilent = silent.has(name);
      afterwards(asked);
      if (isSilent) throw new TimbalaError('PEER_TIMEOUT', name);
      return {
        store: name,
        viewHash: 'view',
        body: { isReplaying: false, dropsCount: 0, epoch: 1, unchanged: [], layers: [] },
      };
    },
  };
  const surveyor = new Surveyor(state as unknown as NodeState, exchange as unknown as Exchange, timing);
  return {
    clock,
    /** Whom it asked, and whether something may be missing. */
    survey: async (): Promise<[string, boolean]> => {
      asked.length = 0;
      const { warnings } = await surveyor.survey(0, 1, new Map());
      return [asked.join(', '), warnings.length > 0];
    },
  };
}

test('a member that was silent is waited for briefly, until it answers or some time has passed', async () => {
  const silent = new Set(['a']);
  const { clock, survey } = surveyorOf(silent);
  assert.deepEqual(await survey(), ['a 2000, b 2000', false]);
  assert.deepEqual(await survey(), ['a 250, b 2000', false]);
  await clock.advance(timing.doubtMs + 1);
  assert.deepEqual(await survey(), ['a 2000, b 2000', false]);
  silent.clear();
  assert.deepEqual(await survey(), ['a 250, b 2000', false]);
  assert.deepEqual(await survey(), ['a 2000, b 2000', false]);
});

test('where an answer would lack something, all that were not heard are asked again, as long as any', async () => {
  const silent = new Set(['a']);
  const { survey } = surveyorOf(silent);
  await survey();
  silent.add('b');
  assert.deepEqual(await survey(), ['a 250, b 2000, a 2000, b 2000', true]);
  assert.deepEqual(await survey(), ['a 250, b 250, a 2000, b 2000', true]);
});

test('members that are only slow once make no answer incomplete', async () => {
  const silent = new Set(['a', 'b']);
  const { survey } = surveyorOf(silent, (asked) => {
    if (asked.length === 2) silent.clear();
  });
  assert.deepEqual(await survey(), ['a 2000, b 2000, a 2000, b 2000', false]);
});
