// The replica store's lane, keeper and reader across threads: one channel each, served where the actor lives, and an object for
// the protocols' thread that calls over it. Order on a channel is what the contract rests on: a lane's answers to appends are
// posted before it asks for marks.
import { RpcPeer, Transferred } from '../../base/index.ts';
import type { Channel } from '../../ports/index.ts';
import type {
  AppendedPairs,
  DecodedRequest,
  DeleteRuleRequest,
  KeeperListener,
  RegisteredSeries,
  SampleOrigin,
  SamplesForPeer,
  SamplesFromPeer,
  WriteGroups,
} from '../contracts.ts';
import type { Served } from '../protocol.ts';
import { type AnswerSelection, readCancelled } from '../answers/answer-reader.ts';
import type { ReadSegment } from '../answers/segment-ranges.ts';
import type { Digest } from './digest-totals.ts';
import type { Extent, WindowDigest } from './pair-reader.ts';
import type { ReplicaKeeper, ReplicaLane, ReplicaReader } from './replica-store.ts';

interface OfWrite {
  readonly writeId: number;
  readonly groups: Uint16Array;
}

type LaneMethods = {
  readonly replayedPairs: (argument: Record<string, never>) => AppendedPairs;
  readonly setGroups: (groups: WriteGroups) => void;
  readonly decode: (body: Uint8Array) => DecodedRequest;
  readonly payloadOf: (argument: OfWrite) => SamplesForPeer;
  readonly appendKept: (argument: OfWrite) => AppendedPairs;
  readonly release: (argument: { readonly writeId: number }) => void;
  readonly register: (definitions: Uint8Array) => RegisteredSeries;
  readonly definitionsOf: (argument: { readonly dictionary: number; readonly refs: Uint32Array }) => Uint8Array;
  readonly appendReceived: (argument: { readonly samples: SamplesFromPeer; readonly origin: SampleOrigin }) => {
    readonly appended: AppendedPairs;
    readonly back: Uint8Array;
  };
  readonly abandonStore: (argument: { readonly code: string; readonly reason: string }) => void;
  readonly dropPartitions: (partitions: Uint16Array) => void;
  readonly saveState: (argument: { readonly name: string; readonly bytes: Uint8Array }) => void;
  readonly loadState: (argument: { readonly name: string }) => Uint8Array | undefined;
};

/** Served by the protocols' thread to the lane. */
type MarksMethods = { readonly marksForLogCut: (argument: Record<string, never>) => Uint8Array };

type KeeperMethods = {
  readonly dropBefore: (argument: { readonly horizonMs: number; readonly rules: readonly DeleteRuleRequest[] }) => void;
  readonly applyRules: (rules: readonly DeleteRuleRequest[]) => void;
};

/** Served by the protocols' thread to the keeper. */
type ListenerMethods = {
  readonly sizeFloor: (argument: { readonly floorMs: number }) => void;
  readonly mayAbandon: (argument: Record<string, never>) => boolean;
};

interface OfPartitions {
  readonly partitions: Uint32Array;
  readonly startMs: number;
  readonly endMs: number;
}

type ReaderMethods = {
  readonly digests: (extent: Extent) => WindowDigest[][];
  readonly digestsOf: (argument: OfPartitions) => Digest[];
  readonly openScan: (extent: Extent) => { readonly scanId: number };
  /** Undefined at the end, which closes the scan. */
  readonly nextOfScan: (argument: { readonly scanId: number }) => SamplesForPeer | undefined;
  readonly closeScan: (argument: { readonly scanId: number }) => void;
  readonly heldPartitions: (argument: Record<string, never>) => Uint32Array;
  readonly openRead: (argument: { readonly selection: AnswerSelection; readonly segments: readonly ReadSegment[] }) => {
    readonly readId: number;
  };
  /** Undefined at the end, which closes the read. */
  readonly nextOfRead: (argument: { readonly readId: number }) => Uint8Array | undefined;
  readonly closeRead: (argument: { readonly readId: number }) => void;
};

