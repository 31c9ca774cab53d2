// MANIFEST, the one commit point: an append-only file of edits (docs/formats/manifest.md). An edit is committed when its
// fdatasync has returned. The file is rewritten as one record on every start and whenever it has grown, through
// MANIFEST.tmp and a rename; nothing is appended to a new file before its name is durable.
// One writer, the keeper. A failed write leaves the file to be rewritten before the next commit; a failed sync is fatal.
import { crc32 } from 'node:zlib';
import { kib, TimbalaError } from '../../base/index.ts';
import type { Disk, DiskFile, Random } from '../../ports/index.ts';
import type { DamageReport } from '../contracts.ts';
import { applyEncoded, encodeEdit, encodeState, type ManifestEdit, ManifestState } from './manifest-edit.ts';

const path = 'MANIFEST';
const temporaryPath = 'MANIFEST.tmp';
const magic = new Uint8Array([0x54, 0x4d, 0x42, 0x4c, 0x4d, 0x41, 0x4e, 1]); // TMBLMAN, version 1
const headerBytes = 16;
const recordHeaderBytes = 8;
/** Grown by this over its last rewritten size, the file is rewritten. */
const growthBytesMax = 256 * kib;

export interface ManifestOptions {
  readonly disk: Disk;
  readonly random: Random;
  /** A sync failed: what is committed is unknown, so the process must end. */
  readonly onFatal: (error: unknown) => void;
}

export class Manifest {
  readonly state: ManifestState;
  /** What recovery cut. */
  readonly damage: DamageReport[];
  readonly #options: ManifestOptions;
  #file: DiskFile | undefined;
  #fileId = new Uint8Array(8);
  #endOffset = 0;
  #rewrittenBytes = 0;
  #fatal: TimbalaError | undefined;

  /**
   * Reads MANIFEST, or makes the first one in a directory without parts. Throws MANIFEST_MISSING where parts are there
   * without it, MANIFEST_CORRUPT where committed edits are damaged; a torn last edit was never committed and is cut.
   */
  static open(options: ManifestOptions): Manifest {
    const { disk } = options;
    const state = new ManifestState();
    const damage: DamageReport[] = [];
    if (disk.exists(path)) readManifest(disk, state, damage);
    else refuseOrphans(disk);
    const manifest = new Manifest(options, state, damage);
    manifest.#rewrite();
    return manifest;
  }

  private constructor(options: ManifestOptions, state: ManifestState, damage: DamageReport[]) {
    this.#options = options;
    this.state = state;
    this.damage = damage;
  }

  /** Makes the edit durable, then applies it to `state`. After an error that is not fatal nothing has changed. */
  commit(edit: ManifestEdit): void {
    if (this.#fatal) throw this.#fatal;
    if (!this.#file || this.#endOffset > this.#rewrittenBytes + growthBytesMax) this.#rewrite();
    const file = this.#file;
    if (!file) throw new TimbalaError('MANIFEST_FAILED', 'MANIFEST could not be rewritten; the change was not made');
    const record = encodeRecord(this.#fileId, this.#endOffset, encodeEdit(edit));
    try {
      file.write(record, this.#endOffset);
    } catch (error) {
      this.#file = undefined;
      file.close();
      // Without the half-written record in the way it is certain that the edit was not made.
      this.#tryRewrite();
      throw error;
    }
    this.#syncOrDie(() => file.sync());
    this.#endOffset += record.length;
    this.state.apply(edit);
  }

  /**
   * True where the file is known to hold `state` and nothing else. False after a failure that left an edit half made: what
   * that edit names must then stay, until the next start finds out.
   */
  get isCertain(): boolean {
    return this.#file !== undefined && this.#fatal === undefined;
  }

  #tryRewrite(): void {
    try {
      this.#rewrite();
    } catch {
      // The caller gets the first error; the next commit tries again.
    }
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #rewrite(): void {
    const { disk, random } = this.#options;
    this.close();
    if (disk.exists(temporaryPath)) disk.removeFile(temporaryPath);
    const fileId = new Uint8Array(8);
    random.fill(fileId);
    const record = encodeRecord(fileId, headerBytes, encodeState(this.state));
    const file = disk.open(temporaryPath, 'create');
    try {
      file.write(magic, 0);
      file.write(fileId, magic.length);
      file.write(record, headerBytes);
      this.#syncOrDie(() => file.sync());
      disk.rename(temporaryPath, path);
      this.#syncOrDie(() => disk.syncDirectory('.'));
    } catch (error) {
      file.close();
      throw error;
    }
    this.#file = file;
    this.#fileId = fileId;
    this.#endOffset = headerBytes + record.length;
    this.#rewrittenBytes = this.#endOffset;
  }

  #syncOrDie(sync: () => void): void {
    try {
      sync();
    } catch (cause) {
      this.#fatal = new TimbalaError('MANIFEST_SYNC_FAILED', 'MANIFEST could not be synced; the process must end', {
        cause,
      });
      this.#options.onFatal(this.#fatal);
      throw this.#fatal;
    }
  }
}

