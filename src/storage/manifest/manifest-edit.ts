// What MANIFEST says, and the edits it is made of (docs/formats/manifest.md). Pure: the file is manifest-file.ts's.
import { ByteReader, ByteWriter, TimbalaError } from '../../base/index.ts';

/** A part in the catalog; its directory is parts/<id>. */
export interface PartEntry {
  readonly id: number;
  readonly level: number;
  /** The window, half-open. */
  readonly startMs: number;
  readonly endMs: number;
  /** Of its samples, inclusive. */
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly seriesCount: number;
  readonly samplesCount: number;
  readonly sizeBytes: number;
  /** The last tombstone that was applied when it was written. */
  readonly tombstoneSeq: number;
}

/** Deleted: the samples of these series within [startMs, endMs], whenever they arrive. */
export interface Tombstone {
  readonly seq: number;
  readonly startMs: number;
  /** Inclusive. */
  readonly endMs: number;
  /** 16 bytes each, one after another, sorted. */
  readonly fingerprints: Uint8Array;
  /** Where it is there: also all series that it selects, known now or later. */
  readonly rule?: DeleteRule;
}

/** What a cluster's delete selects (selectors.ts). */
export interface DeleteRule {
  readonly id: string;
  readonly selectors: Uint8Array;
}

/** What was held of these partitions has gone to other nodes: parts whose `tombstoneSeq` is before `seq` no longer show it. */
export interface PartitionDrop {
  readonly seq: number;
  readonly partitions: Uint16Array;
}

/** One atomic change. */
export interface ManifestEdit {
  readonly add?: readonly PartEntry[];
  /** Part ids. */
  readonly remove?: readonly number[];
  /** All generations of the lane up to this one are in parts: their logs are obsolete. */
  readonly flushed?: { readonly lane: number; readonly generation: number };
  readonly addTombstones?: readonly Tombstone[];
  /** Tombstones whose range is before the horizon: no sample of it can arrive any more. */
  readonly removeTombstones?: readonly number[];
  readonly addDrops?: readonly PartitionDrop[];
  /** Drops that no part is older than. */
  readonly removeDrops?: readonly number[];
  /** Retention by size, or the cluster's, hides everything before. The cluster's goes back when it is set longer again. */
  readonly sizeHorizonMs?: number;
}

/** The state that all edits together make. */
export class ManifestState {
  readonly parts = new Map<number, PartEntry>();
  readonly flushedGenerations = new Map<number, number>();
  readonly tombstones = new Map<number, Tombstone>();
  readonly drops = new Map<number, PartitionDrop>();
  /** Never reused, also not after the part has gone. */
  nextPartId = 1;
  /** Of the last tombstone or drop ever; 0: none. */
  tombstoneSeq = 0;
  sizeHorizonMs = Number.MIN_SAFE_INTEGER;

  apply(edit: ManifestEdit): void {
    for (const part of edit.add ?? []) {
      this.parts.set(part.id, part);
      this.nextPartId = Math.max(this.nextPartId, part.id + 1);
    }
    for (const id of edit.remove ?? []) {
      if (!this.parts.delete(id))
        throw new TimbalaError('MANIFEST_CORRUPT', `an edit removes part ${id}, which is not there`);
    }
    if (edit.flushed) this.flushedGenerations.set(edit.flushed.lane, edit.flushed.generation);
    for (const tombstone of edit.addTombstones ?? []) {
      this.tombstones.set(tombstone.seq, tombstone);
      this.tombstoneSeq = Math.max(this.tombstoneSeq, tombstone.seq);
    }
    for (const seq of edit.removeTombstones ?? []) this.tombstones.delete(seq);
    for (const drop of edit.addDrops ?? []) {
      this.drops.set(drop.seq, drop);
      this.tombstoneSeq = Math.max(this.tombstoneSeq, drop.seq);
    }
    for (const seq of edit.removeDrops ?? []) this.drops.delete(seq);
    if (edit.sizeHorizonMs !== undefined) this.sizeHorizonMs = edit.sizeHorizonMs;
  }
}

const tags = {
  add: 1,
  remove: 2,
  flushed: 3,
  tombstone: 4,
  removeTombstone: 5,
  sizeHorizon: 6,
  counters: 7,
  rule: 8,
  drop: 9,
  removeDrop: 10,
} as const;

function writePart(writer: ByteWriter, part: PartEntry): void {
  writer.u8(tags.add);
  writer.uvarint(part.id);
  writer.u8(part.level);
  writer.i64(part.startMs);
  writer.i64(part.endMs);
  writer.i64(part.minTimeMs);
  writer.i64(part.maxTimeMs);
  writer.uvarint(part.seriesCount);
  writer.uvarint(part.samplesCount);
  writer.uvarint(part.sizeBytes);
  writer.uvarint(part.tombstoneSeq);
}

