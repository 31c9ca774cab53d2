// What every member lets all others know through gossip (docs/formats/gossip.md): which cluster it is of, and by a hash
// which record it holds, so that who holds another asks for it at once. Small by necessity: it travels with each alive message.
import { ByteReader, ByteWriter, TimbalaError } from '../../base/index.ts';
import { requireMetadata } from './state.ts';

export interface NodeMetadata {
  /** 32 hexadecimal digits; '' while the node is of no cluster. */
  readonly clusterId: string;
  /** 32 hexadecimal digits; '' while the node has no record. */
  readonly recordHash: string;
  /** Where peer connections are taken: HOST:PORT. */
  readonly peerAddress: string;
  /** The highest version of each format, by name, that the node reads. */
  readonly formats: Readonly<Record<string, number>>;
}

const magic = 'TMBL';
/** Later versions append fields, which is no new version; another number means that nothing here can be read. */
const version = 1;
const idBytes = 16;
const formatsMax = 32;

/** Throws GOSSIP_METADATA where it does not fit. */
export function encodeMetadata({ clusterId, recordHash, peerAddress, formats }: NodeMetadata): Uint8Array {
  const writer = new ByteWriter();
  writer.string(magic);
  writer.u8(version);
  writeId(writer, clusterId);
  writeId(writer, recordHash);
  writer.string(peerAddress);
  const entries = Object.entries(formats);
  writer.uvarint(entries.length);
  for (const [name, number] of entries) {
    writer.string(name);
    writer.uvarint(number);
  }
  const encoded = writer.copy();
  requireMetadata(encoded);
  return encoded;
}

/** Undefined where the bytes are not ours: a plain memberlist node, or a program too new to be understood. */
export function decodeMetadata(metadata: Uint8Array): NodeMetadata | undefined {
  try {
    const reader = new ByteReader(metadata);
    if (reader.string() !== magic || reader.u8() !== version) return undefined;
    const clusterId = readId(reader);
    const recordHash = readId(reader);
    const peerAddress = reader.string();
    const formatsCount = reader.uvarint();
    if (formatsCount > formatsMax) return undefined;
    const formats: Record<string, number> = Object.create(null);
    for (let i = 0; i < formatsCount; i++) formats[reader.string()] = reader.uvarint();
    return { clusterId, recordHash, peerAddress, formats };
  } catch (error) {
    if (error instanceof TimbalaError && error.code.startsWith('DECODE_')) return undefined;
    throw error;
  }
}

function writeId(writer: ByteWriter, digits: string): void {
  if (digits !== '' && !/^[0-9a-f]{32}$/.test(digits)) {
    throw new TimbalaError('ASSERTION_FAILED', `${JSON.stringify(digits)} is no id of 32 hexadecimal digits`);
  }
  const bytes = new Uint8Array(idBytes);
  for (let i = 0; i < digits.length / 2; i++) bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  writer.bytes(bytes);
}

/** Zeros, which no id and no hash is in practice, stand for ''. */
function readId(reader: ByteReader): string {
  const bytes = reader.bytes(idBytes);
  if (bytes.every((byte) => byte === 0)) return '';
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
