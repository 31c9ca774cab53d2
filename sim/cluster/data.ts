// The data of simulated clusters: few series with known fingerprints, samples whose values are all different, and their
// encodings. What a store or a client knows of a sample is (series, timestamp, value).
import { ByteReader, ByteWriter } from '../../src/base/index.ts';
import type { Digest } from '../../src/cluster/index.ts';

export interface Sample {
  readonly series: number;
  readonly timestampMs: number;
  readonly value: number;
}

export const partitionsCount = 8;
export const seriesCount = 24;

const mask64 = (1n << 64n) - 1n;
const mask128 = (1n << 128n) - 1n;

function mix(value: bigint): bigint {
  let mixed = value & mask64;
  mixed = ((mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n) & mask64;
  mixed = ((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn) & mask64;
  return mixed ^ (mixed >> 31n);
}

/** The first half of a series' fingerprint. */
export const fingerprints: readonly bigint[] = Array.from({ length: seriesCount }, (_, series) =>
  mix(BigInt(series) + 1n),
);

export const partitionOf = (series: number): number => series % partitionsCount;

/** The 32 bits by which ranges of fingerprints go. */
export const rangeBitsOf = (series: number): number => rangeBits[series] ?? 0;
const rangeBits = fingerprints.map((fingerprint) => Number(fingerprint >> 32n));

const rotate = (value: bigint, count: bigint): bigint => ((value << count) | (value >> (64n - count))) & mask64;
const hashes = new Map<number, bigint>();

/** docs/formats/digests.md, for a fingerprint whose halves are alike. Values are unique, so they find the hash again. */
export function hashOf({ series, timestampMs, value }: Sample): bigint {
  const key = value * seriesCount + series;
  let hash = hashes.get(key);
  if (hash === undefined) {
    const fingerprint = fingerprints[series] ?? 0n;
    const a = mix(fingerprint + BigInt(timestampMs));
    const b = mix(fingerprint + BigInt(value));
    hash = (mix(b + rotate(a, 21n)) << 64n) | mix(a ^ rotate(b, 32n));
    hashes.set(key, hash);
    if (hashes.size > 1_000_000) hashes.clear();
  }
  return hash;
}

/** Count and sum modulo 2¹²⁸. */
export function digestOf(samples: readonly Sample[]): Digest {
  let sum = 0n;
  for (const sample of samples) sum = (sum + hashOf(sample)) & mask128;
  return { samplesCount: samples.length, sum };
}

/** Series are written as `name` gives them: references in payloads, numbers elsewhere. */
export function encodeSamples(samples: readonly Sample[], name = (series: number): number => series): Uint8Array {
  const writer = new ByteWriter(8 + samples.length * 16);
  writer.uvarint(samples.length);
  for (const { series, timestampMs, value } of samples) {
    writer.uvarint(name(series));
    writer.uvarint(timestampMs);
    writer.uvarint(value);
  }
  return writer.copy();
}

export function decodeSamples(bytes: Uint8Array, seriesOf = (name: number): number => name): Sample[] {
  const reader = new ByteReader(bytes);
  return Array.from({ length: reader.uvarint() }, () => ({
    series: seriesOf(reader.uvarint()),
    timestampMs: reader.uvarint(),
    value: reader.uvarint(),
  }));
}
