// The first frame of each side of a peer connection (docs/formats/peer.md): who it is, what it can read, and how much it
// will take before it gives credit back. Later programs may append fields; what follows the known ones is passed over.
import { ByteReader, ByteWriter, TimbalaError } from '../base/index.ts';
import { decodePeerBody } from './peer-frame.ts';

/** Versions of the frames that this program speaks. */
export const peerVersions = { min: 1, max: 1 } as const;

export interface PeerOpening {
  readonly versionMin: number;
  readonly versionMax: number;
  /** 32 hexadecimal digits, as are store and record hash. */
  readonly clusterId: string;
  readonly node: string;
  readonly store: string;
  readonly recordHash: string;
  /** The highest version of each format, by name, that the node reads. */
  readonly formats: ReadonlyMap<string, number>;
  /** Whom the connection is meant for: who finds itself at another's old address says so. '' for whoever is there, and in answers. */
  readonly to: string;
  /** The number of the class of messages that the connection carries. */
  readonly connectionClass: number;
  /** Bytes that the other side may send before it needs credit. */
  readonly windowBytes: number;
}

const magic = 'TMBLPEER';
const idBytes = 16;
const formatsMax = 64;

function writeId(writer: ByteWriter, digits: string): void {
  if (!/^[0-9a-f]{32}$/.test(digits)) {
    throw new TimbalaError('ASSERTION_FAILED', `${JSON.stringify(digits)} is no id of 32 hexadecimal digits`);
  }
  writer.bytes(Uint8Array.from({ length: idBytes }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16)));
}

function readId(reader: ByteReader): string {
  return Array.from(reader.bytes(idBytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function encodePeerOpening(opening: PeerOpening): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  writer.string(magic);
  writer.u8(opening.versionMin);
  writer.u8(opening.versionMax);
  writer.u8(opening.connectionClass);
  writer.u32(opening.windowBytes);
  writeId(writer, opening.clusterId);
  writeId(writer, opening.store);
  writeId(writer, opening.recordHash);
  writer.string(opening.node);
  writer.string(opening.to);
  writer.uvarint(opening.formats.size);
  for (const [name, version] of opening.formats) {
    writer.string(name);
    writer.uvarint(version);
  }
  return writer.copy();
}

/** Throws PEER_FRAME_CORRUPT: whoever speaks there is no node of Timbala. */
export function decodePeerOpening(body: Uint8Array): PeerOpening {
  return decodePeerBody('opening', () => {
    const reader = new ByteReader(body);
    if (reader.string() !== magic) throw new TimbalaError('PEER_FRAME_CORRUPT', 'an opening that is not ours');
    const versionMin = reader.u8();
    const versionMax = reader.u8();
    const connectionClass = reader.u8();
    const windowBytes = reader.u32();
    const clusterId = readId(reader);
    const store = readId(reader);
    const recordHash = readId(reader);
    const node = reader.string();
    const to = reader.string();
    const formatsCount = reader.uvarint();
    if (formatsCount > formatsMax) throw new TimbalaError('PEER_FRAME_CORRUPT', `${formatsCount} formats`);
    const formats = new Map<string, number>();
    for (let i = 0; i < formatsCount; i++) formats.set(reader.string(), reader.uvarint());
    return {
      versionMin,
      versionMax,
      clusterId,
      node,
      store,
      recordHash,
      formats,
      to,
      connectionClass,
      windowBytes,
    };
  });
}

/** The version that two sides speak: the highest that both know; undefined where there is none. */
export function commonPeerVersion(theirs: Pick<PeerOpening, 'versionMin' | 'versionMax'>): number | undefined {
  const version = Math.min(peerVersions.max, theirs.versionMax);
  return version >= Math.max(peerVersions.min, theirs.versionMin) ? version : undefined;
}
