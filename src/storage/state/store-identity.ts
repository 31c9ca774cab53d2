// Which store this data directory is: a random id, as long as nothing acknowledged can be missing from it. Peers count a
// store's promises by its id, so a directory that may have lost some must become another store: a copy (another directory
// with the same files), and one whose log lost synced records. A directory that was rolled back in place (a snapshot of the
// file system) looks the same from inside; peers find out by the position of the log that they were told before.
import { ByteReader, ByteWriter, TimbalaError } from '../../base/index.ts';
import type { Random } from '../../ports/index.ts';
import type { DamageReport } from '../contracts.ts';
import type { StateFiles } from './state-files.ts';

const name = 'store';

export interface StoreIdentity {
  /** 32 hexadecimal digits. */
  readonly id: string;
  /** Why the directory is a new store; undefined where it is the one that it was. */
  readonly reason: 'new' | 'copied' | 'lost-records' | undefined;
}

interface Stored {
  readonly id: string;
  /** Disk.identity() when the id was given. */
  readonly place: string;
  /** Losses of the log that this id has been given because of. */
  readonly losses: readonly string[];
}

/** `place`: Disk.identity(). `damage`: what the replay of the log found. Durable when it returns. */
export function identifyStore(
  files: StateFiles,
  random: Random,
  place: string,
  damage: readonly DamageReport[],
): StoreIdentity {
  const losses = damage.filter(({ kind }) => kind === 'corrupt').map(({ file, offset }) => `${file} ${offset}`);
  const bytes = files.load(name);
  const stored = bytes && decode(bytes);
  let reason: StoreIdentity['reason'];
  if (!stored) reason = 'new';
  else if (stored.place !== place) reason = 'copied';
  else if (losses.some((loss) => !stored.losses.includes(loss))) reason = 'lost-records';
  if (stored && reason === undefined) return { id: stored.id, reason };
  return { id: saveFresh(files, random, place, losses), reason };
}

/**
 * Makes the directory another store: something that it acknowledged may be missing. Durable when it returns. The process must
 * then end: its peers know it under the old id.
 */
export function renewStore(files: StateFiles, random: Random, place: string): void {
  const bytes = files.load(name);
  saveFresh(files, random, place, bytes ? decode(bytes).losses : []);
}

function saveFresh(files: StateFiles, random: Random, place: string, losses: readonly string[]): string {
  const bytes = new Uint8Array(16);
  random.fill(bytes);
  const id = Buffer.from(bytes).toString('hex');
  files.save(name, encode({ id, place, losses }));
  return id;
}

function encode({ id, place, losses }: Stored): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  writer.bytes(Buffer.from(id, 'hex'));
  writer.string(place);
  writer.uvarint(losses.length);
  for (const loss of losses) writer.string(loss);
  return writer.copy();
}

function decode(bytes: Uint8Array): Stored {
  try {
    const reader = new ByteReader(bytes);
    const id = Buffer.from(reader.bytes(16)).toString('hex');
    const place = reader.string();
    return { id, place, losses: Array.from({ length: reader.uvarint() }, () => reader.string()) };
  } catch (cause) {
    throw new TimbalaError('STATE_CORRUPT', 'cluster/store can not be decoded; remove it to start as a new store', {
      cause,
    });
  }
}
