// The servers under comparison: this repository's node, and the peers whose binaries are found. Each run starts them on
// fresh directories.
import { type LaunchOptions } from '../test/support/processes.ts';
import {
  findProgram,
  prometheusLaunch,
  type ServerOptions,
  timbalaLaunch,
  victoriaMetricsLaunch,
} from '../test/support/servers.ts';

export type PeerName = 'timbala' | 'prometheus' | 'victoriametrics';

export interface Peer {
  readonly name: PeerName;
  launch(options: ServerOptions): Promise<LaunchOptions>;
  /** Makes the server write out what it holds in memory, where it has a way to be told. */
  flush?(url: string): Promise<void>;
  /** Brings the data on disk into its final form; may go on in the background when it returns. */
  compact(url: string): Promise<void>;
  /** Whether it replays a log of acknowledged samples after a crash. */
  readonly keepsLog: boolean;
  /** Sizes are of files below the run's directory: those of values and timestamps alone, and all that make them findable. */
  readonly disk: { readonly samples: (path: string) => boolean; readonly withIndex: (path: string) => boolean };
}

async function post(url: string): Promise<void> {
  const response = await fetch(url, { method: 'POST' });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`);
}

const timbala: Peer = {
  name: 'timbala',
  keepsLog: true,
  launch: timbalaLaunch,
  flush: (url) => post(`${url}/internal/flush`),
  async compact(url) {
    await post(`${url}/internal/flush`);
    await post(`${url}/internal/compact`);
  },
  disk: {
    samples: (path) => /^data\/parts\/.*\/pages$/.test(path),
    withIndex: (path) => path.startsWith('data/parts/'),
  },
};

const prometheus = (binary: string): Peer => ({
  name: 'prometheus',
  keepsLog: true,
  launch: (options) => prometheusLaunch({ ...options, binary }),
  compact: (url) => post(`${url}/api/v1/admin/tsdb/snapshot`),
  disk: {
    samples: (path) => /^data\/snapshots\/.*\/chunks\//.test(path),
    withIndex: (path) => path.startsWith('data/snapshots/'),
  },
});

const victoriaMetrics = (binary: string): Peer => ({
  name: 'victoriametrics',
  keepsLog: false,
  launch: (options) => victoriaMetricsLaunch({ ...options, binary }),
  flush: (url) => post(`${url}/internal/force_flush`),
  async compact(url) {
    await post(`${url}/internal/force_flush`);
    await post(`${url}/internal/force_merge`);
  },
  disk: {
    samples: (path) => /^data\/data\/(?:small|big)\/.*\/(?:values|timestamps)\.bin$/.test(path),
    withIndex: (path) => path.startsWith('data/data/'),
  },
});

export interface PeerChoice {
  /** Paths or names on PATH. */
  readonly prometheus: string;
  readonly victoriaMetrics: string;
  /** Only these, where given. */
  readonly only: readonly string[];
}

/** Our node and every peer that is found; a missing one is named loudly, since its columns will be missing too. */
export function findPeers(choice: PeerChoice): Peer[] {
  const peers: Peer[] = [];
  const wanted = (name: PeerName): boolean => choice.only.length === 0 || choice.only.includes(name);
  if (wanted('timbala')) peers.push(timbala);
  const binaries = [
    ['victoriametrics', choice.victoriaMetrics, victoriaMetrics],
    ['prometheus', choice.prometheus, prometheus],
  ] as const;
  for (const [name, program, make] of binaries) {
    if (!wanted(name)) continue;
    const binary = findProgram(program);
    if (binary) peers.push(make(binary));
    else console.error(`SKIPPED: ${name}: no program ${program}; put it on PATH or name it by --${name}=PATH`);
  }
  return peers;
}
