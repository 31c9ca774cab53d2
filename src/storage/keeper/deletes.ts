// Deletes as tombstones of MANIFEST: of series that are there, by their fingerprints, and of what selectors match.
import { encodeLabels, type Labels } from '../../model/index.ts';
import type { PagesKernel } from '../../wasm/index.ts';
import type { DeleteRuleRequest } from '../contracts.ts';
import type { ManifestState, Tombstone } from '../manifest/manifest-edit.ts';
import { decodeSelectors } from '../selectors.ts';

/** 16 bytes each, one after another. */
export function sortedFingerprints(series: readonly Labels[], kernel: PagesKernel): Uint8Array {
  const fingerprints = series.map((labels) => kernel.fingerprint(encodeLabels(labels)).slice());
  fingerprints.sort((a, b) => Buffer.compare(a, b));
  const all = new Uint8Array(16 * fingerprints.length);
  for (const [index, fingerprint] of fingerprints.entries()) all.set(fingerprint, 16 * index);
  return all;
}

/**
 * What is new of rules. Those that are known are left as they are; none is taken back: each goes when its range is past
 * retention. Throws SELECTORS_INVALID: what can't be decoded must not get into MANIFEST.
 */
export function tombstonesOfRules(
  rules: readonly DeleteRuleRequest[],
  { tombstones, tombstoneSeq }: ManifestState,
  horizonMs: number,
): Tombstone[] {
  const known = new Set([...tombstones.values()].map(({ rule }) => rule?.id));
  const added = rules.filter(({ id, endMs }) => !known.has(id) && endMs >= horizonMs);
  for (const { selectors } of added) decodeSelectors(selectors);
  return added.map(({ id, selectors, startMs, endMs }, index) => ({
    seq: tombstoneSeq + 1 + index,
    startMs,
    endMs,
    fingerprints: new Uint8Array(0),
    rule: { id, selectors },
  }));
}
