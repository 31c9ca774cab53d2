// Who fills which partition here. Several nodes hold what a new owner lacks; the first to compare sends it, and the others are
// told to come later, so that nothing travels twice. Of two nodes that compare with each other at once one gives way.
import type { Clock } from '../../ports/index.ts';
import type { NodeName, RecordHash } from '../contracts.ts';

/** A lease ends then, however busy its holder is with other partitions. */
const lifetimes = 12;

export class Leases {
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #leases = new Map<number, { readonly to: NodeName; readonly view: RecordHash; readonly sinceMs: number }>();
  /** When a holder last sent anything: who only asks, again and again, loses its leases like who is silent. */
  readonly #heardMs = new Map<NodeName, number>();
  /** Partitions that this node compares with others now. */
  readonly #asking = new Map<NodeName, ReadonlySet<number>>();

  constructor(clock: Clock, idleMs: number) {
    this.#clock = clock;
    this.#idleMs = idleMs;
  }

  /** A holder has sent copies, or that it has ended. */
  heard(from: NodeName): void {
    this.#heardMs.set(from, this.#clock.monotonicMs());
  }

  /** Who fills a partition, if it is another node than the one that asks. Under another view it may no longer have to. */
  holder(partition: number, asking: NodeName, view: RecordHash): NodeName | undefined {
    const lease = this.#leases.get(partition);
    if (!lease || lease.to === asking) return undefined;
    const nowMs = this.#clock.monotonicMs();
    const isIdle = nowMs - Math.max(lease.sinceMs, this.#heardMs.get(lease.to) ?? 0) > this.#idleMs;
    if (lease.view === view && !isIdle && nowMs - lease.sinceMs < lifetimes * this.#idleMs) return lease.to;
    this.#leases.delete(partition);
    return undefined;
  }

  grant(partition: number, to: NodeName, view: RecordHash): void {
    const lease = this.#leases.get(partition);
    if (lease?.to === to && lease.view === view) return;
    this.#leases.set(partition, { to, view, sinceMs: this.#clock.monotonicMs() });
  }

  asks(owner: NodeName, partitions: ReadonlySet<number> | undefined): void {
    if (partitions) this.#asking.set(owner, partitions);
    else this.#asking.delete(owner);
  }

  isAsking(owner: NodeName, partition: number): boolean {
    return this.#asking.get(owner)?.has(partition) ?? false;
  }

  end(partition: number, by: NodeName): void {
    if (this.#leases.get(partition)?.to === by) this.#leases.delete(partition);
  }
}
