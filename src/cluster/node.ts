// One node of a cluster: its state, its share of every protocol, and its life: founding or joining a cluster, coming back to
// one, leaving it. Everything outside is a port, so that the simulator runs whole clusters of these in one thread.
import { errorMessage, hasCode, mib, TimbalaError } from '../base/index.ts';
import type { Random, Timer } from '../ports/index.ts';
import type { DecodedWrite, DeleteRequest, NodeName, Selection } from './contracts.ts';
import { decisions, type OwnerToken, ownerToken, replicasCount } from './decisions.ts';
import { recordAtStart } from './enter.ts';
import { Exchange } from './exchange.ts';
import { helloQuestion } from './hello.ts';
import type { ClusterNodeOptions, ClusterPorts } from './options.ts';
import type { PlanInput, ReadPlan } from './read/index.ts';
import { type ClusterRead, type ReadCounters, Reader, type ReadOptions, type ReadStream } from './read/index.ts';
import { Dropper } from './rebalance/index.ts';
import type { ClusterRecord } from './record/index.ts';
import {
  Backoff,
  createRepairCounters,
  Leases,
  Pacer,
  RepairAnswerer,
  type RepairCounters,
  Repairer,
} from './repair/index.ts';
import { type WriteCounters, Writer } from './replicate/index.ts';
import { NodeState } from './state.ts';
import { clusterStatus, type ClusterStatus, type Liveness } from './status.ts';
import { type ClusterTiming, defaultClusterTiming } from './timing.ts';

/** Of all deletes that are in force: the record travels whole, and has to fit into a frame. */
const deletesBytesMax = 8 * mib;

/** What is heard where a node is not: nothing, or somebody who is not of this cluster under its name or address. */
const absentCodes = [
  'PEER_UNREACHABLE',
  'PEER_TIMEOUT',
  'PEER_SILENT',
  'PEER_CLOSED',
  'PEER_WRONG_NODE',
  'PEER_OTHER_CLUSTER',
  'CLUSTER_OTHER',
  'CLUSTER_NONE',
  'CLUSTER_FOUNDING',
];

export class ClusterNode {
  readonly state: NodeState;
  readonly writer: Writer;
  readonly reader: Reader;
  readonly repairer: Repairer;
  readonly dropper: Dropper;
  readonly #exchange: Exchange;
  readonly #random: Random;
  readonly #timing: ClusterTiming;
  readonly #isAlive: Liveness;
  readonly #repairCounters = createRepairCounters();
  readonly #pacer: Pacer;
  readonly #backoff: Backoff;
  readonly #partitionsCount: number;
  /** Members that have this node's entry on disk, while it joins. */
  readonly #storedBy = new Set<OwnerToken>();
  #livesDueMs = 0;
  #timer: Timer | undefined;
  #isStopped = false;

  private constructor(options: ClusterNodeOptions, ports: ClusterPorts, timing: ClusterTiming, state: NodeState) {
    const { store, clock, links, random } = ports;
    this.state = state;
    this.#timing = timing;
    this.#random = random;
    this.#isAlive = ports.isAlive ?? (() => undefined);
    this.#partitionsCount = options.partitionsCount;
    this.#pacer = new Pacer(clock);
    this.#backoff = new Backoff(clock, timing.repairBackoffMs, this.#isAlive);
    store.mayAbandon = () => this.#hasCompany;
    this.#exchange = new Exchange(this.state, links);
    this.#exchange.answer(helloQuestion, async () => ({ body: {} }));
    this.writer = new Writer(this.state, this.#exchange, timing);
    this.reader = new Reader(this.state, this.#exchange, timing, options.partitionsCount, (scope) =>
      this.repairer.hurry(scope),
    );
    const context = {
      state: this.state,
      exchange: this.#exchange,
      timing,
      counters: this.#repairCounters,
      pacer: this.#pacer,
    };
    const leases = new Leases(clock, timing.leaseMs);
    void new RepairAnswerer(context, leases);
    this.repairer = new Repairer(context, this.#backoff, leases, () => random.float());
    this.dropper = new Dropper(this.state, timing, () => this.tellAll());
  }

  /**
   * Brings a node up: from its own record where that has its store; otherwise it joins the cluster of a peer, or founds one.
   * Resolves when it takes part (the log may still be replayed, a join still be confirmed). Throws CLUSTER_NOT_FOUND where
   * no peer knows a cluster and this node is not the one to found it: to be tried again.
   */
  static async start(options: ClusterNodeOptions, ports: ClusterPorts): Promise<ClusterNode> {
    const timing = { ...defaultClusterTiming, ...options.timing };
    const { name, place, partitionsCount } = options;
    const { store, clock, log, links, random } = ports;
    const record = await recordAtStart(options, ports, timing);
    const onRecord = (current: ClusterRecord): void => {
      links.setAddresses(addressesOf(current, name));
      ports.onRecord?.(current);
    };
    const state = new NodeState(
      {
        name,
        store,
        clock,
        log,
        place,
        partitionsCount,
        decisions: options.decisions ?? decisions,
        epoch: Math.floor(random.float() * Number.MAX_SAFE_INTEGER),
        onRecord,
      },
      record,
    );
    // Before anybody is answered: what the node holds and had marked has to be known when a record or samples arrive.
    await state.load();
    onRecord(record);
    const node = new ClusterNode(options, ports, timing, state);
    node.#run();
    void node.#finishStart().catch((error: unknown) => {
      ports.log.error('replay-failed', { reason: errorMessage(error) });
    });
    return node;
  }

