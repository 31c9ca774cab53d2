// What a part says of itself: meta.json for people and for the catalog, and the footer of the index, which pins the roots
// of all trees (docs/formats/part.md).
import { crc32 } from 'node:zlib';
import { ByteReader, ByteWriter, TimbalaError } from '../../base/index.ts';
import type { Disk } from '../../ports/index.ts';
import { type BlockFile, type BlockFileWriter, blockKind, magicBytesCount } from '../index/block-file.ts';
import type { PartMeta } from './types.ts';

/** The version of the directory's format: of everything in it. */
export const partFormat = 1;
export const pagesMagic = 'TMBpage1';
export const indexMagic = 'TMBindx1';
const trailerBytes = 16;

export const partFile = {
  pages: (directory: string): string => `${directory}/pages`,
  index: (directory: string): string => `${directory}/index`,
  meta: (directory: string): string => `${directory}/meta.json`,
};

/** The trees that every part has. Readers pass over what they don't know. */
const treeNames = ['names', 'pairs', 'postings', 'series', 'timelines', 'columns', 'tiles', 'digests'] as const;
export type TreeName = (typeof treeNames)[number];
/** Trees that parts of earlier versions don't have. */
const laterTreeNames = ['partitions'] as const;
export type LaterTreeName = (typeof laterTreeNames)[number];

export interface TreeRoot {
  /** Ordinals are 0 to entriesCount − 1. */
  readonly entriesCount: number;
  readonly root: Uint8Array;
}

export interface Footer {
  readonly startMs: number;
  readonly endMs: number;
  readonly stripeMs: number;
  readonly pagesBytes: number;
  readonly trees: Readonly<Record<TreeName, TreeRoot> & Partial<Record<LaterTreeName, TreeRoot>>>;
}

/** Ends the index file with the footer and the trailer that leads to it. */
export function writeFooter(file: BlockFileWriter, footer: Footer): void {
  const writer = new ByteWriter(4096);
  writer.u8(partFormat);
  writer.i64(footer.startMs);
  writer.i64(footer.endMs);
  writer.uvarint(footer.stripeMs);
  writer.uvarint(footer.pagesBytes);
  const trees = [...treeNames, ...laterTreeNames].flatMap((name) => {
    const tree = footer.trees[name];
    return tree ? [{ kind: blockKind[name], ...tree }] : [];
  });
  writer.uvarint(trees.length);
  for (const { kind, entriesCount, root } of trees) {
    writer.u8(kind);
    writer.uvarint(entriesCount);
    writer.uvarint(root.length);
    writer.bytes(root);
  }
  const { bytesCount } = file.writeBlock(blockKind.footer, writer.view());
  const trailer = new ByteWriter(trailerBytes);
  trailer.u32(bytesCount);
  trailer.bytes(new TextEncoder().encode(indexMagic));
  trailer.u32(crc32(trailer.view()));
  file.append(trailer.view());
}

/** Reads trailer and footer: one read of the file's end for most parts. Throws PART_CORRUPT. */
export function readFooter(file: BlockFile): Footer {
  const sizeBytes = file.sizeBytes();
  if (sizeBytes < magicBytesCount + trailerBytes) throw file.corrupt(0, `a file of ${sizeBytes} bytes`);
  const tailBytes = Math.min(sizeBytes, 64 * 1024);
  const tailOffset = sizeBytes - tailBytes;
  const tail = file.readBytes(tailOffset, tailBytes);
  const trailerAt = tailBytes - trailerBytes;
  const trailer = new ByteReader(tail, trailerAt);
  const bytesCount = trailer.u32();
  const magic = Buffer.from(trailer.bytes(magicBytesCount)).toString('latin1');
  const checksum = trailer.u32();
  if (magic !== indexMagic) throw file.corrupt(sizeBytes - trailerBytes, 'no trailer of an index of this version');
  if (checksum !== crc32(tail.subarray(trailerAt, trailerAt + 12))) {
    throw file.corrupt(sizeBytes - trailerBytes, 'the trailer does not match its checksum');
  }
  const offset = sizeBytes - trailerBytes - bytesCount;
  const payload =
    offset >= tailOffset
      ? file.parseBlock(blockKind.footer, tail.subarray(offset - tailOffset, trailerAt), offset)
      : file.readBlock(blockKind.footer, { offset, bytesCount });
  return file.decoding(offset, () => decodeFooter(payload, file, offset));
}

