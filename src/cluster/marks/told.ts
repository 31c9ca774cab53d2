// A layer of marks as bytes: what one node tells another before a read, and what is saved. Marks that list nobody, the many of
// an open window, are a bitmap; those that list owners are grouped by list, partitions as differences.
import { type Encoded, bytes, integer, list, optional, struct, text, uvarint } from '../codec.ts';
import { partitionsMax } from '../contracts.ts';
import type { OwnerToken } from '../decisions.ts';
import { nobodyListed, notMarked, type ToldLayer } from './layer.ts';

export const layerCodec = struct({
  windowStartMs: optional(integer),
  /** Equal for one window of one table while nothing of it changes. */
  shape: uvarint,
  /** Little-endian bitmap of the partitions marked with nobody listed. */
  unconfirmed: bytes,
  confirmed: list(struct({ owners: list(text), partitionSteps: list(uvarint) })),
});

export type PackedLayer = Encoded<typeof layerCodec>;

export function packLayer({ windowStartMs, shape, lists, owners }: ToldLayer): PackedLayer {
  let end = lists.length;
  while (end > 0 && lists[end - 1] !== nobodyListed) end--;
  const unconfirmed = new Uint8Array((end + 7) >> 3);
  const groups = new Map<number, { steps: number[]; last: number }>();
  for (const [partition, number] of lists.entries()) {
    if (number === notMarked) continue;
    if (number === nobodyListed) {
      unconfirmed[partition >> 3] = (unconfirmed[partition >> 3] ?? 0) | (1 << (partition & 7));
      continue;
    }
    const group = groups.get(number) ?? { steps: [], last: 0 };
    groups.set(number, group);
    group.steps.push(partition - group.last);
    group.last = partition;
  }
  const confirmed = [...groups].map(([number, { steps }]) => ({ owners: owners[number] ?? [], partitionSteps: steps }));
  return { windowStartMs, shape, unconfirmed, confirmed };
}

export function unpackLayer({ windowStartMs, shape, unconfirmed, confirmed }: PackedLayer): ToldLayer {
  const ends = confirmed.map(({ partitionSteps }) => partitionSteps.reduce((sum, step) => sum + step, 1));
  const lists = new Uint16Array(Math.min(Math.max(unconfirmed.length * 8, ...ends), partitionsMax));
  const owners: (readonly OwnerToken[])[] = [[], []];
  for (const [index, byte] of unconfirmed.entries()) {
    for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) !== 0) lists[index * 8 + bit] = nobodyListed;
  }
  for (const group of confirmed) {
    const number = owners.push(group.owners) - 1;
    let partition = 0;
    for (const step of group.partitionSteps) lists[(partition += step)] = number;
  }
  return { windowStartMs, shape, lists, owners };
}
