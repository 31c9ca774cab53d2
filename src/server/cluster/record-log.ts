// Tells the log what a new record changes: who comes, goes, is lost. Operators read there what has happened to the cluster.
import type { ClusterRecord } from '../../cluster/index.ts';
import type { Log } from '../../ports/index.ts';

export class RecordLog {
  readonly #log: Log;
  #previous: ClusterRecord | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  note(record: ClusterRecord): void {
    const previous = this.#previous;
    this.#previous = record;
    for (const { name, store, state, address, zone } of record.entries) {
      const before = previous?.member(name);
      if (before?.store === store && before.state === state && before.address === address) continue;
      const previously = before?.store === store ? before.state : undefined;
      this.#log.info('cluster-member', { member: name, state, previously, address, zone, store });
    }
    const healed = (each: ClusterRecord | undefined, loss: string): boolean =>
      each !== undefined && each.losses.includes(loss) && !each.unhealedLosses.includes(loss);
    for (const loss of record.losses) {
      if (healed(record, loss)) {
        if (previous?.unhealedLosses.includes(loss)) this.#log.info('cluster-loss-healed', { store: loss });
      } else if (!previous?.losses.includes(loss)) {
        this.#log.warn('cluster-loss', { store: loss });
      }
    }
    if (previous && previous.retentionMs !== record.retentionMs) {
      this.#log.info('cluster-retention', { retentionMs: record.retentionMs, previousMs: previous.retentionMs });
    }
  }
}
