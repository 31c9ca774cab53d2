// Fragments of other nodes' queries, as the replica worker evaluates them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimClock } from '../../../sim/clock.ts';
import { secondMs, TimbalaError } from '../../base/index.ts';
import { type FragmentRequest, LimitedQueryControl, PromqlEngine, type Queryable } from '../../promql/index.ts';
import { MemoryQueryable } from '../../promql/memory-queryable.ts';
import { fragmentEvaluator } from './replica.ts';

async function requestOf(text: string): Promise<FragmentRequest> {
  let asked: FragmentRequest | undefined;
  const queryable: Queryable = Object.assign(new MemoryQueryable(), {
    fragments: async (request: FragmentRequest) => {
      asked = request;
      return undefined;
    },
  });
  await new PromqlEngine().instantQuery({ text, timeMs: 1000 }, queryable, new LimitedQueryControl());
  assert(asked);
  return asked;
}

test('a fragment ends when nobody waits for it, and after ten seconds', async () => {
  const clock = new SimClock(0);
  const { encoded } = await requestOf('sum(m)');
  const range = { fromMs: -secondMs * 3600, toMs: 1000 };
  const evaluate = (check: () => void): Promise<unknown> =>
    fragmentEvaluator(clock)(encoded, range, new MemoryQueryable(), { check, addBytes: () => undefined });
  await evaluate(() => undefined);
  const left = (): void => {
    throw new TimbalaError('READ_CANCELLED', 'nobody waits');
  };
  await assert.rejects(evaluate(left), { code: 'READ_CANCELLED' });
  const slow = (): void => void clock.advance(11 * secondMs);
  await assert.rejects(evaluate(slow), { code: 'QUERY_TIMEOUT' });
});
