// Small durable states of the replication's protocols (the record of the cluster, marks), each a file that is replaced as a
// whole: written aside, synced, renamed, the directory synced. docs/formats/state.md. What the bytes mean is their owner's.
import { crc32 } from 'node:zlib';
import { TimbalaError } from '../../base/index.ts';
import type { Disk } from '../../ports/index.ts';

const directory = 'cluster';
const magic = new Uint8Array([0x54, 0x4d, 0x42, 0x4c, 0x53, 0x54, 0x41, 1]); // TMBLSTA, version 1
const headerBytes = 16;

export class StateFiles {
  readonly #disk: Disk;
  readonly #onFatal: (error: unknown) => void;

  constructor(disk: Disk, onFatal: (error: unknown) => void) {
    this.#disk = disk;
    this.#onFatal = onFatal;
  }

  /** Durable when it returns. Throws DISK_FULL, DISK_IO: the state is then what it was before. */
  save(name: string, bytes: Uint8Array): void {
    const disk = this.#disk;
    if (!disk.exists(directory)) {
      disk.makeDirectory(directory);
      this.#syncOrDie('.');
    }
    const temporaryPath = `${directory}/${name}.tmp`;
    // What a crash, or a failed write, left behind.
    if (disk.exists(temporaryPath)) disk.removeFile(temporaryPath);
    const file = disk.open(temporaryPath, 'create');
    try {
      file.write(encode(bytes), 0);
      file.sync();
    } finally {
      file.close();
    }
    disk.rename(temporaryPath, `${directory}/${name}`);
    this.#syncOrDie(directory);
  }

  // After the rename it is unknown which of the two states a crash would leave.
  #syncOrDie(path: string): void {
    try {
      this.#disk.syncDirectory(path);
    } catch (cause) {
      const fatal = new TimbalaError('STATE_SYNC_FAILED', `${path}/ could not be synced; the process must end`, {
        cause,
      });
      this.#onFatal(fatal);
      throw fatal;
    }
  }

  /** Undefined where it was never saved. Throws STATE_CORRUPT, STATE_VERSION. */
  load(name: string): Uint8Array<ArrayBuffer> | undefined {
    const path = `${directory}/${name}`;
    if (!this.#disk.exists(path)) return undefined;
    const file = this.#disk.open(path, 'read');
    try {
      const bytes = new Uint8Array(file.sizeBytes());
      file.read(bytes, 0);
      return decode(path, bytes);
    } finally {
      file.close();
    }
  }
}

/** "TMBLSTA", version, length u32, CRC-32 of the length and the content, content. */
function encode(content: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(headerBytes + content.length);
  const view = new DataView(bytes.buffer);
  bytes.set(magic);
  view.setUint32(8, content.length, true);
  bytes.set(content, headerBytes);
  view.setUint32(12, checksum(bytes), true);
  return bytes;
}

function checksum(bytes: Uint8Array): number {
  return crc32(bytes.subarray(headerBytes), crc32(bytes.subarray(0, 12)));
}

function decode(path: string, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const isWhole = bytes.length >= headerBytes && magic.every((byte, index) => index === 7 || bytes[index] === byte);
  if (isWhole && bytes[7] !== magic[7]) {
    throw new TimbalaError(
      'STATE_VERSION',
      `${path} has version ${bytes[7]}, this program reads ${magic[7]}; start the newer one`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (
    !isWhole ||
    view.getUint32(8, true) !== bytes.length - headerBytes ||
    view.getUint32(12, true) !== checksum(bytes)
  ) {
    throw new TimbalaError(
      'STATE_CORRUPT',
      `${path} is damaged; restore it from a copy, or start this node with an empty data directory`,
    );
  }
  return bytes.subarray(headerBytes);
}
