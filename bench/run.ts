// What all benchmarks share: options, the servers, and a directory per run that is removed when it ends.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { removeDirectory, ServerProcess } from '../test/support/processes.ts';
import { hourMs } from '../src/base/index.ts';
import { type Peer } from './peers.ts';
import { median, type Row } from './report.ts';

export interface BenchOptions {
  readonly peers: readonly Peer[];
  /** Below it, each server gets a fresh directory for each round. */
  readonly workDirectory: string;
  readonly seed: number;
  /** 1: the sizes of the published table; 0.1: a tenth of the series or scrapes, for a quick look. */
  readonly scale: number;
  readonly rounds: number;
  readonly connections: number;
  readonly captureFile: string;
}

/** Loads end at the last full hour: as a server in use sees them, neither in the future nor backfilled. */
export function loadEndMs(): number {
  return Math.floor(Date.now() / hourMs) * hourMs;
}

export function scaled(count: number, scale: number): number {
  return Math.max(1, Math.round(count * scale));
}

/** A server on a fresh directory for as long as `use` runs. */
export async function withServer<Result>(
  options: BenchOptions,
  peer: Peer,
  use: (server: ServerProcess, directory: string) => Promise<Result>,
): Promise<Result> {
  const directory = join(options.workDirectory, peer.name);
  removeDirectory(directory);
  mkdirSync(directory, { recursive: true });
  const server = await ServerProcess.start(await peer.launch({ directory }));
  try {
    return await use(server, directory);
  } finally {
    await server.kill();
    removeDirectory(directory);
  }
}

/** Figures of several rounds, gathered by measurement and server, for a table of medians. */
export class Measurements {
  readonly #rows = new Map<string, { readonly unit: string; readonly byServer: Map<string, number[]> }>();

  add(what: string, unit: string, server: string, value: number): void {
    const row = this.#rows.get(what) ?? { unit, byServer: new Map<string, number[]>() };
    this.#rows.set(what, row);
    row.byServer.set(server, [...(row.byServer.get(server) ?? []), value]);
  }

  /** In the order in which measurements were first added. */
  rows(): Row[] {
    return [...this.#rows].map(([what, { unit, byServer }]) => ({
      what,
      unit,
      figures: new Map([...byServer].map(([server, values]) => [server, median(values)])),
    }));
  }
}
