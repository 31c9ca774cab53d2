// The live generations of a lane and the heads they lie in. A generation is active (appended to), then frozen, then dropped
// when it is in parts and nobody reads it; a head is dropped with its last generation, once a newer head has replaced it.
// This is bookkeeping in the lane's thread; the samples are in kernel memory.
import { present } from '../../base/index.ts';
import type { Random } from '../../ports/index.ts';
import { Head, HeadReader } from '../../wasm/index.ts';
import type { GenerationView, HeadHandle } from '../protocol.ts';

export interface LiveHead {
  readonly headId: number;
  readonly head: Head;
  /** The lane's own reader, for labels of series that a generation uses first. */
  readonly reader: HeadReader;
}

export interface Generation {
  /** Its number, or for a replay the highest of the log generations in it. */
  readonly number: number;
  readonly live: LiveHead;
  readonly slot: number;
  readonly openedMs: number;
  active: boolean;
  /** Snapshots that may read it. */
  pins: number;
  /** It is in parts: dropped as soon as it is unpinned. */
  flushed: boolean;
  /** A log write failed: some of its samples are in no log. */
  isUnlogged: boolean;
}

/** A new head replaces one of whose series so many have no samples left: only a new head gives a registry's memory back. */
const deadSeriesShareMax = 1 / 3;
/** ...and whose registry has grown to this share of its memory: before, there is little to give back... */
const registryShareMin = 1 / 64;
/** ...or whose registry alone takes this share of its memory while dead series are not negligible. */
const registryShareMax = 0.6;

export class Generations {
  readonly #module: WebAssembly.Module;
  readonly #random: Random;
  readonly #headBytesMax: number;
  readonly #live: Generation[] = [];
  readonly #heads: LiveHead[] = [];
  #nextHeadId = 1;

  constructor(module: WebAssembly.Module, random: Random, headBytesMax: number) {
    this.#module = module;
    this.#random = random;
    this.#headBytesMax = headBytesMax;
    this.#addHead();
  }

  #addHead(): LiveHead {
    const head = Head.create(this.#module, { bytesMax: this.#headBytesMax, random: this.#random });
    const live = { headId: this.#nextHeadId++, head, reader: HeadReader.attach(this.#module, head.memory) };
    this.#heads.push(live);
    return live;
  }

  /** The head that new series are registered in. */
  get current(): LiveHead {
    return present(this.#heads.at(-1), 'current head');
  }

  get live(): readonly Generation[] {
    return this.#live;
  }

  get heads(): readonly LiveHead[] {
    return this.#heads;
  }

  /** Throws HEAD_NO_SLOT where too many generations wait to be flushed. */
  open(number: number, nowMs: number): Generation {
    const live = this.current;
    const slot = live.head.openGeneration();
    const generation = {
      number,
      live,
      slot,
      openedMs: nowMs,
      active: true,
      pins: 0,
      flushed: false,
      isUnlogged: false,
    };
    this.#live.push(generation);
    return generation;
  }

  /**
   * Starts a new head where the present one is mostly dead series. At most two heads live, so that memory stays bounded. The
   * caller must forget the references of the old one, and peers theirs: connections begin anew with all definitions. Nothing
   * happens while one of its generations is active. Series that passed through since the last call (to other nodes) are not
   * dead.
   */
  replaceHeadIfDead(): boolean {
    const { head } = this.current;
    const { registryBytes, bytesMax } = head.stats();
    const dead = head.deadSeriesShare();
    head.clearPassing();
    const registryShare = registryBytes / bytesMax;
    const worthwhile =
      (dead > deadSeriesShareMax && registryShare > registryShareMin) ||
      (dead > 0.1 && registryShare > registryShareMax);
    const inUse = this.#live.some((generation) => generation.active);
    if (!worthwhile || inUse || this.#heads.length > 1) return false;
    this.#addHead();
    return true;
  }

  freeze(generation: Generation): void {
    if (!generation.active) return;
    generation.active = false;
    generation.live.head.freezeGeneration(generation.slot);
  }

  /** Drops generations that are flushed and unpinned, and heads that nothing lives in any more. */
  dropObsolete(): void {
    for (const generation of this.#live.filter(({ flushed, pins }) => flushed && pins === 0)) {
      generation.live.head.dropGeneration(generation.slot);
      this.#live.splice(this.#live.indexOf(generation), 1);
    }
    for (const live of this.#heads.slice(0, -1)) {
      if (this.#live.some((generation) => generation.live === live)) continue;
      live.reader.close();
      this.#heads.splice(this.#heads.indexOf(live), 1);
    }
  }

  view(generation: Generation): GenerationView {
    const { minMs, maxMs, seriesCount } = generation.live.head.generationStats(generation.slot);
    const { number, live, slot, active } = generation;
    return { generation: number, headId: live.headId, slot, active, minMs, maxMs, seriesCount };
  }

  handle({ headId, head }: LiveHead): HeadHandle {
    return { headId, memory: head.memory };
  }
}
