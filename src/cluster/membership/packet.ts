// What lies around messages on the wire (docs/formats/gossip.md), from the outside in: encryption, checksum, compression,
// compound. Packets come from anyone: depth, counts and sizes are bounded before anything is allocated for them.
import { crc32 } from 'node:zlib';
import { assert, TimbalaError } from '../../base/index.ts';
import type { Keyring } from './keyring.ts';
import { compressLzw, decompressLzw } from './lzw.ts';
import { decodeMessage, type Message, messageTypes } from './messages.ts';
import { MessageReader, MessageWriter } from './msgpack.ts';

/** Bytes of a datagram that we send: fits an Ethernet frame, as memberlist's. */
export const packetBytesMax = 1400;
/** A compound's type and count, and the length before each of its messages. */
export const compoundBytes = 2;
export const compoundEntryBytes = 2;
export const crcBytes = 5;
const compoundMessagesMax = 255;
/** Messages smaller than this rarely shrink. */
const compressFromBytes = 256;
/** Bytes that a packet may decompress to; ours are never larger than a packet. */
const decompressedBytesMax = 64 * 1024;
/** Containers in one another: a compressed compound is two. */
const depthMax = 4;
/** Messages that one packet may hold. */
const messagesMax = 1024;

const nothing = new Uint8Array();

/** Joins messages to one; a single message is itself. */
export function joinMessages(messages: readonly Uint8Array[]): Uint8Array {
  const [first] = messages;
  if (messages.length === 1 && first) return first;
  assert(messages.length <= compoundMessagesMax, 'a compound counts its messages in a byte');
  const writer = new MessageWriter();
  writer.byte(messageTypes.compound);
  writer.byte(messages.length);
  for (const { length } of messages) {
    writer.byte(length >>> 8);
    writer.byte(length & 0xff);
  }
  for (const message of messages) writer.bytes(message);
  return writer.copy();
}

/** The compressed message, or `message` itself where that is no longer. */
export function compressMessage(message: Uint8Array): Uint8Array {
  if (message.length < compressFromBytes) return message;
  const writer = new MessageWriter();
  writer.byte(messageTypes.compress);
  writer.map({ Algo: 0, Buf: compressLzw(message) });
  const compressed = writer.copy();
  return compressed.length < message.length ? compressed : message;
}

function addCrc(message: Uint8Array): Uint8Array {
  const packet = new Uint8Array(crcBytes + message.length);
  packet[0] = messageTypes.crc;
  new DataView(packet.buffer).setUint32(1, crc32(message));
  packet.set(message, crcBytes);
  return packet;
}

/**
 * A packet of at most 255 messages. Encrypted packets need no checksum: their tag is one. Packets are not compressed, though
 * peers may: news is chosen by its size before, so that it would save no packet, only time if it were not done.
 */
export function sealPacket(
  messages: readonly Uint8Array[],
  keyring: Keyring | undefined,
  withCrc: boolean,
): Uint8Array {
  const message = joinMessages(messages);
  if (keyring) return keyring.seal(message, nothing);
  return withCrc ? addCrc(message) : message;
}

/**
 * The messages in a packet. Throws GOSSIP_DECODE, GOSSIP_SHORT, GOSSIP_TOO_LARGE, GOSSIP_CRC or GOSSIP_DECRYPT for the whole
 * packet; with a keyring, plain packets are refused.
 */
export function openPacket(packet: Uint8Array, keyring: Keyring | undefined): Message[] {
  let message = keyring ? keyring.open(packet, nothing) : packet;
  if (message[0] === messageTypes.crc) {
    if (message.length < crcBytes)
      throw new TimbalaError('GOSSIP_SHORT', 'a checksum without a message; it was dropped');
    const expected = new DataView(message.buffer, message.byteOffset).getUint32(1);
    message = message.subarray(crcBytes);
    if (crc32(message) !== expected) throw new TimbalaError('GOSSIP_CRC', 'a damaged packet; it was dropped');
  }
  const messages: Message[] = [];
  openMessage(message, 0, messages);
  return messages;
}

function openMessage(message: Uint8Array, depth: number, messages: Message[]): void {
  const type = message[0];
  if (type !== messageTypes.compound && type !== messageTypes.compress) {
    if (messages.length === messagesMax) {
      throw new TimbalaError('GOSSIP_TOO_LARGE', `more than ${messagesMax} messages in a packet; it was dropped`);
    }
    messages.push(decodeMessage(message));
    return;
  }
  if (depth === depthMax)
    throw new TimbalaError('GOSSIP_DECODE', 'containers nested too deeply; the packet was dropped');
  if (type === messageTypes.compress) {
    openMessage(readCompressed(new MessageReader(message, 1), decompressedBytesMax), depth + 1, messages);
    return;
  }
  const reader = new MessageReader(message, 1);
  const lengths = reader.view(reader.byte() * compoundEntryBytes);
  for (let i = 0; i < lengths.length; i += compoundEntryBytes) {
    const length = (lengths[i] ?? 0) * 256 + (lengths[i + 1] ?? 0);
    openMessage(reader.view(length), depth + 1, messages);
  }
}

/** The content of a compress message whose type byte has been read. */
export function readCompressed(reader: MessageReader, bytesMax: number): Uint8Array {
  const fields = reader.map({ Algo: 'uint', Buf: 'bytes' });
  const algorithm = fields.uint('Algo');
  if (algorithm !== 0) throw new TimbalaError('GOSSIP_DECODE', `compression ${algorithm}; the message was dropped`);
  return decompressLzw(fields.bytes('Buf'), bytesMax);
}