function writeTombstone(writer: ByteWriter, { seq, startMs, endMs, fingerprints, rule }: Tombstone): void {
  writer.u8(rule ? tags.rule : tags.tombstone);
  writer.uvarint(seq);
  writer.i64(startMs);
  writer.i64(endMs);
  writer.uvarint(fingerprints.length / 16);
  writer.bytes(fingerprints);
  if (!rule) return;
  writer.string(rule.id);
  writer.uvarint(rule.selectors.length);
  writer.bytes(rule.selectors);
}

function writeDrop(writer: ByteWriter, { seq, partitions }: PartitionDrop): void {
  writer.u8(tags.drop);
  writer.uvarint(seq);
  writer.uvarint(partitions.length);
  for (const partition of partitions) writer.u16(partition);
}

export function encodeEdit(edit: ManifestEdit): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  for (const part of edit.add ?? []) writePart(writer, part);
  for (const id of edit.remove ?? []) {
    writer.u8(tags.remove);
    writer.uvarint(id);
  }
  if (edit.flushed) {
    writer.u8(tags.flushed);
    writer.u16(edit.flushed.lane);
    writer.uvarint(edit.flushed.generation);
  }
  for (const tombstone of edit.addTombstones ?? []) writeTombstone(writer, tombstone);
  for (const seq of edit.removeTombstones ?? []) {
    writer.u8(tags.removeTombstone);
    writer.uvarint(seq);
  }
  for (const drop of edit.addDrops ?? []) writeDrop(writer, drop);
  for (const seq of edit.removeDrops ?? []) {
    writer.u8(tags.removeDrop);
    writer.uvarint(seq);
  }
  if (edit.sizeHorizonMs !== undefined) {
    writer.u8(tags.sizeHorizon);
    writer.i64(edit.sizeHorizonMs);
  }
  return writer.copy();
}

/** The whole state as one record, with which a rewritten MANIFEST begins. */
export function encodeState(state: ManifestState): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  writer.u8(tags.counters);
  writer.uvarint(state.nextPartId);
  writer.uvarint(state.tombstoneSeq);
  const [add, addTombstones] = [[...state.parts.values()], [...state.tombstones.values()]];
  writer.bytes(encodeEdit({ add, addTombstones, addDrops: [...state.drops.values()] }));
  for (const [lane, generation] of state.flushedGenerations)
    writer.bytes(encodeEdit({ flushed: { lane, generation } }));
  writer.bytes(encodeEdit({ sizeHorizonMs: state.sizeHorizonMs }));
  return writer.copy();
}

/** Applies an encoded edit or state. Throws MANIFEST_CORRUPT and the reader's DECODE_… errors. */
export function applyEncoded(state: ManifestState, bytes: Uint8Array): void {
  const reader = new ByteReader(bytes);
  while (reader.remaining > 0) {
    const tag = reader.u8();
    switch (tag) {
      case tags.add:
        state.apply({ add: [readPart(reader)] });
        break;
      case tags.remove:
        state.apply({ remove: [reader.uvarint()] });
        break;
      case tags.flushed:
        state.apply({ flushed: { lane: reader.u16(), generation: reader.uvarint() } });
        break;
      case tags.tombstone:
        state.apply({ addTombstones: [readTombstone(reader)] });
        break;
      case tags.rule:
        state.apply({ addTombstones: [{ ...readTombstone(reader), rule: readRule(reader) }] });
        break;
      case tags.drop:
        state.apply({ addDrops: [readDrop(reader)] });
        break;
      case tags.removeDrop:
        state.apply({ removeDrops: [reader.uvarint()] });
        break;
      case tags.removeTombstone:
        state.apply({ removeTombstones: [reader.uvarint()] });
        break;
      case tags.sizeHorizon:
        state.apply({ sizeHorizonMs: reader.i64() });
        break;
      case tags.counters:
        state.nextPartId = reader.uvarint();
        state.tombstoneSeq = reader.uvarint();
        break;
      default:
        throw new TimbalaError(
          'MANIFEST_CORRUPT',
          `unknown field ${tag} in an edit; was it written by a newer version?`,
        );
    }
  }
}

function readPart(reader: ByteReader): PartEntry {
  return {
    id: reader.uvarint(),
    level: reader.u8(),
    startMs: reader.i64(),
    endMs: reader.i64(),
    minTimeMs: reader.i64(),
    maxTimeMs: reader.i64(),
    seriesCount: reader.uvarint(),
    samplesCount: reader.uvarint(),
    sizeBytes: reader.uvarint(),
    tombstoneSeq: reader.uvarint(),
  };
}

function readTombstone(reader: ByteReader): Tombstone {
  const seq = reader.uvarint();
  const startMs = reader.i64();
  const endMs = reader.i64();
  return { seq, startMs, endMs, fingerprints: reader.bytes(reader.uvarint() * 16).slice() };
}

function readRule(reader: ByteReader): DeleteRule {
  const id = reader.string();
  return { id, selectors: reader.bytes(reader.uvarint()).slice() };
}

function readDrop(reader: ByteReader): PartitionDrop {
  const seq = reader.uvarint();
  const bytes = reader.bytes(reader.uvarint() * 2);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { seq, partitions: Uint16Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(2 * i, true)) };
}