function decodeFooter(payload: Uint8Array, file: BlockFile, offset: number): Footer {
  const reader = new ByteReader(payload);
  const format = reader.u8();
  if (format !== partFormat) throw file.corrupt(offset, `format ${format} is not known to this version`);
  const startMs = reader.i64();
  const endMs = reader.i64();
  const stripeMs = reader.uvarint();
  const pagesBytes = reader.uvarint();
  const roots = new Map<number, TreeRoot>();
  for (let left = reader.uvarint(); left > 0; left--) {
    const kind = reader.u8();
    const entriesCount = reader.uvarint();
    roots.set(kind, { entriesCount, root: Uint8Array.from(reader.bytes(reader.uvarint())) });
  }
  const tree = (name: TreeName): TreeRoot => {
    const root = roots.get(blockKind[name]);
    if (!root) throw file.corrupt(offset, `the tree of ${name} is missing`);
    return root;
  };
  const later: Partial<Record<LaterTreeName, TreeRoot>> = {};
  for (const name of laterTreeNames) {
    const root = roots.get(blockKind[name]);
    if (root) later[name] = root;
  }
  const trees = {
    names: tree('names'),
    pairs: tree('pairs'),
    postings: tree('postings'),
    series: tree('series'),
    timelines: tree('timelines'),
    columns: tree('columns'),
    tiles: tree('tiles'),
    digests: tree('digests'),
    ...later,
  };
  return { startMs, endMs, stripeMs, pagesBytes, trees };
}

/** Writes meta.json: the facts, and the checksum of their JSON text. */
export function writeMeta(disk: Disk, directory: string, meta: PartMeta): number {
  const text = `${JSON.stringify({ crc32: checksumOf(meta), meta }, undefined, 2)}\n`;
  const bytes = new TextEncoder().encode(text);
  const file = disk.open(partFile.meta(directory), 'create');
  try {
    file.write(bytes, 0);
    file.sync();
  } finally {
    file.close();
  }
  return bytes.length;
}

function checksumOf(meta: unknown): string {
  return crc32(JSON.stringify(meta)).toString(16).padStart(8, '0');
}

/** Throws PART_CORRUPT, or DISK_NOT_FOUND. */
export function readMeta(disk: Disk, directory: string): { readonly meta: PartMeta; readonly bytesCount: number } {
  const path = partFile.meta(directory);
  const file = disk.open(path, 'read');
  const bytes = new Uint8Array(file.sizeBytes());
  try {
    file.read(bytes, 0);
  } finally {
    file.close();
  }
  const corrupt = (what: string, cause?: unknown): TimbalaError =>
    new TimbalaError('PART_CORRUPT', `${path}: ${what}; the part cannot be opened`, { cause });
  let parsed: { readonly crc32?: unknown; readonly meta?: unknown };
  try {
    parsed = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw corrupt('not JSON', cause);
  }
  const isMeta = typeof parsed === 'object' && parsed !== null && typeof parsed.meta === 'object';
  if (!isMeta || parsed.crc32 !== checksumOf(parsed.meta)) {
    throw corrupt('its contents do not match their checksum');
  }
  // The checksum vouches for the shape: only writeMeta makes one.
  const meta = parsed.meta as PartMeta;
  if (meta.format !== partFormat) throw corrupt(`format ${meta.format} is not known to this version`);
  return { meta, bytesCount: bytes.length };
}
