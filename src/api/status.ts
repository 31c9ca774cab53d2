// The small answers that main gives itself: health, build and runtime information, flags, configuration, metadata.
import type { HttpAnswer, HttpHandler } from '../ports/index.ts';
import type { MetricMetadata } from '../storage/index.ts';
import { errorAnswer, successAnswer, toApiError } from './errors.ts';
import { Parameters } from './parameters.ts';

/**
 * The Prometheus whose HTTP API and PromQL are answered. Grafana and others read `version` to learn what they may ask for, so
 * it can't be Timbala's own.
 */
export const prometheusVersion = '3.16.0';

const plainText = { 'content-type': 'text/plain; charset=utf-8' };

export const healthyHandler: HttpHandler = () => ({ status: 200, headers: plainText, body: 'Timbala is healthy.\n' });

export function readyHandler(isReady: () => boolean): HttpHandler {
  return () =>
    isReady()
      ? { status: 200, headers: plainText, body: 'Timbala is ready.\n' }
      : {
          status: 503,
          headers: plainText,
          body: 'Not ready: the log of earlier runs is being read, or this node is no active member of its cluster yet.\n',
        };
}

export function buildInfoHandler(timbalaVersion: string, runtimeVersion: string): HttpHandler {
  return () =>
    successAnswer({
      version: prometheusVersion,
      revision: '',
      branch: '',
      buildUser: '',
      buildDate: '',
      // Clients that know Prometheus expect the field; the runtime is Node.
      goVersion: runtimeVersion,
      timbalaVersion,
    });
}

export interface RuntimeInfo {
  readonly startMs: number;
  readonly nowMs: number;
  readonly workingDirectory: string;
  readonly hostName: string;
  readonly corruptionsCount: number;
  readonly threadsCount: number;
  readonly retention: string;
}

export function runtimeInfoHandler(info: () => RuntimeInfo): HttpHandler {
  return () => {
    const { startMs, nowMs, workingDirectory, hostName, corruptionsCount, threadsCount, retention } = info();
    return successAnswer({
      startTime: new Date(startMs).toISOString(),
      CWD: workingDirectory,
      hostname: hostName,
      serverTime: new Date(nowMs).toISOString(),
      reloadConfigSuccess: true,
      lastConfigTime: new Date(startMs).toISOString(),
      corruptionCount: corruptionsCount,
      goroutineCount: threadsCount,
      GOMAXPROCS: threadsCount,
      storageRetention: retention,
    });
  };
}

export function flagsHandler(flags: Readonly<Record<string, string>>): HttpHandler {
  return () => successAnswer(flags);
}

/** There is no configuration file: the options, as YAML. */
export function configHandler(flags: Readonly<Record<string, string>>): HttpHandler {
  const yaml = Object.entries(flags).map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`);
  return () => successAnswer({ yaml: yaml.join('') });
}

/** There are none of these here, which is an answer, too: Grafana asks every Prometheus for them. */
export const rulesHandler: HttpHandler = () => successAnswer({ groups: [] });
export const alertsHandler: HttpHandler = () => successAnswer({ alerts: [] });
export const exemplarsHandler: HttpHandler = () => successAnswer([]);

/** `read`: metadata of one metric, or of all. */
export function metadataHandler(read: (metric: string | undefined) => Promise<readonly MetricMetadata[]>): HttpHandler {
  return async (request): Promise<HttpAnswer> => {
    try {
      const parameters = new Parameters(request.queryText);
      const limit = parameters.integer('limit', -1, 'limit must be a number');
      const perMetricMax = parameters.integer('limit_per_metric', -1, 'limit_per_metric must be a number');
      const byMetric = new Map<string, { type: string; unit: string; help: string }[]>();
      for (const { metric, type, help, unit } of await read(parameters.get('metric') || undefined)) {
        let entries = byMetric.get(metric);
        if (!entries) {
          if (limit >= 0 && byMetric.size >= limit) break;
          entries = [];
          byMetric.set(metric, entries);
        }
        if (perMetricMax <= 0 || entries.length < perMetricMax) entries.push({ type, unit, help });
      }
      return successAnswer(Object.fromEntries(byMetric));
    } catch (error) {
      return errorAnswer(toApiError(error));
    }
  };
}
