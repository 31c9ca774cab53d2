// A node's gossip in a process of its own, its worker a real thread, whose main thread can be kept busy. Test-only.
import { GossipClient } from './gossip-client.ts';
import { SystemClock, ThreadWorkers } from '../node/index.ts';
import { TestLog } from './test-node.ts';

const [name = '', seedPort = '0'] = process.argv.slice(2);
const workers = new ThreadWorkers(new URL('../cli/worker.ts', import.meta.url));
const host = '127.0.0.1';
const client = await GossipClient.start(
  { workers, clock: new SystemClock(), log: new TestLog() },
  {
    logLevel: 'error',
    name,
    bind: { host, port: 0 },
    advertise: { host, port: 0 },
    keys: [],
    peers: [{ host, port: Number(seedPort) }],
    metadata: { clusterId: '', recordHash: '', peerAddress: '', formats: {} },
  },
  () => undefined,
);
process.on('message', (busyMs: number) => {
  const untilMs = performance.now() + busyMs;
  while (performance.now() < untilMs);
  process.send?.('free again');
});
process.on('disconnect', () => process.exit());
process.send?.(client.address.port);
