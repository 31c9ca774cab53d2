// Damaged parts that a replica does without: its peers have what they held, and fill it in. They are kept as parts/<id>.damaged,
// for whoever wants to look, and are removed by nobody else. Such a directory is as good as the edit of MANIFEST that removes
// the part: a crash may come between the two.
import type { Disk } from '../../ports/index.ts';
import { partPath } from './catalog.ts';

const suffix = '.damaged';

/** Durable when it returns. Throws the disk's errors. */
export function setAside(disk: Disk, id: number): void {
  disk.rename(partPath(id), `${partPath(id)}${suffix}`);
  disk.syncDirectory('parts');
}

export function isSetAside(disk: Disk, id: number): boolean {
  return disk.exists(`${partPath(id)}${suffix}`);
}

/** Whether a name in parts/ is that of a part that was set aside. */
export function isNameAside(name: string): boolean {
  return name.endsWith(suffix);
}
