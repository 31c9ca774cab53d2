// memberlist's messages (docs/formats/gossip.md): a type byte, then a MessagePack map. One encoder and one decoder for each;
// decoders check every bound and throw GOSSIP_DECODE. Byte fields of decoded messages are copies: the packet may go.
import { TimbalaError, unreachable } from '../../base/index.ts';
import { type Fields, type FieldKinds, MessageReader, MessageWriter } from './msgpack.ts';

/** The first byte of every message. */
export const messageTypes = {
  ping: 0,
  indirectPing: 1,
  ack: 2,
  suspect: 3,
  alive: 4,
  dead: 5,
  pushPull: 6,
  compound: 7,
  user: 8,
  compress: 9,
  encrypt: 10,
  nack: 11,
  crc: 12,
  error: 13,
  label: 244,
} as const;

/** Bytes of a node's name in UTF-8. */
export const nameBytesMax = 255;
/** Bytes of the metadata that a node spreads about itself. */
export const metadataBytesMax = 512;

/** An address as it goes over the wire: 4 or 16 bytes, kept as they came (peers compare them byte for byte). */
export interface WireAddress {
  readonly ip: Uint8Array;
  readonly port: number;
}

/** Who asks, so that the answer goes straight back; absent from old peers. */
export interface Source {
  readonly address: WireAddress;
  readonly name: string;
}

export interface Ping {
  readonly kind: 'ping';
  readonly sequence: number;
  /** Whom it is for; '' for whoever gets it. */
  readonly node: string;
  readonly source: Source | undefined;
}

export interface IndirectPing {
  readonly kind: 'indirectPing';
  readonly sequence: number;
  readonly target: WireAddress;
  readonly node: string;
  /** The asker wants to be told when the target did not answer in time. */
  readonly wantsNack: boolean;
  readonly source: Source | undefined;
}

export interface Ack {
  readonly kind: 'ack' | 'nack';
  readonly sequence: number;
  /** Of acks: bytes of the application's, here `summaryBytes`. */
  readonly payload?: Uint8Array;
}

/** `incarnation` of `node` is suspected, or known to be dead, says `from`; a node that leaves declares itself dead. */
export interface Accusation {
  readonly kind: 'suspect' | 'dead';
  readonly incarnation: number;
  readonly node: string;
  readonly from: string;
}

export interface Alive {
  readonly kind: 'alive';
  readonly incarnation: number;
  readonly node: string;
  readonly address: WireAddress;
  readonly metadata: Uint8Array;
  /** Protocol versions: least, most, spoken; then the same of the user's own protocol. Empty from very old peers. */
  readonly versions: Uint8Array;
}

/** Something of the application's; Timbala sends none and passes over others'. */
export interface UserMessage {
  readonly kind: 'user';
}

export type Message = Ping | IndirectPing | Ack | Accusation | Alive | UserMessage;

/** What a peer knows of a member, in a push/pull. `state`: 0 alive, 1 suspect, 2 dead, 3 left. */
export interface NodeReport extends Omit<Alive, 'kind'> {
  readonly state: number;
}

/** All that a node knows, exchanged both ways over a stream. */
export interface PushPull {
  readonly kind: 'pushPull';
  /** The first exchange of a node that joins. */
  readonly isJoin: boolean;
  readonly nodes: readonly NodeReport[];
}

/** Messages that come over streams. */
export type StreamMessage = PushPull | Ping | Ack | UserMessage | { readonly kind: 'error'; readonly text: string };

const source: FieldKinds = { SourceAddr: 'bytes', SourcePort: 'uint', SourceNode: 'text' };
const pingFields: FieldKinds = { SeqNo: 'uint', Node: 'text', ...source };
const indirectPingFields: FieldKinds = { ...pingFields, Target: 'bytes', Port: 'uint', Nack: 'bool' };
const ackFields: FieldKinds = { SeqNo: 'uint', Payload: 'bytes' };
const accusationFields: FieldKinds = { Incarnation: 'uint', Node: 'text', From: 'text' };
const aliveFields: FieldKinds = {
  Incarnation: 'uint',
  Node: 'text',
  Addr: 'bytes',
  Port: 'uint',
  Meta: 'bytes',
  Vsn: 'bytes',
};
const nodeReportFields: FieldKinds = { ...aliveFields, Name: 'text', State: 'uint' };
const pushPullFields: FieldKinds = { Nodes: 'uint', UserStateLen: 'uint', Join: 'bool' };

