// Hashes of members' names, of which summaries are made (docs/formats/gossip.md): all programs must agree on them.

/** Of a name, well mixed (FNV-1a, then Murmur's finish). */
export function nameHash(name: string): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x0100_0193);
  return mix(hash);
}

/** Murmur's finish: each bit of the result hangs on all of the value. */
export function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
