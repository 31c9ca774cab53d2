// Which metrics a node has. Main counts its HTTP requests; what the lane and the keeper count is asked of them at collection
// and rendered here, so that they know nothing of metrics.
import { secondMs } from '../../base/index.ts';
import type { Clock, HttpHandler, ProcessUsage } from '../../ports/index.ts';
import type { KeeperStatus, LaneStatus, ReplayReport } from '../../storage/index.ts';
import { type ClusterCollected, clusterFamilies } from './cluster-metrics.ts';
import { type Histogram, type Metric, type MetricFamily, type MetricType, Registry } from './registry.ts';

// From a cached status page to a query at its limit.
const requestSecondsBounds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120];

/** What is asked of the other threads at a collection; undefined where one did not answer. */
export interface CollectedStatus {
  /** Undefined where the node stands alone. */
  readonly cluster: ClusterCollected | undefined;
  readonly lane: LaneStatus | undefined;
  readonly keeper: KeeperStatus | undefined;
  readonly replay: ReplayReport | undefined;
  readonly usage: ProcessUsage;
  readonly isReady: boolean;
  readonly queriesActiveCount: number;
  readonly queriesWaitingCount: number;
  readonly queryWorkerRespawnsCount: number;
  readonly writeQueueBytes: number;
}

export class NodeMetrics {
  readonly #registry = new Registry();
  readonly #clock: Clock;
  readonly #startSeconds: number;
  readonly #requests: Metric;
  readonly #requestSeconds: Histogram;
  readonly #writeRefusals: Metric;

  constructor(clock: Clock, version: string) {
    this.#clock = clock;
    this.#startSeconds = clock.nowMs() / secondMs;
    this.#requests = this.#registry.counter('timbala_http_requests_total', 'HTTP requests answered.', [
      'handler',
      'code',
    ]);
    this.#requestSeconds = this.#registry.histogram(
      'timbala_http_request_duration_seconds',
      'Time from the head of an HTTP request to the head of its answer.',
      requestSecondsBounds,
      ['handler'],
    );
    this.#writeRefusals = this.#registry.counter(
      'timbala_write_refusals_total',
      'Write requests of which nothing was acknowledged, by the code of the answer.',
      ['code'],
    );
    const build = this.#registry.gauge('timbala_build_info', 'Always 1; the version is a label.', ['version']);
    build.set(1, version);
  }

  countWriteRefusal(code: string): void {
    this.#writeRefusals.add(1, code);
  }

  /** Counts and times what `handler` answers. */
  instrument(name: string, handler: HttpHandler): HttpHandler {
    return async (request) => {
      const startedMs = this.#clock.monotonicMs();
      let status = 500;
      try {
        const answer = await handler(request);
        ({ status } = answer);
        return answer;
      } finally {
        this.#requests.add(1, name, String(status));
        this.#requestSeconds.observe((this.#clock.monotonicMs() - startedMs) / secondMs, name);
      }
    };
  }

  families(collected: CollectedStatus): MetricFamily[] {
    const { cluster, lane, keeper, replay } = collected;
    return [
      ...this.#registry.families(),
      ...this.#mainFamilies(collected),
      ...(lane ? laneFamilies(lane) : []),
      ...(keeper ? keeperFamilies(keeper) : []),
      ...(replay ? replayFamilies(replay) : []),
      ...(cluster ? clusterFamilies(cluster) : []),
    ];
  }

  #mainFamilies(collected: CollectedStatus): MetricFamily[] {
    const { usage } = collected;
    return [
      single('process_start_time_seconds', 'gauge', 'Start time, Unix seconds.', this.#startSeconds),
      single('process_cpu_seconds_total', 'counter', 'CPU time of all threads.', usage.cpuSeconds),
      single('process_resident_memory_bytes', 'gauge', 'Resident memory.', usage.residentBytes),
      single('timbala_ready', 'gauge', '1 when queries are answered.', Number(collected.isReady)),
      single('timbala_queries_active', 'gauge', 'Queries under way.', collected.queriesActiveCount),
      single('timbala_queries_waiting', 'gauge', 'Queries that wait for a place.', collected.queriesWaitingCount),
      single(
        'timbala_query_worker_respawns_total',
        'counter',
        'Query workers that died and were replaced.',
        collected.queryWorkerRespawnsCount,
      ),
      single('timbala_write_queue_bytes', 'gauge', 'Bodies of writes under way.', collected.writeQueueBytes),
    ];
  }
}