function sourceFields(from: Source | undefined): Record<string, Uint8Array | number | string | undefined> {
  return { SourceAddr: from?.address.ip, SourcePort: from?.address.port, SourceNode: from?.name };
}

/** A new buffer with the whole message, its type byte first. */
export function encodeMessage(message: Exclude<Message, UserMessage>): Uint8Array<ArrayBuffer> {
  const writer = new MessageWriter();
  writer.byte(messageTypes[message.kind]);
  switch (message.kind) {
    case 'ping':
      writer.map({ SeqNo: message.sequence, Node: message.node, ...sourceFields(message.source) });
      break;
    case 'indirectPing':
      writer.map({
        SeqNo: message.sequence,
        Target: message.target.ip,
        Port: message.target.port,
        Node: message.node,
        Nack: message.wantsNack,
        ...sourceFields(message.source),
      });
      break;
    case 'ack':
      writer.map({ SeqNo: message.sequence, Payload: message.payload ?? new Uint8Array() });
      break;
    case 'nack':
      writer.map({ SeqNo: message.sequence });
      break;
    case 'suspect':
    case 'dead':
      writer.map({ Incarnation: message.incarnation, Node: message.node, From: message.from });
      break;
    case 'alive':
      writer.map({ Node: message.node, ...stateFields(message) });
      break;
    default:
      unreachable(message);
  }
  return writer.copy();
}

function stateFields(about: Omit<Alive, 'kind'>): Record<string, number | Uint8Array> {
  return {
    Incarnation: about.incarnation,
    Addr: about.address.ip,
    Port: about.address.port,
    Meta: about.metadata,
    Vsn: about.versions,
  };
}

/** A new buffer with the whole message, its type byte first; no user state. */
export function encodePushPull(isJoin: boolean, nodes: readonly NodeReport[]): Uint8Array<ArrayBuffer> {
  const writer = new MessageWriter();
  writer.byte(messageTypes.pushPull);
  writer.map({ Nodes: nodes.length, UserStateLen: 0, Join: isJoin });
  for (const node of nodes) writer.map({ Name: node.node, State: node.state, ...stateFields(node) });
  return writer.copy();
}

export function encodeError(text: string): Uint8Array<ArrayBuffer> {
  const writer = new MessageWriter();
  writer.byte(messageTypes.error);
  writer.map({ Error: text });
  return writer.copy();
}

function refuse(what: string): never {
  throw new TimbalaError('GOSSIP_DECODE', `${what}; the message was dropped`);
}

function readName(fields: Fields, field: string, emptyAllowed = false): string {
  const name = fields.text(field);
  if (name === '' && !emptyAllowed) refuse(`no ${field}`);
  // A UTF-16 unit is at most three bytes of UTF-8; only names in between are measured.
  if (name.length * 3 > nameBytesMax && new TextEncoder().encode(name).length > nameBytesMax) {
    refuse(`${field} of more than ${nameBytesMax} bytes`);
  }
  return name;
}

function readAddress(fields: Fields, ipField: string, portField: string): WireAddress {
  const ip = fields.bytes(ipField);
  const port = fields.uint(portField);
  if (ip.length !== 4 && ip.length !== 16) refuse(`${ipField} of ${ip.length} bytes`);
  if (port === 0 || port > 0xffff) refuse(`${portField} ${port}`);
  return { ip: ip.slice(), port };
}

function readSource(fields: Fields): Source | undefined {
  if (fields.bytes('SourceAddr').length === 0 || fields.uint('SourcePort') === 0) return undefined;
  return {
    address: readAddress(fields, 'SourceAddr', 'SourcePort'),
    name: readName(fields, 'SourceNode', true),
  };
}