/** Serves a lane; what is returned asks the other end for its marks (ReplicationOptions.onLogCut). */
export function serveReplicaLane(channel: Channel, lane: ReplicaLane): () => Promise<Uint8Array> {
  const handlers: Served<LaneMethods> = {
    replayedPairs: () => lane.replayedPairs(),
    setGroups: (groups) => lane.setGroups(groups),
    decode: async (body) => {
      const decoded = await lane.decode(body);
      return new Transferred(decoded, [
        decoded.groups.buffer,
        ...decoded.payloads.map(({ samples }) => samples.bytes.buffer),
      ]);
    },
    payloadOf: async ({ writeId, groups }) => transferPayload(await lane.payloadOf(writeId, groups)),
    appendKept: async ({ writeId, groups }) => transferPairs(await lane.appendKept(writeId, groups)),
    release: ({ writeId }) => lane.release(writeId),
    register: (definitions) => lane.register(definitions),
    definitionsOf: ({ dictionary, refs }) => lane.definitionsOf(dictionary, refs),
    appendReceived: async ({ samples, origin }) => {
      const appended = await lane.appendReceived(samples, origin);
      const { bytes: back } = samples;
      return new Transferred({ appended, back }, [appended.pairs.buffer, back.buffer]);
    },
    abandonStore: ({ code, reason }) => lane.abandonStore(code, reason),
    dropPartitions: (partitions) => lane.dropPartitions(partitions),
    saveState: ({ name, bytes }) => lane.saveState(name, bytes),
    loadState: ({ name }) => lane.loadState(name),
  };
  const peer = new RpcPeer<MarksMethods>(channel, handlers);
  return () => peer.call('marksForLogCut', {});
}

function transferPairs(appended: AppendedPairs): Transferred<AppendedPairs> {
  return new Transferred(appended, [appended.pairs.buffer]);
}

/** References and bytes lie in one buffer. */
function transferPayload(samples: SamplesForPeer): Transferred<SamplesForPeer> {
  return new Transferred(samples, [samples.bytes.buffer]);
}

/** A lane on the other end of a channel. `marks`: the replica store, once there is one. */
export function connectReplicaLane(channel: Channel, marks: () => Promise<Uint8Array>): ReplicaLane {
  const handlers: Served<MarksMethods> = { marksForLogCut: () => marks() };
  const peer = new RpcPeer<LaneMethods>(channel, handlers);
  return {
    replayedPairs: () => peer.call('replayedPairs', {}),
    setGroups: (groups) => peer.notify('setGroups', groups),
    decode: (body) => peer.call('decode', body),
    payloadOf: (writeId, groups) => peer.call('payloadOf', { writeId, groups }),
    appendKept: (writeId, groups) => peer.call('appendKept', { writeId, groups }),
    release: (writeId) => peer.notify('release', { writeId }),
    register: (definitions) => peer.call('register', definitions),
    definitionsOf: (dictionary, refs) => peer.call('definitionsOf', { dictionary, refs }),
    appendReceived: async (samples, origin) => {
      const { bytes } = samples;
      // Not copied: they go to the lane and come back.
      const transfer = bytes.buffer instanceof ArrayBuffer ? [bytes.buffer] : [];
      const { appended, back } = await peer.call('appendReceived', { samples, origin }, transfer);
      samples.bytes = back;
      return appended;
    },
    abandonStore: (code, reason) => peer.call('abandonStore', { code, reason }),
    dropPartitions: (partitions) => peer.call('dropPartitions', partitions),
    saveState: (name, bytes) => peer.call('saveState', { name, bytes }),
    loadState: (name) => peer.call('loadState', { name }),
  };
}

export function serveReplicaKeeper(channel: Channel, keeper: ReplicaKeeper): void {
  const handlers: Served<KeeperMethods> = {
    dropBefore: ({ horizonMs, rules }) => keeper.dropBefore(horizonMs, rules),
    applyRules: (rules) => keeper.applyRules(rules),
  };
  const peer = new RpcPeer<ListenerMethods>(channel, handlers);
  keeper.attach({
    sizeFloor: (floorMs) => peer.notify('sizeFloor', { floorMs }),
    mayAbandon: () => peer.call('mayAbandon', {}),
  });
}

