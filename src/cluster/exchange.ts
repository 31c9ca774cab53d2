// Requests between nodes. Whatever is asked, both sides first come to hold the same record: a request carries the hash of the
// sender's; where the receiver's differs, it does nothing but answer with its own, and is asked again with the union.
import { ByteReader, ByteWriter, errorMessage, TimbalaError } from '../base/index.ts';
import type { Codec, Encoded } from './codec.ts';
import type {
  MessageKind,
  NodeName,
  PeerFrame,
  PeerLinks,
  PeerWork,
  ReceivedFrame,
  ReceivedSamples,
  RecordHash,
  SamplesPayload,
  StoreId,
} from './contracts.ts';
import { replyHeader, requestHeader } from './messages.ts';
import { ClusterRecord } from './record/index.ts';
import type { NodeState } from './state.ts';

const attemptsMax = 4;

export interface Question<Request, Reply> {
  readonly kind: MessageKind;
  /** Kinds are few (they are priorities); the topic tells questions of a kind apart. */
  readonly topic: string;
  readonly request: Codec<Request>;
  readonly reply: Codec<Reply>;
}

export interface Answer<Reply> {
  readonly body: Reply;
  /** Of the node that answered. */
  readonly store: StoreId;
  /** The view in force there from the beginning of the answer to its end. */
  readonly viewHash: RecordHash;
}

export interface Asked<Request> {
  readonly from: NodeName;
  readonly store: StoreId;
  readonly body: Request;
  readonly samples: ReceivedSamples | undefined;
  readonly work: PeerWork;
}

type Handler<Request, Reply> = (asked: Asked<Request>) => Promise<{ body: Reply }>;

export class Exchange {
  readonly #state: NodeState;
  readonly #links: PeerLinks;
  readonly #handlers = new Map<
    string,
    (frame: ReceivedFrame, reader: ByteReader, from: NodeName, store: StoreId, work: PeerWork) => Promise<PeerFrame>
  >();
  /** The last hash that a peer showed: saves the round trip in which it would ask for the record. */
  readonly #hashes = new Map<NodeName, RecordHash>();

  constructor(state: NodeState, links: PeerLinks) {
    this.#state = state;
    this.#links = links;
    links.onRequest = (from, frame, work) => this.#take(from, frame, work);
  }

  /** Registers who answers a question. */
  answer<Request, Reply>(question: Question<Request, Reply>, handler: Handler<Request, Reply>): void {
    this.#handlers.set(question.topic, async (frame, reader, from, store, work) => {
      const body = question.request.read(reader);
      const viewHash = this.#state.view.hash;
      const { body: reply } = await handler({ from, store, body, samples: frame.samples, work });
      const isSameView = this.#state.view.hash === viewHash;
      const writer = this.#header('done', isSameView ? viewHash : '', undefined);
      question.reply.write(writer, reply);
      return { kind: frame.kind, body: writer.copy() };
    });
  }

  /**
   * Asks a node. Both have held the same record when it began to answer, and what it has learnt since is merged here. Throws
   * PEER_… errors (PEER_CANCELLED after `signal`), and what the other refused with.
   */
  async ask<Request, Reply>(
    to: NodeName,
    question: Question<Request, Reply>,
    request: Request,
    deadlineMs: number,
    samples?: SamplesPayload,
    signal?: AbortSignal,
  ): Promise<Answer<Reply>> {
    const { clock } = this.#state;
    const endMs = clock.monotonicMs() + deadlineMs;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const leftMs = endMs - clock.monotonicMs();
      if (leftMs <= 0) break;
      const frame = await this.#links.request(to, this.#request(to, question, request, samples), leftMs, signal);
      const reader = new ByteReader(frame.body);
      const header = replyHeader.read(reader);
      if (header.life && !this.#state.lives.note(header.store, header.life)) throw setBack('PEER_ROLLED_BACK', to);
      if (header.record) {
        const theirs = ClusterRecord.decode(header.record);
        this.#hashes.set(to, theirs.hash);
        await this.#state.merge(theirs);
      }
      if (header.status === 'refused') {
        if (header.code === 'STORE_ROLLED_BACK') await this.#state.abandonStore(`${to} says: ${header.reason}`);
        throw new TimbalaError(header.code, `${to}: ${header.reason}`);
      }
      this.#state.noteClock(to, header.sentMs);
      if (header.status === 'done') {
        const body = question.reply.read(reader);
        return { body, store: header.store, viewHash: header.viewHash };
      }
    }
    throw new TimbalaError('PEER_TIMEOUT', `${to} and this node did not come to hold one record in ${deadlineMs} ms`);
  }

  #request<Request, Reply>(
    to: NodeName,
    question: Question<Request, Reply>,
    request: Request,
    samples: SamplesPayload | undefined,
  ): PeerFrame {
    const { record, store, clock } = this.#state;
    const writer = new ByteWriter();
    writer.string(question.topic);
    requestHeader.write(writer, {
      clusterId: record.clusterId,
      store: store.id,
      recordHash: record.hash,
      record: this.#hashes.get(to) === record.hash ? undefined : record.encode(),
      sentMs: clock.nowMs(),
      life: this.#state.life,
    });
    question.request.write(writer, request);
    return { kind: question.kind, body: writer.copy(), samples };
  }

  #header(status: Encoded<typeof replyHeader>['status'], viewHash: string, refusal: unknown): ByteWriter {
    const { record, store, clock } = this.#state;
    const writer = new ByteWriter();
    const code = refusal instanceof TimbalaError ? refusal.code : '';
    replyHeader.write(writer, {
      status,
      store: store.id,
      viewHash,
      record: status === 'done' && viewHash !== '' ? undefined : record.encode(),
      sentMs: clock.nowMs(),
      life: this.#state.life,
      code: code || 'PEER_FAILED',
      reason: refusal === undefined ? '' : errorMessage(refusal),
    });
    return writer;
  }

  async #take(from: NodeName, frame: ReceivedFrame, work: PeerWork): Promise<PeerFrame> {
    const state = this.#state;
    try {
      const reader = new ByteReader(frame.body);
      const topic = reader.string();
      const header = requestHeader.read(reader);
      // A node that is of no cluster yet asks for one to join.
      if (header.clusterId === '') {
        return { kind: frame.kind, body: this.#header('record', state.view.hash, undefined).copy() };
      }
      if (header.clusterId !== state.record.clusterId) {
        throw new TimbalaError(
          'CLUSTER_OTHER',
          `this node is of cluster ${state.record.clusterId}, not ${header.clusterId}`,
        );
      }
      if (header.life && !state.lives.note(header.store, header.life)) throw setBack('STORE_ROLLED_BACK', from);
      state.noteClock(from, header.sentMs);
      if (header.record) await state.merge(ClusterRecord.decode(header.record));
      this.#hashes.set(from, header.recordHash);
      if (header.recordHash !== state.record.hash) {
        return { kind: frame.kind, body: this.#header('record', state.view.hash, undefined).copy() };
      }
      const handler = this.#handlers.get(topic);
      if (!handler) throw new TimbalaError('PEER_UNKNOWN', `no answer to ${topic}; a later version may have one`);
      return await handler(frame, reader, from, header.store, work);
    } catch (error) {
      // Closes the connection: only the links can do that.
      if (error instanceof TimbalaError && error.code === 'PEER_DICTIONARY') throw error;
      return { kind: frame.kind, body: this.#header('refused', state.view.hash, error).copy() };
    }
  }
}

function setBack(code: string, node: NodeName): TimbalaError {
  return new TimbalaError(code, `the log of ${node} has told of more than it holds: it was set back, or runs twice`);
}
