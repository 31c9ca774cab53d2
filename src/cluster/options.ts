// What a node of a cluster is given: who it is, and the ports through which it reaches everything outside.
import type { Clock, Log, Random } from '../ports/index.ts';
import type { LocalStore, NodeName, PeerLinks } from './contracts.ts';
import type { Decisions } from './decisions.ts';
import type { ClusterRecord } from './record/index.ts';
import type { Liveness } from './status.ts';
import type { ClusterTiming } from './timing.ts';
import type { Place } from './view.ts';

export interface ClusterNodeOptions {
  readonly name: NodeName;
  readonly address: string;
  readonly zone: string;
  /** Thousandths of the usual share. */
  readonly weight: number;
  /** Addresses where a cluster may be found; none: this node founds one and acknowledges alone. */
  readonly peers: readonly string[];
  readonly partitionsCount: number;
  readonly place: Place;
  readonly timing?: Partial<ClusterTiming>;
  readonly decisions?: Decisions;
}

export interface ClusterPorts {
  readonly store: LocalStore;
  readonly links: PeerLinks;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Gossip's opinion, to save waiting; undefined: it has none. Safety never rests on it. */
  readonly isAlive?: Liveness;
  /** Called with the record that a start finds or makes, and with every one that comes into force. */
  readonly onRecord?: (record: ClusterRecord) => void;
}