  async #finishStart(): Promise<void> {
    await this.state.finishReplay();
    // A store that joins has told nobody of its log yet; who knows of it by now must not be kept waiting for its marks.
    const isJoining = this.state.self?.state === 'joining';
    if (!isJoining) await this.tellAll();
    this.state.isReady = true;
    if (isJoining) await this.tellAll();
  }

  /** Others have what this node holds, and one of them seems to be there. */
  get #hasCompany(): boolean {
    const { self, name, record } = this.state;
    const others = record.actives.filter((member) => member.name !== name && this.#isAlive(member.name) !== false);
    return self !== undefined && self.alone === 0 && others.length > 0;
  }

  #run(): void {
    this.#tick();
    this.repairer.start();
    this.dropper.start();
  }

  /** Stops the loops; requests under way end by themselves. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.repairer.stop();
    this.dropper.stop();
  }

  #tick(): void {
    if (this.#isStopped) return;
    this.#timer = this.state.clock.setTimer(this.#timing.recordIntervalMs, () => {
      void this.#greet().finally(() => this.#tick());
    });
  }

  /**
   * Exchanges records with all members. After a start, before the node answers for what it holds: peers may know that its log
   * reached further once; connections are up then, and clocks were heard. And when it has left, so that all know before it
   * stops. Who does not answer is not waited for longer than for any question.
   */
  async tellAll(): Promise<void> {
    const others = this.state.record.members.filter(({ name }) => name !== this.state.name);
    await Promise.allSettled(others.map(({ name }) => this.#hello(name)));
  }

  /** Exchanges records with a member chosen at random; a joining node counts who has its entry. */
  async #greet(): Promise<void> {
    const { record, name } = this.state;
    const others = record.members.filter((member) => member.name !== name);
    const peer = others[Math.floor(this.#random.float() * others.length)];
    try {
      if (peer) await this.#hello(peer.name);
      await this.#activate();
      await this.state.settle();
      await this.#saveLives();
    } catch (error) {
      this.state.log.debug('hello-failed', { peer: peer?.name, reason: errorMessage(error) });
    }
  }

  async #saveLives(): Promise<void> {
    const nowMs = this.state.clock.monotonicMs();
    if (nowMs < this.#livesDueMs) return;
    this.#livesDueMs = nowMs + this.#timing.livesIntervalMs;
    await this.state.saveLives();
  }

  /** After it both hold the same record, on disk; gives the token of who answered. */
  async #hello(to: NodeName): Promise<OwnerToken> {
    const answer = await this.#exchange.ask(to, helloQuestion, {}, this.#timing.askDeadlineMs);
    const token = ownerToken(to, answer.store);
    this.#backoff.succeeded(to);
    if (this.state.self?.state === 'joining') this.#storedBy.add(token);
    return token;
  }

  async #activate(): Promise<void> {
    const { decisions, record, name, self } = this.state;
    if (self?.state !== 'joining' || !decisions.isJoinConfirmed(record, name, this.#storedBy)) return;
    await this.state.changeOwn((own) => (own.state === 'joining' ? { state: 'active' } : undefined));
  }

  status(): ClusterStatus {
    return clusterStatus(this.state, this.#isAlive, this.#partitionsCount, {
      dueCount: this.repairer.dueCount(),
      droppingCount: this.dropper.underWayCount,
      copyBytesPerSecondMax: Math.round(this.#pacer.bytesPerSecond),
    });
  }

  /** What the protocols have done since the start, for metrics. */
  counters(): ClusterCounters {
    return {
      write: { ...this.writer.counters },
      read: { ...this.reader.counters },
      repair: { ...this.#repairCounters },
      drop: { partitionsDropped: this.dropper.partitionsDropped },
    };
  }

  write(decoded: DecodedWrite): Promise<void> {
    return this.writer.write(decoded);
  }

  read(selection: Selection, plan?: (input: PlanInput) => ReadPlan): Promise<ClusterRead> {
    return this.reader.read(selection, plan);
  }

  /** A read whose own share the caller reads itself, piece by piece. */
  openRead(selection: Selection, options: ReadOptions): ReadStream {
    return this.reader.open(selection, options);
  }

  /**
   * Resolves when two active members have the delete on disk. Throws DELETE_UNAVAILABLE: it may yet take effect; and
   * DELETE_TOO_MANY.
   */
  async delete(request: DeleteRequest): Promise<void> {
    const { name, store, clock } = this.state;
    if (this.state.self?.state !== 'active') {
      throw new TimbalaError('DELETE_UNAVAILABLE', `${name} is no active member; ask another node`);
    }
    const clipped = { ...request, toMs: Math.min(request.toMs, clock.nowMs()) };
    await this.state.change((record) => {
      const changed = record.withDelete(clipped);
      const bytesCount = changed.deletes.reduce((sum, { matchers }) => sum + matchers.length, 0);
      if (bytesCount <= deletesBytesMax) return changed;
      throw new TimbalaError(
        'DELETE_TOO_MANY',
        `this and the ${record.deletes.length} deletes in force would take over ${deletesBytesMax / mib} MiB; nothing was deleted`,
      );
    });
    const storedBy = new Set([ownerToken(name, store.id)]);
    for (const member of this.state.record.actives) {
      if (this.state.decisions.isDeleteStored(this.state.record, storedBy)) return;
      if (member.name === name) continue;
      const token = await this.#hello(member.name).catch(() => undefined);
      if (token) storedBy.add(token);
    }
    if (this.state.decisions.isDeleteStored(this.state.record, storedBy)) return;
    throw new TimbalaError('DELETE_UNAVAILABLE', 'too few nodes have stored the delete; send it again');
  }

  async setRetention(durationMs: number): Promise<void> {
    await this.state.change((record) => record.withRetention(durationMs, this.state.name));
  }

  /** This node gives up what it owns, hands over what it holds, and is then `left`. */
  async decommission(isForced = false): Promise<void> {
    const { record, name, self } = this.state;
    if (self?.state !== 'active')
      throw new TimbalaError('CLUSTER_NOT_ACTIVE', `${name} is ${self?.state ?? 'no member'}`);
    if (record.actives.length <= replicasCount && !isForced) {
      throw new TimbalaError(
        'CLUSTER_TOO_SMALL',
        `${record.actives.length} active nodes for ${replicasCount} copies; add one first, or force it`,
      );
    }
    await this.state.changeOwn((own) => (own.state === 'active' ? { state: 'leaving' } : undefined));
  }

  /** Gives a node up that will not come back; refused while it answers, be it by a refusal. */
  async remove(target: NodeName): Promise<void> {
    const isAnswering = await this.#hello(target).then(
      () => true,
      (error: unknown) => !absentCodes.some((code) => hasCode(error, code)),
    );
    if (isAnswering) throw new TimbalaError('CLUSTER_ALIVE', `${target} answers; decommission it there`);
    await this.state.change((record) => record.withRemoved(target));
  }
}

export interface ClusterCounters {
  readonly write: WriteCounters;
  readonly read: ReadCounters;
  readonly repair: RepairCounters;
  readonly drop: { readonly partitionsDropped: number };
}

/** Where the others listen: all that may still hold something or hand it over. */
function addressesOf(record: ClusterRecord, self: NodeName): Map<NodeName, string> {
  const others = record.entries.filter(({ name, state }) => name !== self && state !== 'left');
  return new Map(others.map(({ name, address }) => [name, address]));
}
