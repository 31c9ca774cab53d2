// The options of a node: their names, what they mean, and how their text becomes a value. The same table makes the help
// page, the names of environment variables and the check of what was given. A new option needs a decision record that
// says why no good constant exists.
import { z } from 'zod';
import { dayMs, gib, hourMs, kib, mib, minuteMs, secondMs, weekMs, yearMs } from '../base/index.ts';

export interface HostPort {
  /** '' means every interface. */
  readonly host: string;
  readonly port: number;
}

/** Samples are dropped once they are older than `timeMs`, or once parts and log need more than `sizeBytes`. */
export interface RetentionOption {
  readonly timeMs: number;
  readonly sizeBytes: number | undefined;
  /** False where only a size was given, and `timeMs` is the default. */
  readonly namesTime: boolean;
}

const retentionTimeDefaultMs = 10 * yearMs;

const durationUnitsMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: secondMs,
  m: minuteMs,
  h: hourMs,
  d: dayMs,
  w: weekMs,
  y: yearMs,
};
// As Prometheus has it: units of 1024, whether written KB or KiB.
const sizeUnitsBytes: Readonly<Record<string, number>> = {
  B: 1,
  K: kib,
  M: mib,
  G: gib,
  T: 1024 * gib,
  P: 1024 ** 2 * gib,
};

function parseDurationMs(text: string): number | undefined {
  if (!/^(?:\d+(?:ms|[smhdwy]))+$/.test(text)) return undefined;
  let totalMs = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|[smhdwy])/g)) {
    totalMs += Number(count) * (durationUnitsMs[unit ?? ''] ?? Number.NaN);
  }
  return totalMs;
}

function parseSizeBytes(text: string): number | undefined {
  const match = /^(\d+)([BKMGTP])(?:i?B)?$/.exec(text);
  return match ? Number(match[1]) * (sizeUnitsBytes[match[2] ?? ''] ?? Number.NaN) : undefined;
}

const retentionExpected = 'expected a time such as 10y, a size such as 500GB, or both as 10y,500GB';

function parseRetention(text: string, context: z.RefinementCtx): RetentionOption {
  const refuse = (expectation: string): never => {
    context.addIssue(expectation);
    return z.NEVER;
  };
  let timeMs: number | undefined;
  let sizeBytes: number | undefined;
  for (const part of text.split(',').map((each) => each.trim())) {
    const duration = parseDurationMs(part);
    const size = parseSizeBytes(part);
    const isRepeated =
      (duration !== undefined && timeMs !== undefined) || (size !== undefined && sizeBytes !== undefined);
    if ((duration === undefined && size === undefined) || isRepeated) return refuse(retentionExpected);
    timeMs ??= duration;
    sizeBytes ??= size;
  }
  if (timeMs !== undefined && timeMs < 2 * hourMs) {
    return refuse('the time must be at least 2h, the width of the smallest part');
  }
  if (sizeBytes !== undefined && sizeBytes < gib) return refuse('the size must be at least 1GB');
  return { timeMs: timeMs ?? retentionTimeDefaultMs, sizeBytes, namesTime: timeMs !== undefined };
}

function parseHostPort(text: string, context: z.RefinementCtx): HostPort {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]*):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (!match || port > 65535) {
    context.addIssue('expected HOST:PORT, [IPV6]:PORT or :PORT for every interface');
    return z.NEVER;
  }
  return { host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port };
}

/** memberlist's default. */
const gossipPortDefault = 7946;
const peerPortExpected = 'expected a port from 1 to 65534: the port above it is taken for samples and queries';

/** Whether there is a port above for the peer protocol. */
function hasPeerPort({ port }: HostPort): boolean {
  return port > 0 && port < 65_535;
}

function parsePeers(text: string, context: z.RefinementCtx): HostPort[] {
  const peers: HostPort[] = [];
  for (const part of text.split(',').map((each) => each.trim())) {
    if (part === '') continue;
    const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+)(?::(\d{1,5}))?$/.exec(part);
    const peer = { host: (match?.[1] ?? '').replace(/^\[|\]$/g, ''), port: Number(match?.[2] ?? gossipPortDefault) };
    if (!match || !hasPeerPort(peer)) {
      context.addIssue(`${JSON.stringify(part)}: expected HOST or HOST:PORT or [IPV6]:PORT, several with commas`);
      return z.NEVER;
    }
    peers.push(peer);
  }
  return peers;
}