export function connectReplicaKeeper(channel: Channel): ReplicaKeeper {
  let floorMs = Number.NEGATIVE_INFINITY;
  let attached: KeeperListener | undefined;
  const handlers: Served<ListenerMethods> = {
    sizeFloor: (wish) => {
      floorMs = wish.floorMs;
      attached?.sizeFloor(floorMs);
    },
    mayAbandon: () => attached?.mayAbandon() ?? false,
  };
  const peer = new RpcPeer<KeeperMethods>(channel, handlers);
  return {
    dropBefore: (horizonMs, rules) => peer.call('dropBefore', { horizonMs, rules }),
    applyRules: (rules) => peer.call('applyRules', rules),
    attach: (listener) => {
      attached = listener;
      listener.sizeFloor(floorMs);
    },
  };
}

export function serveReplicaReader(channel: Channel, reader: ReplicaReader): void {
  const scans = new OpenIterators<SamplesForPeer>();
  const reads = new OpenIterators<Uint8Array>();
  const handlers: Served<ReaderMethods> = {
    digests: (extent) => reader.digests(extent),
    digestsOf: ({ partitions, startMs, endMs }) => reader.digestsOf(partitions, startMs, endMs),
    openScan: (extent) => ({ scanId: scans.open(reader.scan(extent)) }),
    nextOfScan: async ({ scanId }) => {
      const samples = await scans.next(scanId);
      return new Transferred(samples, samples ? [samples.bytes.buffer] : []);
    },
    closeScan: ({ scanId }) => scans.close(scanId),
    heldPartitions: () => reader.heldPartitions(),
    openRead: ({ selection, segments }) => {
      const stop = new AbortController();
      return { readId: reads.open(reader.read(selection, segments, stop.signal), stop) };
    },
    nextOfRead: async ({ readId }) => {
      const frame = await reads.next(readId);
      return new Transferred(frame, frame ? [frame.buffer] : []);
    },
    closeRead: ({ readId }) => reads.close(readId),
  };
  void new RpcPeer(channel, handlers);
}

export function connectReplicaReader(channel: Channel): ReplicaReader {
  const peer = new RpcPeer<ReaderMethods>(channel);
  return {
    digests: (extent) => peer.call('digests', extent),
    digestsOf: (partitions, startMs, endMs) => peer.call('digestsOf', { partitions, startMs, endMs }),
    async *scan(extent: Extent) {
      const { scanId } = await peer.call('openScan', extent);
      try {
        for (;;) {
          const samples = await peer.call('nextOfScan', { scanId });
          if (!samples) return;
          yield samples;
        }
      } finally {
        peer.notify('closeScan', { scanId });
      }
    },
    heldPartitions: () => peer.call('heldPartitions', {}),
    async *read(selection: AnswerSelection, segments: readonly ReadSegment[], signal?: AbortSignal) {
      const { readId } = await peer.call('openRead', { selection, segments });
      const close = (): void => peer.notify('closeRead', { readId });
      // At once: `finally` would wait for the frame that is being made.
      signal?.addEventListener('abort', close);
      try {
        for (;;) {
          if (signal?.aborted) throw readCancelled();
          const frame = await peer.call('nextOfRead', { readId });
          // A read that was closed looks as if it had come to its end.
          if (signal?.aborted) throw readCancelled();
          if (!frame) return;
          yield frame;
        }
      } finally {
        signal?.removeEventListener('abort', close);
        close();
      }
    },
  };
}

/** Iterators that the other end of a channel draws from, by number. */
class OpenIterators<Item> {
  readonly #open = new Map<
    number,
    { readonly items: AsyncIterator<Item>; readonly stop: AbortController | undefined }
  >();
  #nextId = 1;

  /** `stop`: ends the work on an item when the iterator is closed. */
  open(items: AsyncIterable<Item>, stop?: AbortController): number {
    const id = this.#nextId++;
    this.#open.set(id, { items: items[Symbol.asyncIterator](), stop });
    return id;
  }

  /** Undefined at the end. */
  async next(id: number): Promise<Item | undefined> {
    const next = await this.#open.get(id)?.items.next();
    if (next && !next.done) return next.value;
    this.#open.delete(id);
    return undefined;
  }

  async close(id: number): Promise<void> {
    const open = this.#open.get(id);
    this.#open.delete(id);
    open?.stop?.abort();
    await open?.items.return?.();
  }
}
