// What a node is started with, checked. The command line and the environment give text by option name; tests may give the
// same.
import type { z } from 'zod';
import { TimbalaError } from '../base/index.ts';
import { type HostPort, type OptionName, optionNames, options, type RetentionOption } from './options.ts';

/** Given where the node is a member of a cluster, or founds one (docs/decisions/0013). */
export interface ClusterConfig {
  readonly gossipBind: HostPort;
  /** Where others reach gossip; the peer protocol has the port above. */
  readonly gossipAdvertise: HostPort;
  /** Gossip addresses where the cluster may be found; none: this node founds one. */
  readonly peers: readonly HostPort[];
  readonly zone: string;
  /** Undefined: gossip goes in plain. */
  readonly gossipKeyFile: string | undefined;
  /** Undefined: peers are spoken to in plain. */
  readonly peerTls: PeerTlsFiles | undefined;
}

/** Paths of files in PEM. */
export interface PeerTlsFiles {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

export interface NodeConfig {
  readonly dataDirectory: string;
  readonly httpBind: HostPort;
  /** The `instance` label of the node's own metrics. */
  readonly httpAdvertise: HostPort;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  readonly retention: RetentionOption;
  /** Undefined: a node on its own, which opens no port for others. */
  readonly cluster: ClusterConfig | undefined;
  /** What was given, as it was given, defaults left out: for /api/v1/status/flags. */
  readonly given: Readonly<Partial<Record<OptionName, string>>>;
}

/**
 * Throws OPTION_INVALID, naming the first bad option. Where no address to advertise is given and every interface is bound, it is
 * the one of `peers` that is among this machine's `ownAddresses`: others reach it there. Where there is none, it is `hostName`.
 */
export function parseConfig(
  given: Readonly<Partial<Record<OptionName, string>>>,
  hostName: string,
  ownAddresses: readonly string[] = [],
): NodeConfig {
  const parse = <Name extends OptionName>(name: Name): z.output<(typeof options)[Name]['schema']> => {
    const { schema, defaultText } = options[name];
    const text = given[name] ?? defaultText;
    const parsed = schema.safeParse(text);
    if (!parsed.success) {
      const reason = parsed.error.issues[0]?.message ?? 'invalid';
      throw new TimbalaError('OPTION_INVALID', `--${name} ${JSON.stringify(text)}: ${reason}`);
    }
    return parsed.data as z.output<(typeof options)[Name]['schema']>;
  };
  // All are checked, also those that a single node does not use: a mistake should not wait for the cluster to show.
  for (const name of optionNames) parse(name);
  const httpBind = parse('http-bind-addr');
  const gossipBind = parse('gossip-bind-addr');
  const peers = parse('peers');
  const self = peers.find(({ host, port }) => port === gossipBind.port && ownAddresses.includes(host));
  const peerTls = peerTlsFiles(parse('peer-tls-cert'), parse('peer-tls-key'), parse('peer-tls-ca'));
  const isClustered = peers.length > 0 || given['gossip-bind-addr'] !== undefined;
  return {
    dataDirectory: parse('data-directory'),
    httpBind,
    httpAdvertise: parse('http-advertise-addr') ?? { host: httpBind.host || hostName, port: httpBind.port },
    logLevel: parse('log-level'),
    retention: parse('retention'),
    cluster: isClustered
      ? {
          gossipBind,
          gossipAdvertise: parse('gossip-advertise-addr') ?? {
            host: gossipBind.host || (self?.host ?? hostName),
            port: gossipBind.port,
          },
          peers,
          zone: parse('zone'),
          gossipKeyFile: parse('gossip-key-file'),
          peerTls,
        }
      : undefined,
    given,
  };
}

/** Throws OPTION_INVALID where some are given: a node that takes part in plain is not what was meant then. */
function peerTlsFiles(
  certificate: string | undefined,
  key: string | undefined,
  authority: string | undefined,
): PeerTlsFiles | undefined {
  if (certificate !== undefined && key !== undefined && authority !== undefined) {
    return { certificate, key, authority };
  }
  if (certificate === undefined && key === undefined && authority === undefined) return undefined;
  throw new TimbalaError(
    'OPTION_INVALID',
    '--peer-tls-cert, --peer-tls-key and --peer-tls-ca: give all three, or none',
  );
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