const hostPort = z.string().transform(parseHostPort);
/** '' where it is not given. */
const optionalHostPort = z.union([z.literal('').transform(() => undefined), hostPort]);

/** '' where it is not given. */
const optionalPath = z.string().transform((path) => (path === '' ? undefined : path));

interface OptionDescription {
  /** From the option's text to its value. */
  readonly schema: z.ZodType<unknown, string>;
  readonly placeholder: string;
  readonly defaultText: string;
  readonly help: string;
}

export const options = {
  'data-directory': {
    schema: z.string().min(1, 'a directory is needed'),
    placeholder: 'DIRECTORY',
    defaultText: 'data',
    help: 'where samples are kept; made if missing',
  },
  'http-bind-addr': {
    schema: hostPort,
    placeholder: 'HOST:PORT',
    defaultText: ':9080',
    help: 'address of the HTTP API; without a host, every interface',
  },
  'http-advertise-addr': {
    schema: optionalHostPort,
    placeholder: 'HOST:PORT',
    defaultText: '',
    help: 'address under which others reach the HTTP API, and the instance label of the own metrics; the host name if not given',
  },
  'gossip-bind-addr': {
    schema: hostPort.refine(hasPeerPort, peerPortExpected),
    placeholder: 'HOST:PORT',
    defaultText: `:${gossipPortDefault}`,
    help: 'address for gossip between nodes, UDP and TCP; peers use the TCP port above it. Without --peers it founds a cluster',
  },
  'gossip-advertise-addr': {
    schema: z.union([z.literal('').transform(() => undefined), hostPort.refine(hasPeerPort, peerPortExpected)]),
    placeholder: 'HOST:PORT',
    defaultText: '',
    help: 'where others reach it, and what it is called from then on; else the bound address, the own one of --peers, or the host name',
  },
  peers: {
    schema: z.string().transform(parsePeers),
    placeholder: 'HOST[:PORT],…',
    defaultText: '',
    help: `gossip addresses of the nodes of a cluster, which may include the own one; port ${gossipPortDefault} if none is given`,
  },
  zone: {
    schema: z.string(),
    placeholder: 'NAME',
    defaultText: '',
    help: 'failure zone of this node, such as a rack: copies are kept in different ones. Fixed when it joins',
  },
  'gossip-key-file': {
    schema: optionalPath,
    placeholder: 'FILE',
    defaultText: '',
    help: 'keys that encrypt gossip, one a line in base64: the first encrypts, all decrypt. Read again on SIGHUP',
  },
  'peer-tls-cert': {
    schema: optionalPath,
    placeholder: 'FILE',
    defaultText: '',
    help: "certificate (PEM) for the host in this node's name: peers then speak TLS, and show theirs. Needs the next two",
  },
  'peer-tls-key': {
    schema: optionalPath,
    placeholder: 'FILE',
    defaultText: '',
    help: 'key (PEM) of the certificate',
  },
  'peer-tls-ca': {
    schema: optionalPath,
    placeholder: 'FILE',
    defaultText: '',
    help: "certificate (PEM) of the authority that has signed all nodes' certificates",
  },
  'log-level': {
    schema: z.enum(['debug', 'info', 'warn', 'error'], 'expected debug, info, warn or error'),
    placeholder: 'LEVEL',
    defaultText: 'info',
    help: 'debug, info, warn or error',
  },
  retention: {
    schema: z.string().transform(parseRetention),
    placeholder: 'TIME,SIZE',
    defaultText: '10y',
    help: 'how long samples are kept, and how much disk they may take: 10y, 500GB or 10y,500GB',
  },
} as const satisfies Readonly<Record<string, OptionDescription>>;

export type OptionName = keyof typeof options;

export const optionNames = Object.keys(options) as OptionName[];

/** `--data-directory` is TIMBALA_DATA_DIRECTORY. */
export function environmentName(name: OptionName): string {
  return `TIMBALA_${name.toUpperCase().replaceAll('-', '_')}`;
}

/** Every option with its text, given or default, for the status pages. */
export function optionFlags(given: Readonly<Partial<Record<OptionName, string>>>): Record<string, string> {
  return Object.fromEntries(optionNames.map((name) => [name, given[name] ?? options[name].defaultText]));
}
