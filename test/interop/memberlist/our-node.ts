// A node of ours for the interoperability test, in a process of its own so that it can be killed: the same lines and commands
// as main.go has. Usage: our-node.ts NAME HOST PORT KEY|- JOIN-HOST:PORT|-
import { createInterface } from 'node:readline';
import { Gossiper, Keyring } from '../../../src/cluster/index.ts';
import { NodeAesGcm, NodeNetwork, SystemClock, SystemRandom } from '../../../src/node/index.ts';
import type { Log } from '../../../src/ports/index.ts';

const [name = '', host = '', port = '0', key = '-', join = '-'] = process.argv.slice(2);
const report = (line: Record<string, unknown>): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};
const logged = (level: string) => (event: string, fields?: unknown) =>
  void process.stderr.write(`${level} ${event} ${JSON.stringify(fields)}\n`);
const log: Log = {
  debug: logged('debug'),
  info: logged('info'),
  warn: logged('warn'),
  error: logged('error'),
  child: () => log,
};
const metaText = (metadata: Uint8Array): string => Buffer.from(metadata).toString();
const random = new SystemRandom();
const node = await Gossiper.start(
  { clock: new SystemClock(), network: new NodeNetwork(), random, log },
  {
    name,
    bind: { host, port: Number(port) },
    metadata: Buffer.from(`meta of ${name}`),
    ...(key === '-' ? {} : { keyring: new Keyring(new NodeAesGcm(), random, [Buffer.from(key, 'hex')]) }),
    // As in main.go.
    timing: { probeIntervalMs: 200, probeTimeoutMs: 100, gossipIntervalMs: 50, pushPullIntervalMs: 1_000 },
    onMember: (change, member) => report({ event: change, node: member.name, meta: metaText(member.metadata) }),
  },
);
report({ event: 'ready', node: name, port: node.advertised.port });
if (join !== '-') {
  const [joinHost = '', joinPort = ''] = join.split(':');
  const reached = await node.join([{ host: joinHost, port: Number(joinPort) }]);
  report({ event: reached === 1 ? 'joined-cluster' : 'join-failed' });
}
for await (const line of createInterface(process.stdin)) {
  const [command = '', argument = ''] = line.split(' ', 2);
  if (command === 'members') {
    const members = node.members();
    report({ event: 'members', members: Object.fromEntries(members.map((m) => [m.name, metaText(m.metadata)])) });
  }
  if (command === 'update') node.setMetadata(Buffer.from(argument));
  if (command === 'leave') {
    await node.leave(5_000);
    report({ event: 'leave-done' });
  }
}
node.stop();
