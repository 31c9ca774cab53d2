// A real Prometheus that scrapes itself and the nodes every second and writes what it sees to two of them. In the end each member has
// to answer for its samples exactly as Prometheus does, whatever happened to the nodes meanwhile.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dataDifference } from '../support/compare-answers.ts';
import type { ServerProcess } from '../support/processes.ts';
import { PrometheusApi } from '../support/prometheus-api.ts';
import { findPrometheus, startPrometheus } from '../support/servers.ts';
import type { Fleet, FleetNode } from './fleet.ts';
import type { Journal } from './journal.ts';

const catchUpMs = 60_000;
const pollMs = 1_000;

function configFor(nodes: readonly FleetNode[]): string {
  const targets = nodes.map(({ url }) => `'${url.slice('http://'.length)}'`);
  return [
    'global: { scrape_interval: 1s, scrape_timeout: 1s }',
    'scrape_configs:',
    '- job_name: nodes',
    `  static_configs: [{ targets: [${targets.join(', ')}] }]`,
    // Every series is a partition to be handed over; a hundred a node show what thousands would.
    "  metric_relabel_configs: [{ source_labels: [__name__], regex: 'process_.*|timbala_[a-h].*', action: keep }]",
    'remote_write:',
    ...nodes.slice(0, 2).map(({ url }) => `- { url: '${url}/api/v1/write', queue_config: { max_backoff: 1s } }`),
    '',
  ].join('\n');
}

export class Scraper {
  readonly #process: ServerProcess;
  readonly #startedMs = Date.now();

  private constructor(process: ServerProcess) {
    this.#process = process;
  }

  /** Undefined where no Prometheus is installed. */
  static async start(root: string, nodes: readonly FleetNode[]): Promise<Scraper | undefined> {
    const prometheus = findPrometheus(2);
    if (!prometheus) return undefined;
    const directory = join(root, 'prometheus');
    return new Scraper(await startPrometheus({ binary: prometheus.path, directory, config: configFor(nodes) }));
  }

  /** Compares all samples of its series from its start until a moment ago, at every member. */
  async verify(fleet: Fleet, journal: Journal): Promise<void> {
    const timeMs = Date.now() - 2 * pollMs;
    const query = `{job="nodes",__name__=~"up|scrape_.*|process_.*|timbala_.*"}[${timeMs - this.#startedMs}ms]`;
    const theirs = (await new PrometheusApi(this.#process.url).query({ query, timeMs })).data;
    if (theirs?.resultType !== 'matrix') throw new Error(`Prometheus did not answer ${query}`);
    const samplesCount = theirs.result.reduce((sum, { values }) => sum + values.length, 0);
    for (const node of fleet.members) {
      const api = new PrometheusApi(node.url);
      let difference: string | undefined;
      // Its queue may still hold some.
      for (let waitedMs = 0; waitedMs < catchUpMs; waitedMs += pollMs) {
        const { data, error } = await api.query({ query, timeMs });
        difference = data ? dataDifference(data, theirs, 0) : error;
        if (difference === undefined) break;
        await sleep(pollMs);
      }
      if (difference) journal.violated(`${node.name} differs from Prometheus: ${difference.slice(0, 500)}`);
    }
    journal.note(`${samplesCount} samples of Prometheus compared at each of ${fleet.members.length} nodes`);
  }

  async stop(): Promise<void> {
    await this.#process.stop();
  }
}
