// The HTTP interface of a node: which path is answered by what.
import {
  alertsHandler,
  type ApiCall,
  buildInfoHandler,
  type DeleteSeriesDependencies,
  deleteSeriesHandler,
  type ClusterControl,
  clusterStatusHandler,
  configHandler,
  decommissionHandler,
  exemplarsHandler,
  flagsHandler,
  healthyHandler,
  metadataHandler,
  readyHandler,
  removeHandler,
  rulesHandler,
  type RuntimeInfo,
  runtimeInfoHandler,
  writeHandler,
  type WriteQueue,
} from '../api/index.ts';
import { errorMessage } from '../base/index.ts';
import type { HttpHandler, HttpRoute } from '../ports/index.ts';
import type { MetricMetadata } from '../storage/index.ts';
import { chunkedBodyReserveBytes, writeBodyBytesMax, writeRetryAfterSeconds } from './limits.ts';
import { expositionContentType, expositionText } from './metrics/exposition.ts';
import type { NodeMetrics } from './metrics/node-metrics.ts';
import type { MetricFamily } from './metrics/registry.ts';
import type { QueryPool } from './query-pool.ts';

export interface RouteDependencies {
  readonly queue: WriteQueue;
  readonly queries: QueryPool;
  readonly metrics: NodeMetrics;
  readonly version: string;
  readonly runtimeVersion: string;
  readonly flags: Readonly<Record<string, string>>;
  isReady(): boolean;
  collect(): Promise<readonly MetricFamily[]>;
  runtimeInfo(): RuntimeInfo;
  metadata(metric: string | undefined): Promise<readonly MetricMetadata[]>;
  readonly cluster: ClusterControl;
  deleteSeries: DeleteSeriesDependencies['deleteSeries'];
  nowMs(): number;
  /** Writes the head to parts. */
  flush(): Promise<void>;
  /** Merges parts until nothing is left to merge. */
  compact(): Promise<void>;
}

const getPost = ['GET', 'POST'];
const get = ['GET'];
const getHead = ['GET', 'HEAD'];

export function nodeRoutes(dependencies: RouteDependencies): HttpRoute[] {
  const { queue, queries, metrics, flags } = dependencies;
  const routes: HttpRoute[] = [];
  const add = (methods: readonly string[], path: string, handler: HttpHandler): void => {
    routes.push({ methods: [...methods, 'OPTIONS'], path, handler: withCors(metrics.instrument(path, handler)) });
  };
  const addQuery = (methods: readonly string[], path: string, endpoint: ApiCall['endpoint']): void =>
    add(methods, path, (request) => queries.answer(request, endpoint));

  const limits = {
    bodyBytesMax: writeBodyBytesMax,
    chunkedBodyReserveBytes,
    retryAfterSeconds: writeRetryAfterSeconds,
  };
  const write = writeHandler(queue, limits, (code) => metrics.countWriteRefusal(code));
  add(['POST'], '/api/v1/write', write);
  add(['POST'], '/write', write);

  addQuery(getPost, '/api/v1/query', 'query');
  addQuery(getPost, '/api/v1/query_range', 'query_range');
  addQuery(getPost, '/api/v1/series', 'series');
  addQuery(getPost, '/api/v1/labels', 'labels');
  addQuery(get, '/api/v1/label/:name/values', 'label_values');
  addQuery(getPost, '/api/v1/format_query', 'format_query');
  addQuery(getPost, '/api/v1/parse_query', 'parse_query');
  addQuery(get, '/api/v1/status/tsdb', 'tsdb');

  add(getPost, '/api/v1/query_exemplars', exemplarsHandler);
  add(get, '/api/v1/rules', rulesHandler);
  add(get, '/api/v1/alerts', alertsHandler);
  add(get, '/api/v1/metadata', metadataHandler(dependencies.metadata));
  add(get, '/api/v1/status/buildinfo', buildInfoHandler(dependencies.version, dependencies.runtimeVersion));
  add(get, '/api/v1/status/runtimeinfo', runtimeInfoHandler(dependencies.runtimeInfo));
  add(get, '/api/v1/status/flags', flagsHandler(flags));
  add(get, '/api/v1/status/config', configHandler(flags));

  add(get, '/api/v1/status/cluster', clusterStatusHandler(dependencies.cluster));
  const { deleteSeries, nowMs } = dependencies;
  add(['POST', 'PUT'], '/api/v1/admin/tsdb/delete_series', deleteSeriesHandler({ frontEnd, deleteSeries, nowMs }));
  add(['POST'], '/api/v1/admin/cluster/decommission', decommissionHandler(dependencies.cluster));
  add(['POST'], '/api/v1/admin/cluster/remove', removeHandler(dependencies.cluster));

  add(getHead, '/-/healthy', healthyHandler);
  add(getHead, '/-/ready', readyHandler(dependencies.isReady));
  add(getHead, '/metrics', async () => ({
    status: 200,
    headers: { 'content-type': expositionContentType },
    body: expositionText(await dependencies.collect()),
  }));
  add(['POST'], '/internal/flush', maintenance(dependencies.flush));
  add(['POST'], '/internal/compact', maintenance(dependencies.compact));
  return routes;
}

/** Main evaluates no queries, and most nodes never delete anything. */
async function frontEnd(): ReturnType<DeleteSeriesDependencies['frontEnd']> {
  const [parse, numbers] = await Promise.all([
    import('../promql/parse/index.ts'),
    import('../promql/numbers/index.ts'),
  ]);
  return { parse, numbers };
}

/** For tests and benchmarks, which can't wait until the node does it by itself. */
function maintenance(run: () => Promise<void>): HttpHandler {
  return async () => {
    try {
      await run();
      return { status: 204, headers: {} };
    } catch (error) {
      return {
        status: 500,
        headers: { 'content-type': 'text/plain; charset=utf-8' },
        body: `${errorMessage(error)}\n`,
      };
    }
  };
}

/** Answers pages of other origins as Prometheus does with its default --web.cors.origin. */
function withCors(handler: HttpHandler): HttpHandler {
  return async (request) => {
    const answer = request.method === 'OPTIONS' ? { status: 204, headers: {} } : await handler(request);
    const origin = request.header('origin');
    if (origin === undefined) return answer;
    const vary = [answer.headers['vary'], 'origin'].filter(Boolean).join(', ');
    return {
      ...answer,
      headers: {
        ...answer.headers,
        'access-control-allow-origin': origin,
        'access-control-allow-headers': 'Accept, Authorization, Content-Type, Origin',
        'access-control-allow-methods': 'GET, POST, OPTIONS',
        'access-control-expose-headers': 'Date',
        vary,
      },
    };
  };
}
