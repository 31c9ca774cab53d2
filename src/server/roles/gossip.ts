// The gossip worker: membership in a thread of its own, so that long work on main can't make this node look dead.
import { errorMessage, RpcPeer, secondMs, TimbalaError } from '../../base/index.ts';
import { Gossiper, type GossipPeer, Keyring } from '../../cluster/index.ts';
import type { NetworkAddress } from '../../ports/index.ts';
import type { GossipHandlers, GossipListener, GossipStart } from '../gossip-protocol.ts';
import type { RoleContext, ThreadPorts } from './role.ts';

/** The own name may come to be known only when the machine's network is up. */
const resolveTriesMax = 30;

export async function startGossipRole({ start, channel, ports }: RoleContext): Promise<void> {
  const { name, bind, advertise, peers: seeds, keys, metadata } = start as GossipStart;
  const keyring = keys.length > 0 ? new Keyring(ports.cipher, ports.random, keys) : undefined;
  const starting = (async (): Promise<Gossiper> => {
    const advertised = await resolveOwn(ports, advertise);
    const everyHost = advertised.host.includes(':') ? '::' : '0.0.0.0';
    return Gossiper.start(ports, {
      name,
      bind: { host: bind.host || everyHost, port: bind.port },
      // Where the system chooses the port, others are told the one that it chose.
      ...(advertise.port > 0 ? { advertise: advertised } : {}),
      ...(keyring ? { keyring } : {}),
      metadata,
      onMember: (change, member) => main.notify('memberChanged', { change, member }),
    });
  })();
  const handlers: GossipHandlers = {
    started: async () => (await starting).advertised,
    setMetadata: async (changed) => (await starting).setMetadata(changed),
    setPeers: async (peers) => (await starting).setPeers([...seeds, ...peers]),
    setKeys: async (changed) => {
      if (!keyring) throw new TimbalaError('GOSSIP_KEY', 'gossip was started without keys; start the node with them');
      keyring.replace(changed);
    },
    status: async () => (await starting).status(),
    leave: async ({ timeoutMs }) => (await starting).leave(timeoutMs),
    close: async () => (await starting.catch(() => undefined))?.stop(),
  };
  const main = new RpcPeer<GossipListener>(channel, handlers);
  // A failure is main's to report: `started` tells it.
  const gossiper = await starting.catch(() => undefined);
  if (gossiper && seeds.length > 0) void gossiper.join(seeds);
}

/** The IP address of this node that others are told. Throws GOSSIP_ADDRESS. */
async function resolveOwn({ network, clock, log }: ThreadPorts, own: GossipPeer): Promise<NetworkAddress> {
  for (let tries = 1; ; tries++) {
    try {
      const hosts = await network.resolve(own.host);
      // IPv4 where there are both, and none that only this machine can reach where there is another.
      const host = hosts.toSorted((a, b) => rankOf(a) - rankOf(b))[0] ?? own.host;
      if (host !== own.host && isLoopback(host))
        log.warn('gossip-advertises-loopback', { host: own.host, address: host });
      return { host, port: own.port };
    } catch (error) {
      const text = `${own.host} has no address: ${errorMessage(error)}; say with --gossip-advertise-addr where others reach us`;
      if (tries === resolveTriesMax) throw new TimbalaError('GOSSIP_ADDRESS', text, { cause: error });
      if (tries === 1) log.warn('gossip-address-unknown', { host: own.host, error: errorMessage(error) });
      await new Promise<void>((resolve) => clock.setTimer(secondMs, resolve));
    }
  }
}

const isLoopback = (host: string): boolean => host.startsWith('127.') || host === '::1';
const rankOf = (host: string): number => (isLoopback(host) ? 2 : 0) + (host.includes(':') ? 1 : 0);