function readAbout(fields: Fields, nameField: string): Omit<Alive, 'kind'> {
  const metadata = fields.bytes('Meta');
  const versions = fields.bytes('Vsn');
  if (metadata.length > metadataBytesMax) refuse(`metadata of ${metadata.length} bytes`);
  if (versions.length > 16) refuse(`${versions.length} versions`);
  return {
    incarnation: fields.uint('Incarnation'),
    node: readName(fields, nameField),
    address: readAddress(fields, 'Addr', 'Port'),
    metadata: metadata.slice(),
    versions: versions.slice(),
  };
}

/** Decodes one message that is not a container (packet.ts opens those). Throws GOSSIP_DECODE or GOSSIP_SHORT. */
export function decodeMessage(bytes: Uint8Array): Message {
  const type = bytes[0];
  const reader = new MessageReader(bytes, 1);
  switch (type) {
    case messageTypes.ping:
      return decodePing(reader);
    case messageTypes.indirectPing: {
      const fields = reader.map(indirectPingFields);
      return {
        kind: 'indirectPing',
        sequence: fields.uint('SeqNo'),
        target: readAddress(fields, 'Target', 'Port'),
        node: readName(fields, 'Node', true),
        wantsNack: fields.bool('Nack'),
        source: readSource(fields),
      };
    }
    case messageTypes.ack:
      return decodeAck(reader);
    case messageTypes.nack:
      return { kind: 'nack', sequence: reader.map(ackFields).uint('SeqNo') };
    case messageTypes.suspect:
      return decodeAccusation('suspect', reader);
    case messageTypes.dead:
      return decodeAccusation('dead', reader);
    case messageTypes.alive:
      return { kind: 'alive', ...readAbout(reader.map(aliveFields), 'Node') };
    case messageTypes.user:
      return { kind: 'user' };
    default:
      return refuse(type === undefined ? 'an empty message' : `type ${type}, which has no place here`);
  }
}

function decodePing(reader: MessageReader): Ping {
  const fields = reader.map(pingFields);
  return {
    kind: 'ping',
    sequence: fields.uint('SeqNo'),
    node: readName(fields, 'Node', true),
    source: readSource(fields),
  };
}

function decodeAck(reader: MessageReader): Ack {
  const fields = reader.map(ackFields);
  const payload = fields.bytes('Payload');
  const sequence = fields.uint('SeqNo');
  return payload.length > 0 ? { kind: 'ack', sequence, payload: payload.slice() } : { kind: 'ack', sequence };
}

function decodeAccusation(kind: 'suspect' | 'dead', reader: MessageReader): Accusation {
  const fields = reader.map(accusationFields);
  return {
    kind,
    incarnation: fields.uint('Incarnation'),
    node: readName(fields, 'Node'),
    from: readName(fields, 'From'),
  };
}

/** Reads what follows the type byte of a push/pull piece by piece, as a stream brings it. */
export function readPushPullHeader(reader: MessageReader): {
  nodesCount: number;
  userStateBytes: number;
  isJoin: boolean;
} {
  const fields = reader.map(pushPullFields);
  return { nodesCount: fields.uint('Nodes'), userStateBytes: fields.uint('UserStateLen'), isJoin: fields.bool('Join') };
}

export function readNodeReport(reader: MessageReader): NodeReport {
  const fields = reader.map(nodeReportFields);
  const state = fields.uint('State');
  if (state > 3) refuse(`node state ${state}`);
  return { ...readAbout(fields, 'Name'), state };
}

/** Reads a whole stream message of a kind other than push/pull, after its type byte. */
export function readStreamMessage(type: number, reader: MessageReader): StreamMessage {
  if (type === messageTypes.ping) return decodePing(reader);
  if (type === messageTypes.ack) return decodeAck(reader);
  // What follows a user message is not read: the stream is closed.
  if (type === messageTypes.user) return { kind: 'user' };
  if (type === messageTypes.error)
    return { kind: 'error', text: reader.map({ Error: 'text' }).text('Error').slice(0, 200) };
  return refuse(`stream of type ${type}`);
}
