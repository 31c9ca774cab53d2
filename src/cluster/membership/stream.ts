// Messages over streams: one request, one answer, then the stream ends. A message has no length before it (unless it is
// encrypted), so its end is where it has been read whole: the decoder takes bytes as they come and goes on where it stopped.
import { hasCode, TimbalaError } from '../../base/index.ts';
import { type Keyring, sealBytes } from './keyring.ts';
import { messageTypes, type NodeReport, readNodeReport, readPushPullHeader, readStreamMessage } from './messages.ts';
import type { StreamMessage } from './messages.ts';
import { MessageReader, MessageWriter } from './msgpack.ts';
import { compressMessage, readCompressed } from './packet.ts';

/** A message on the wire, and what it decompresses to. memberlist allows as much. */
const streamBytesMax = 20 * 1024 * 1024;
/** Nodes in a push/pull, so that the work for one message is bounded. */
const nodesMax = 100_000;
/** Type and length before an encrypted message; both are authenticated with it. */
const envelopeBytes = 5;

/** A new buffer with a message as it goes over a stream. */
export function sealStream(message: Uint8Array, keyring: Keyring | undefined): Uint8Array {
  const compressed = compressMessage(message);
  if (!keyring) return compressed;
  const envelope = new Uint8Array(envelopeBytes);
  envelope[0] = messageTypes.encrypt;
  new DataView(envelope.buffer).setUint32(1, compressed.length + sealBytes);
  const writer = new MessageWriter();
  writer.bytes(envelope);
  writer.bytes(keyring.seal(compressed, envelope));
  return writer.copy();
}

/** Takes the bytes of one stream as they come, until they make a message. */
export class StreamDecoder {
  readonly #keyring: Keyring | undefined;
  #bytes = new Uint8Array(512);
  #length = 0;
  /** Bytes that must be there before reading on makes sense. */
  #neededBytes = 1;
  #pushPull: PushPullDecoder | undefined;

  constructor(keyring: Keyring | undefined) {
    this.#keyring = keyring;
  }

  /**
   * The message once it is whole; undefined while more is to come. Throws GOSSIP_DECODE, GOSSIP_TOO_LARGE and GOSSIP_DECRYPT:
   * the stream is of no use then. What follows a message is ignored.
   */
  push(chunk: Uint8Array): StreamMessage | undefined {
    this.#append(chunk);
    if (this.#length < this.#neededBytes) return undefined;
    const bytes = this.#bytes.subarray(0, this.#length);
    try {
      return this.#decode(bytes);
    } catch (error) {
      if (!hasCode(error, 'GOSSIP_SHORT')) throw error;
      if (this.#length >= streamBytesMax) tooLarge(this.#length);
      return undefined;
    }
  }

  #append(chunk: Uint8Array): void {
    const length = this.#length + chunk.length;
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, length));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(chunk, this.#length);
    this.#length = length;
  }

  #decode(bytes: Uint8Array): StreamMessage | undefined {
    if (bytes[0] === messageTypes.encrypt) return this.#decodeEncrypted(bytes);
    if (this.#keyring) {
      throw new TimbalaError('GOSSIP_DECRYPT', 'a stream that is not encrypted; it was closed. Has the node our key?');
    }
    return this.#decodePlain(bytes, true);
  }

  #decodeEncrypted(bytes: Uint8Array): StreamMessage | undefined {
    if (!this.#keyring) {
      throw new TimbalaError('GOSSIP_DECRYPT', 'an encrypted stream, and we have no key; it was closed');
    }
    if (bytes.length < envelopeBytes) return undefined;
    const sealedBytes = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
    if (sealedBytes > streamBytesMax) tooLarge(sealedBytes);
    this.#neededBytes = envelopeBytes + sealedBytes;
    if (bytes.length < this.#neededBytes) return undefined;
    const envelope = bytes.subarray(0, envelopeBytes);
    const plain = this.#keyring.open(bytes.subarray(envelopeBytes, this.#neededBytes), envelope);
    return whole(() => this.#decodePlain(plain, true));
  }

  #decodePlain(bytes: Uint8Array, mayBeCompressed: boolean): StreamMessage {
    const type = bytes[0] ?? messageTypes.label;
    if (type === messageTypes.compress && mayBeCompressed) {
      // Without encryption this is read again with every chunk, but only its header: the rest is one byte string.
      const plain = readCompressed(new MessageReader(bytes, 1), streamBytesMax);
      return whole(() => this.#decodePlain(plain, false));
    }
    if (type !== messageTypes.pushPull) return readStreamMessage(type, new MessageReader(bytes, 1));
    this.#pushPull ??= new PushPullDecoder();
    return this.#pushPull.decode(bytes);
  }
}

/** A message that is there whole: where it ends early it is damaged, and nothing more will come. */
function whole(decode: () => StreamMessage): StreamMessage {
  try {
    return decode();
  } catch (cause) {
    if (!hasCode(cause, 'GOSSIP_SHORT')) throw cause;
    throw new TimbalaError('GOSSIP_DECODE', 'a message that ends early; the stream was closed', { cause });
  }
}

function tooLarge(bytes: number): never {
  throw new TimbalaError(
    'GOSSIP_TOO_LARGE',
    `a message of ${bytes} bytes, at most ${streamBytesMax}; the stream was closed`,
  );
}

/** Reads a push/pull node by node: each is decoded once, however the bytes are cut. */
class PushPullDecoder {
  #position = 1;
  #header: ReturnType<typeof readPushPullHeader> | undefined;
  readonly #nodes: NodeReport[] = [];

  decode(bytes: Uint8Array): StreamMessage {
    const reader = new MessageReader(bytes, this.#position);
    if (!this.#header) {
      this.#header = readPushPullHeader(reader);
      this.#position = reader.position;
      if (this.#header.nodesCount > nodesMax) {
        throw new TimbalaError('GOSSIP_TOO_LARGE', `${this.#header.nodesCount} nodes, at most ${nodesMax}`);
      }
      if (this.#header.userStateBytes > streamBytesMax) tooLarge(this.#header.userStateBytes);
    }
    while (this.#nodes.length < this.#header.nodesCount) {
      this.#nodes.push(readNodeReport(reader));
      this.#position = reader.position;
    }
    reader.view(this.#header.userStateBytes);
    return { kind: 'pushPull', isJoin: this.#header.isJoin, nodes: this.#nodes };
  }
}
