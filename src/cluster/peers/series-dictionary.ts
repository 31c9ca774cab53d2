// The two ends of a connection's series dictionary. Labels cross a connection once; afterwards series are the sender's
// references. A dictionary ends with its connection, and with the numbering of either side: a head that is replaced numbers
// its series anew. The sender begins the next one by another *edition*, a number that it writes beside all samples; the
// receiver, whose own numbering may have changed, refuses the samples of an edition that is void, and waits for the next.
// Bounded: one bit a series at the sender, four bytes at the receiver.
import { TimbalaError } from '../../base/index.ts';
import type { LocalStore, SamplesPayload } from '../contracts.ts';

/** References are dense numbers of a head; a node with more series than this has no memory left for them. */
const refsMax = 1 << 26;
const refsMin = 1 << 10;
export const undefinedRef = 0xffff_ffff;

type RegisteredSeries = Awaited<ReturnType<LocalStore['register']>>;

/** Which series the other side knows. */
export class SentSeries {
  /** Told to the other side with all samples: what was defined under another number counts no more. */
  edition = 0;
  #dictionary: number | undefined;
  #bits = new Uint8Array(0);

  /** The other side knows nothing any more. */
  restart(): void {
    this.edition++;
    this.#bits = new Uint8Array(0);
  }

  /** The series of a payload that the other side does not know yet, each once. */
  due({ dictionary, seriesRefs }: SamplesPayload): Uint32Array {
    if (dictionary !== this.#dictionary) {
      this.#dictionary = dictionary;
      this.restart();
    }
    const due: number[] = [];
    for (let i = 0; i < seriesRefs.length; i++) {
      const ref = seriesRefs[i] ?? 0;
      if (((this.#bits[ref >> 3] ?? 0) & (1 << (ref & 7))) === 0) due.push(ref);
    }
    // A series may have several rows.
    return due.length === 0 ? noRefs : Uint32Array.from(new Set(due));
  }

  /** These definitions are on their way, before anything that is sent from now on. */
  markSent(refs: Uint32Array): void {
    for (const ref of refs) {
      const at = ref >> 3;
      if (at >= this.#bits.length) {
        const grown = new Uint8Array(Math.max(refsMin >> 3, this.#bits.length * 2, at + 1));
        grown.set(this.#bits);
        this.#bits = grown;
      }
      this.#bits[at] = (this.#bits[at] ?? 0) | (1 << (ref & 7));
    }
  }
}

const noRefs = new Uint32Array(0);

/** Which series of ours the sender's references mean. */
export class KnownSeries {
  #edition: number | undefined;
  #isVoid = false;
  #ownDictionary: number | undefined;
  #ownRefs = unknownRefs(refsMin);

  /** The number of our own numbering that `ownRefs` belongs to; 0 before the first definition, when there are none. */
  get ownDictionary(): number {
    return this.#ownDictionary ?? 0;
  }

  /**
   * Ours by the sender's reference, `undefinedRef` where it has not defined it, none beyond the end. Shared memory: a thread
   * that was given it reads what was defined before. Later definitions may go into a new, longer one.
   */
  get ownRefs(): Uint32Array<SharedArrayBuffer> {
    return this.#ownRefs;
  }

  /**
   * To be called for each message with samples, in order of arrival: another edition of the sender's ends all definitions.
   * Throws PEER_DICTIONARY where the edition is void.
   */
  begin(edition: number): void {
    if (edition !== this.#edition) {
      this.#edition = edition;
      this.#isVoid = false;
      this.#ownDictionary = undefined;
      this.#ownRefs = unknownRefs(refsMin);
    }
    if (this.#isVoid) throw new TimbalaError('PEER_DICTIONARY', 'the definitions before it are void; send them anew');
  }

  /** Samples of this edition turned out to name series wrongly, or by an earlier numbering of ours. */
  voidEdition(edition: number): void {
    if (edition === this.#edition) this.#isVoid = true;
  }

  /** Takes definitions. Throws PEER_DICTIONARY where our own numbering has changed since the first, or a reference is too large. */
  define({ dictionary, senderRefs, ownRefs }: RegisteredSeries): void {
    if (this.#ownDictionary !== undefined && dictionary !== this.#ownDictionary) {
      throw new TimbalaError('PEER_DICTIONARY', 'our series were numbered anew; send the definitions again');
    }
    this.#ownDictionary = dictionary;
    for (let i = 0; i < senderRefs.length; i++) {
      const ref = senderRefs[i] ?? undefinedRef;
      if (ref >= refsMax) throw new TimbalaError('PEER_DICTIONARY', `reference ${ref}, at most ${refsMax - 1}`);
      if (ref >= this.#ownRefs.length) {
        const grown = unknownRefs(Math.max(this.#ownRefs.length * 2, ref + 1));
        grown.set(this.#ownRefs);
        this.#ownRefs = grown;
      }
      this.#ownRefs[ref] = ownRefs[i] ?? undefinedRef;
    }
  }
}

function unknownRefs(count: number): Uint32Array<SharedArrayBuffer> {
  return new Uint32Array(new SharedArrayBuffer(count * Uint32Array.BYTES_PER_ELEMENT)).fill(undefinedRef);
}
