import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteReader, ByteWriter, hasCode } from '../base/index.ts';
import type { PeerLinks, PeerWork } from './contracts.ts';
import { answerWithoutCluster, type Claimant, introduce, type Standing } from './introduction.ts';
import { replyHeader, requestHeader } from './messages.ts';

const work: PeerWork = { dueMs: 0, signal: new AbortController().signal };

/** Connections that lead back to whoever answers on them. */
function loop(): PeerLinks {
  const links: PeerLinks = {
    async request(_to, frame) {
      const reply = await links.onRequest?.('asker', { ...frame, samples: undefined }, work);
      assert.ok(reply);
      return { ...reply, samples: undefined };
    },
    onRequest: undefined,
    setAddresses: () => {},
  };
  return links;
}

function answering(standing: Standing): { links: PeerLinks; heard: (Claimant | undefined)[] } {
  const links = loop();
  const heard: (Claimant | undefined)[] = [];
  answerWithoutCluster(links, 's1', (claimant) => {
    heard.push(claimant);
    return standing;
  });
  return { links, heard };
}

test('a node of no cluster names itself and whom it asks', async () => {
  const { links, heard } = answering({ isRefusing: false, acquaintances: ['a:1', 'b:1'], formerCluster: 'c0' });
  assert.deepEqual(await introduce(links, 'n', 1), {
    store: 's1',
    record: undefined,
    acquaintances: ['a:1', 'b:1'],
    formerCluster: 'c0',
  });
  await introduce(links, 'n', 1, { store: 's2', address: 'c:1' });
  assert.deepEqual(heard, [undefined, { store: 's2', address: 'c:1' }]);
});

test('who is about to be of a cluster does not pass for one of none', async () => {
  const { links } = answering({ isRefusing: true, acquaintances: [], formerCluster: undefined });
  await assert.rejects(introduce(links, 'n', 1), (error) => hasCode(error, 'CLUSTER_FOUNDING'));
});

test('a question of a member, called by a name that it knows, is no claim', async () => {
  const { links, heard } = answering({ isRefusing: false, acquaintances: [], formerCluster: undefined });
  const writer = new ByteWriter();
  writer.string('hello');
  const sender = { clusterId: 'c1', store: 's2', recordHash: 'h', record: undefined, sentMs: 0, life: undefined };
  requestHeader.write(writer, sender);
  const reply = await links.request('n', { kind: 'hello', body: writer.copy() }, 1);
  const { code, record } = replyHeader.read(new ByteReader(reply.body));
  assert.deepEqual({ code, record }, { code: 'CLUSTER_NONE', record: undefined });
  assert.deepEqual(heard, [undefined]);
});
