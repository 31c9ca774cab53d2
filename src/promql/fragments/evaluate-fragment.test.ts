// How a fragment shares its thread with others; what it answers is checked in test/promql/push-down.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TimbalaError } from '../../base/index.ts';
import { Labels } from '../../model/index.ts';
import { PromqlEngine } from '../engine.ts';
import { MemoryQueryable } from '../memory-queryable.ts';
import { LimitedQueryControl } from '../query-control.ts';
import type { FragmentRequest, Queryable } from '../queryable.ts';
import { evaluateFragment } from './evaluate-fragment.ts';

const seriesCount = 20;
const timeMs = 1_000_000;
const everything = { fromMs: 0, toMs: 2 * timeMs };

function storage(): MemoryQueryable {
  const queryable = new MemoryQueryable();
  for (let i = 0; i < seriesCount; i++) {
    queryable.append(Labels.of({ __name__: 'm', i: `${i}` }), Float64Array.of(timeMs), Float64Array.of(i));
  }
  return queryable;
}

/** What a node would ask of others. */
async function requestOf(text: string): Promise<FragmentRequest> {
  let asked: FragmentRequest | undefined;
  const queryable: Queryable = Object.assign(storage(), {
    fragments: async (request: FragmentRequest) => {
      asked = request;
      return undefined;
    },
  });
  await new PromqlEngine().instantQuery({ text, timeMs }, queryable, new LimitedQueryControl());
  assert(asked, text);
  return asked;
}

for (const text of ['sum(m)', 'topk(2, m)', 'bottomk by (i) (1, m)', 'topk(0, m)']) {
  test(`${text} asks after every series whether others want the thread, and ends where it is told to`, async () => {
    const { encoded } = await requestOf(text);
    let pausesCount = 0;
    const pause = async (): Promise<void> => {
      pausesCount++;
      await new Promise((resolve) => setImmediate(resolve));
    };
    await evaluateFragment(encoded, everything, storage(), new LimitedQueryControl(), pause);
    assert.equal(pausesCount, seriesCount);

    const limits = new LimitedQueryControl();
    const control = {
      check: () => {
        if (pausesCount >= 3) throw new TimbalaError('READ_CANCELLED', 'enough');
      },
      addSamples: (count: number) => limits.addSamples(count),
      addBytes: (count: number) => limits.addBytes(count),
    };
    pausesCount = 0;
    const ended = evaluateFragment(encoded, everything, storage(), control, pause);
    await assert.rejects(ended, { code: 'READ_CANCELLED' });
    assert.equal(pausesCount, 3);
  });
}
