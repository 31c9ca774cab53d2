// Nodes with peer connections for tests: a store that knows series by name, and handlers that check what arrives.
import assert from 'node:assert/strict';
import { ByteReader, ByteWriter, hasCode, secondMs, TimbalaError } from '../../base/index.ts';
import type { Log, Network } from '../../ports/index.ts';
import { SimRandom } from '../../../sim/random.ts';
import { SimNetwork } from '../../../sim/network.ts';
import { SimWorld } from '../../../sim/world.ts';
import type { PeerFrame, ReceivedFrame, ReceivedSamples, SamplesPayload } from '../contracts.ts';
import type { PeerIdentity } from './connection.ts';
import { PeerConnections, type PeerConnectionsOptions } from './peer-connections.ts';

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
/** Keeps the events of warnings. */
export const recordingLog = (events: string[]): Log => ({ ...silentLog, warn: (event) => void events.push(event) });
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};

const hashOf = (name: string): bigint => {
  let hash = 0xcbf2_9ce4_8422_2325n;
  for (const byte of text(name)) hash = ((hash ^ BigInt(byte)) * 0x100_0000_01b3n) & 0xffff_ffff_ffff_ffffn;
  return hash;
};

/** Series by name, numbered in order of appearance, from a number of its own so that mappings can't pass unseen. */
export class TestStore {
  dictionary: number;
  definitionsCount = 0;
  /** What `definitionsOf` does first. */
  beforeDefinitions: () => Promise<void> = async () => undefined;
  /** What `register` does first. */
  beforeRegister: () => Promise<void> = async () => undefined;
  #names: string[] = [];
  readonly #first: number;

  constructor(first: number) {
    this.#first = first;
    this.dictionary = first;
  }

  refOf(name: string): number {
    const known = this.#names.indexOf(name);
    return this.#first + (known >= 0 ? known : this.#names.push(name) - 1);
  }

  /** As when a head is replaced. */
  renumber(): void {
    this.dictionary++;
    this.#names = this.#names.toReversed();
  }

  /** One sample a series; what `bytes` holds is checked by `namesIn`. */
  payload(...names: string[]): SamplesPayload {
    const seriesRefs = Uint32Array.from(names, (name) => this.refOf(name));
    const writer = new ByteWriter();
    for (const ref of seriesRefs) writer.u32(ref);
    let fingerprintSum = 0n;
    for (const name of names) fingerprintSum = BigInt.asUintN(64, fingerprintSum + hashOf(name));
    const { dictionary } = this;
    return { samplesCount: names.length, dictionary, seriesRefs, fingerprintSum, bytes: writer.copy() };
  }

  /** The names of the series in a payload that arrived. Throws PEER_DICTIONARY like a store. */
  namesIn({ samplesCount, dictionary, ownRefs, fingerprintSum, bytes }: ReceivedSamples): string[] {
    if (dictionary !== this.dictionary) throw new TimbalaError('PEER_DICTIONARY', `number ${dictionary}`);
    const reader = new ByteReader(bytes);
    const names: string[] = [];
    let sum = 0n;
    for (let i = 0; i < samplesCount; i++) {
      const name = this.#names[(ownRefs[reader.u32()] ?? 0) - this.#first];
      if (name === undefined) throw new TimbalaError('PEER_DICTIONARY', 'a reference that is not defined');
      names.push(name);
      sum = BigInt.asUintN(64, sum + hashOf(name));
    }
    if (sum !== fingerprintSum) throw new TimbalaError('PEER_DICTIONARY', 'another sum of fingerprints');
    return names;
  }

  async definitionsOf(dictionary: number, refs: Uint32Array): Promise<Uint8Array> {
    await this.beforeDefinitions();
    if (dictionary !== this.dictionary) throw new TimbalaError('PEER_DICTIONARY', `number ${dictionary}`);
    const writer = new ByteWriter();
    for (const ref of refs) {
      writer.u32(ref);
      writer.string(this.#names[ref - this.#first] ?? '');
    }
    this.definitionsCount += refs.length;
    return writer.copy();
  }

  async register(definitions: Uint8Array) {
    await this.beforeRegister();
    const reader = new ByteReader(definitions);
    const senderRefs: number[] = [];
    const ownRefs: number[] = [];
    while (reader.remaining > 0) {
      senderRefs.push(reader.u32());
      ownRefs.push(this.refOf(reader.string()));
    }
    return {
      dictionary: this.dictionary,
      senderRefs: Uint32Array.from(senderRefs),
      ownRefs: Uint32Array.from(ownRefs),
    };
  }
}

export const identityOf = (node: string): PeerIdentity => ({
  clusterId: 'c'.repeat(32),
  node,
  store: 'a'.repeat(32),
  recordHash: '0'.repeat(32),
  formats: new Map([['samples', 1]]),
});

export interface TestNode {
  readonly name: string;
  readonly store: TestStore;
  readonly peers: PeerConnections;
  readonly requests: ReceivedFrame[];
}

/** A node in a simulated world, at the host of its name, which answers with what it was sent. */
export async function simulatedNode(
  world: SimWorld,
  network: Network,
  name: string,
  options: Partial<PeerConnectionsOptions> = {},
  log = silentLog,
): Promise<TestNode> {
  const store = new TestStore((name.codePointAt(0) ?? 0) * 1_000);
  const ports = { clock: world.clock, network, random: new SimRandom(1), log };
  const bind = { host: name, port: 9_095 };
  const peers = await PeerConnections.start(ports, { bind, store, identity: () => identityOf(name), ...options });
  const requests: ReceivedFrame[] = [];
  peers.onRequest = async (_from, frame) => {
    requests.push(frame);
    return echoOf(store, frame);
  };
  return { name, store, peers, requests };
}

/** The body, and the names of the series where there are samples. */
export function echoOf(store: TestStore, { kind, body, samples }: ReceivedFrame): PeerFrame {
  return { kind, body: samples ? text(`${textOf(body)}: ${store.namesIn(samples).join(' ')}`) : body };
}

/** Lets the world go on, and promises with it, until this one is settled. */
export async function settled<Result>(world: SimWorld, promise: Promise<Result>): Promise<Result> {
  const state = { isSettled: false };
  const mark = (): void => {
    state.isSettled = true;
  };
  promise.then(mark, mark);
  for (let steps = 0; !state.isSettled; steps++) {
    assert.ok(steps < 200_000, 'nothing settles the promise');
    world.run(0.5);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return promise;
}

/** Lets so much time pass, and promises with it. */
export async function pass(world: SimWorld, durationMs: number): Promise<void> {
  await settled(world, new Promise<void>((resolve) => world.schedule(durationMs, resolve)));
}

/** Nodes a and b, which know each other's addresses. */
export async function pair(seed = 1) {
  const world = new SimWorld(seed);
  const network = new SimNetwork(world);
  const a = await simulatedNode(world, network.at('a'), 'a');
  const b = await simulatedNode(world, network.at('b'), 'b');
  a.peers.setAddresses(new Map([['b', 'b:9095']]));
  b.peers.setAddresses(new Map([['a', 'a:9095']]));
  const ask = (frame: PeerFrame, patienceMs = secondMs) => settled(world, a.peers.request('b', frame, patienceMs));
  return { world, network, a, b, ask };
}

export const hello = (body = 'hello'): PeerFrame => ({ kind: 'hello', body: text(body) });
export const write = ({ store }: TestNode, ...names: string[]): PeerFrame => ({
  kind: 'write',
  body: text('w'),
  samples: store.payload(...names),
});
export const rejectsWith = (code: string) => (error: unknown) => hasCode(error, code);