function single(name: string, type: MetricType, help: string, value: number): MetricFamily {
  return { name, type, help, samples: [{ suffix: '', labels: [], value }] };
}

/** A time in ms as Unix seconds; no series where there is none. */
function time(name: string, help: string, timeMs: number | undefined): MetricFamily[] {
  return timeMs === undefined || !Number.isFinite(timeMs) ? [] : [single(name, 'gauge', help, timeMs / secondMs)];
}

function laneFamilies(lane: LaneStatus): MetricFamily[] {
  return [
    single('timbala_head_series', 'gauge', 'Series in the head.', lane.seriesCount),
    single('timbala_head_samples', 'gauge', 'Samples in the head.', lane.headSamplesCount),
    single('timbala_head_bytes', 'gauge', 'Memory of the head kernel.', lane.headBytes),
    ...time('timbala_head_min_time_seconds', 'Oldest sample in the head.', lane.headMinMs),
    ...time('timbala_head_max_time_seconds', 'Newest sample in the head.', lane.headMaxMs),
    single('timbala_head_generation', 'gauge', 'Generation that takes writes.', lane.generation),
    single('timbala_head_generations', 'gauge', 'Generations in memory.', lane.generationsCount),
    single('timbala_log_bytes', 'gauge', 'Log on disk.', lane.logBytes),
    single('timbala_lane_pending_bytes', 'gauge', 'Log not yet on disk.', lane.pendingBytes),
    single('timbala_lane_kept_requests', 'gauge', 'Writes under way to other nodes.', lane.keptCount),
    single('timbala_lane_kept_bytes', 'gauge', 'Memory that these take.', lane.keptBytes),
    single('timbala_ingested_samples_total', 'counter', 'Samples stored.', lane.samplesTotal),
    single('timbala_duplicate_samples_total', 'counter', 'Samples that were there already.', lane.duplicatesTotal),
    single('timbala_rejected_samples_total', 'counter', 'Samples refused.', lane.rejectedTotal),
    single('timbala_lane_writes_total', 'counter', 'Writes that reached the lane.', lane.requestsTotal),
    single('timbala_lane_busy_total', 'counter', 'Writes refused because the lane was busy.', lane.busyTotal),
    single('timbala_log_commits_total', 'counter', 'Group commits.', lane.commitsTotal),
    single('timbala_log_commit_seconds_total', 'counter', 'Time spent in group commits.', lane.commitSeconds),
  ];
}

function keeperFamilies(keeper: KeeperStatus): MetricFamily[] {
  return [
    single('timbala_parts', 'gauge', 'Parts on disk.', keeper.partsCount),
    single('timbala_parts_bytes', 'gauge', 'Size of parts on disk.', keeper.partsBytes),
    single('timbala_parts_samples', 'gauge', 'Samples in parts.', keeper.partSamplesCount),
    ...time('timbala_parts_min_time_seconds', 'Oldest sample in parts.', keeper.minMs),
    ...time('timbala_parts_max_time_seconds', 'Newest sample in parts.', keeper.maxMs),
    ...time('timbala_retention_horizon_seconds', 'Samples before this are gone.', keeper.horizonMs),
    single('timbala_flushes_total', 'counter', 'Generations written to parts.', keeper.flushesTotal),
    single('timbala_compactions_total', 'counter', 'Merges of parts.', keeper.compactionsTotal),
    single('timbala_parts_deleted_total', 'counter', 'Parts deleted.', keeper.partsDeletedTotal),
    single('timbala_parts_checked_total', 'counter', 'Parts read through for damage.', keeper.partsCheckedTotal),
    single('timbala_parts_checked_bytes_total', 'counter', 'Bytes of that.', keeper.bytesCheckedTotal),
    single('timbala_parts_damaged_total', 'counter', 'Parts found damaged.', keeper.partsDamagedTotal),
    single('timbala_partition_drops', 'gauge', 'Drops of partitions that parts still hide.', keeper.dropsCount),
    single('timbala_tombstones', 'gauge', 'Deletes that still hide samples.', keeper.tombstonesCount),
  ];
}

function replayFamilies(replay: ReplayReport): MetricFamily[] {
  return [
    single('timbala_replay_samples', 'gauge', 'Samples read from the log at start.', replay.samplesCount),
    single('timbala_replay_duration_seconds', 'gauge', 'Time to read the log.', replay.durationMs / secondMs),
    single('timbala_replay_damages', 'gauge', 'Damage found in the log at start.', replay.damage.length),
  ];
}
