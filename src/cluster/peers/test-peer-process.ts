// A node with peer connections in a process of its own, to be stopped and killed by tests: answers with what it was sent, and
// tells its parent its port. Test-only.
import { NodeNetwork, SystemClock, SystemRandom } from '../../node/index.ts';
import { PeerConnections } from './index.ts';
import { echoOf, identityOf, silentLog, TestStore } from './test-peers.ts';

const [name = ''] = process.argv.slice(2);
const store = new TestStore(5_000);
const ports = { clock: new SystemClock(), network: new NodeNetwork(), random: new SystemRandom(), log: silentLog };
const peers = await PeerConnections.start(ports, {
  bind: { host: '127.0.0.1', port: 0 },
  store,
  identity: () => identityOf(name),
});
peers.onRequest = async (_from, frame) => echoOf(store, { ...frame, body: frame.body.subarray(0, 100) });
process.send?.(peers.address.port);
process.on('disconnect', () => process.exit());
