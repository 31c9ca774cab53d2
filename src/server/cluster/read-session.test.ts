// A query's view of the cluster over a main that plays the events of a read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Handlers, mib, RpcPeer, TimbalaError } from '../../base/index.ts';
import type { ReadEvent } from '../../cluster/index.ts';
import { encodeLabels, Labels, SampleBuffer } from '../../model/index.ts';
import { LimitedQueryControl } from '../../promql/index.ts';
import { createInlineChannel, type Reader } from '../../storage/index.ts';
import { SampleFrameWriter } from '../../storage/answers/sample-frame.ts';
import type { ClusterReadHandlers } from './read-protocol.ts';
import { ClusterSession, ReadIds } from './read-session.ts';

/** Each select of the own share takes so much. */
const ownBytes = 400 * mib;

function sessionOver(events: (ReadEvent | Promise<ReadEvent>)[]) {
  const [workerEnd, mainEnd] = createInlineChannel();
  const next = async (): Promise<ReadEvent> => {
    const event = await events.shift();
    assert(event);
    return event;
  };
  void new RpcPeer(mainEnd, { open: next, next, cancel: () => undefined } satisfies Handlers);
  const opened = { count: 0 };
  const reader = {
    partitionOf: () => 0,
    openSession: () => {
      opened.count++;
      return {
        close: () => opened.count--,
        select: async (requests: unknown[], control: LimitedQueryControl) => {
          control.addBytes(ownBytes);
          return requests.map(() => ({ series: [] }));
        },
      };
    },
  };
  const main = new RpcPeer<ClusterReadHandlers>(workerEnd);
  const options = { reader: reader as unknown as Reader, main, readIds: new ReadIds(), callId: 1 };
  return { session: new ClusterSession(options), opened };
}

const selection = { fromMs: 0, toMs: 9, wanted: new Uint8Array() };
const segment = { fromMs: 0, toMs: 9, partitions: Uint8Array.of(1) };
const plan: ReadEvent = { kind: 'plan', selection, own: [segment], others: [], shared: [] };
const end: ReadEvent = { kind: 'end', warnings: [] };
const request = { matchers: [], startMs: 0, endMs: 9 };

test('an attempt that is given up gives back what it took', async () => {
  const { session, opened } = sessionOver([plan, plan, plan, plan, end]);
  const control = new LimitedQueryControl({ bytesMax: 2 * ownBytes - 1 });
  assert.deepEqual(await session.select([request], control), [{ series: [] }]);
  assert.equal(opened.count, 1);
  assert.throws(() => control.addBytes(ownBytes), { code: 'QUERY_TOO_MUCH_MEMORY' });
  session.close();
  assert.equal(opened.count, 0);
});

test('a read that fails, and one that comes to its plan when the query is over, leave no state of the storage behind', async () => {
  const failing = sessionOver([plan, Promise.reject(new TimbalaError('READ_UNSETTLED', 'of late'))]);
  await assert.rejects(failing.session.select([request], new LimitedQueryControl()), { code: 'READ_UNSETTLED' });
  assert.equal(failing.opened.count, 0);

  const { promise: late, resolve: goOn } = Promise.withResolvers<ReadEvent>();
  const { session, opened } = sessionOver([late, end]);
  const selected = session.select([request], new LimitedQueryControl());
  session.close();
  goOn(plan);
  await assert.rejects(selected, { code: 'QUERY_CANCELLED' });
  assert.equal(opened.count, 0);
});

test('what others hold counts against the memory of the query, labels included', async () => {
  const seriesCount = 100;
  const writer = new SampleFrameWriter();
  const samples = new SampleBuffer();
  samples.reserve(1);
  samples.count = 1;
  for (let i = 0; i < seriesCount; i++)
    writer.add(0, encodeLabels(Labels.of({ i: `${i}`.padStart(3, '0') })), samples, 0);
  const frame = writer.take();
  const events: ReadEvent[] = [
    { ...plan, own: [], others: ['b'] },
    { kind: 'frame', from: 'b', isShared: false, frame },
    end,
  ];
  const enough = new LimitedQueryControl({ bytesMax: frame.length + 1000 * seriesCount });
  const [selected] = await sessionOver([...events]).session.select([request], enough);
  assert.equal(selected?.series.length, seriesCount);
  const tooLittle = new LimitedQueryControl({ bytesMax: frame.length + 300 * seriesCount });
  await assert.rejects(sessionOver(events).session.select([request], tooLittle), { code: 'QUERY_TOO_MUCH_MEMORY' });
});
