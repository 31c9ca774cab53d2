// What a benchmark prints: a markdown table whose figures are medians over interleaved rounds, with ratios between servers
// of one run (absolute figures drift with the machine), and the machine it ran on.
import { cpus, totalmem } from 'node:os';

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Three significant digits, without an exponent. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toPrecision(3);
}

export interface Row {
  readonly what: string;
  readonly unit: string;
  /** By server; a server that could not be measured is missing. */
  readonly figures: ReadonlyMap<string, number>;
}

/** A table with a column a server, and our figure divided by each peer's. */
export function ratioTable(servers: readonly string[], rows: readonly Row[], ours = 'timbala'): string {
  const peers = servers.filter((server) => server !== ours);
  const ratios = servers.includes(ours) ? peers : [];
  const header = ['measurement', 'unit', ...servers, ...ratios.map((peer) => `${ours} / ${peer}`)];
  const lines = rows.map(({ what, unit, figures }) => {
    const value = (server: string): number => figures.get(server) ?? Number.NaN;
    const cells = servers.map((server) => figure(value(server)));
    const ratioCells = ratios.map((peer) => {
      const ratio = value(ours) / value(peer);
      return Number.isFinite(ratio) ? `${figure(ratio)} ×` : '–';
    });
    return [what, unit, ...cells, ...ratioCells];
  });
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...lines.map(line)].join('\n');
}

export function machine(): string {
  const processors = cpus();
  const memoryGib = Math.round(totalmem() / 2 ** 30);
  return `${processors.length} × ${processors[0]?.model ?? 'unknown processor'}, ${memoryGib} GiB, Node ${process.versions.node}`;
}

/** Progress goes to standard error: standard output holds the tables only. */
export function progress(text: string): void {
  console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);
}