/** Length, checksum (over file id, offset, length and payload), payload. */
function encodeRecord(fileId: Uint8Array, offset: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(recordHeaderBytes + payload.length);
  const view = new DataView(record.buffer);
  view.setUint32(0, payload.length, true);
  record.set(payload, recordHeaderBytes);
  view.setUint32(4, checksum(fileId, offset, record), true);
  return record;
}

function checksum(fileId: Uint8Array, offset: number, record: Uint8Array): number {
  const place = new Uint8Array(8);
  new DataView(place.buffer).setBigUint64(0, BigInt(offset), true);
  const seeded = crc32(record.subarray(0, 4), crc32(place, crc32(fileId)));
  return crc32(record.subarray(recordHeaderBytes), seeded);
}

/** The payload of the record at `offset`, if it is whole. */
function recordAt(bytes: Uint8Array, fileId: Uint8Array, offset: number): Uint8Array | undefined {
  if (bytes.length - offset < recordHeaderBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, recordHeaderBytes);
  const length = view.getUint32(0, true);
  if (length > bytes.length - offset - recordHeaderBytes) return undefined;
  const record = bytes.subarray(offset, offset + recordHeaderBytes + length);
  return view.getUint32(4, true) === checksum(fileId, offset, record) ? record.subarray(recordHeaderBytes) : undefined;
}

function readManifest(disk: Disk, state: ManifestState, damage: DamageReport[]): void {
  const file = disk.open(path, 'read');
  const bytes = new Uint8Array(file.sizeBytes());
  file.read(bytes, 0);
  file.close();
  if (bytes.length < headerBytes || magic.some((byte, index) => index < 7 && bytes[index] !== byte)) {
    throw new TimbalaError(
      'MANIFEST_CORRUPT',
      `${path}, offset 0: not a MANIFEST; restore the data directory from a copy`,
    );
  }
  if (bytes[7] !== magic[7]) {
    throw new TimbalaError(
      'MANIFEST_VERSION',
      `${path} has version ${bytes[7]}, this program reads 1; start the newer one`,
    );
  }
  const fileId = bytes.slice(magic.length, headerBytes);
  let offset = headerBytes;
  for (let recordsCount = 0; offset < bytes.length; recordsCount++) {
    const payload = recordAt(bytes, fileId, offset);
    if (!payload) {
      refuseCorruption(bytes, fileId, offset, recordsCount);
      damage.push({
        file: path,
        offset,
        kind: 'torn-tail',
        text: `uncommitted edit cut; kept ${recordsCount} before it`,
      });
      return;
    }
    applyEncoded(state, payload);
    offset += recordHeaderBytes + payload.length;
  }
  if (offset === headerBytes)
    throw new TimbalaError('MANIFEST_CORRUPT', `${path} holds no record; restore it from a copy`);
}

// Each edit is synced before the next is written, so damage in front of a whole record, or in the first, is no torn tail.
function refuseCorruption(bytes: Uint8Array, fileId: Uint8Array, offset: number, recordsCount: number): void {
  let later = recordsCount === 0 ? offset : 0;
  for (let at = offset + 1; at < bytes.length && later === 0; at++) if (recordAt(bytes, fileId, at)) later = at;
  if (later === 0) return;
  throw new TimbalaError(
    'MANIFEST_CORRUPT',
    `${path}, offset ${offset}: checksum wrong in a committed edit; ${recordsCount} edits before it are whole; restore it from a copy`,
  );
}

function refuseOrphans(disk: Disk): void {
  if (!disk.exists('parts') || !disk.list('parts').some(({ name }) => /^\d+$/.test(name))) return;
  throw new TimbalaError(
    'MANIFEST_MISSING',
    'parts/ holds parts, but MANIFEST is missing; restore it, or use another data directory',
  );
}
