// What replication asks of a staged batch: the rows of some partitions, the pairs they lie in, sums of fingerprints, and which
// series pass through; against plain TypeScript.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeLabels, Labels } from '../model/index.ts';
import { rejectedRef, unknownRef } from './head-contract.ts';
import { Head } from './head.ts';
import { HeadReader } from './head-reader.ts';
import { loadTestModule } from './test-modules.ts';

const module = loadTestModule('head');
const windowMs = 7_200_000;
const seriesCount = 40;

/** Series i lies in partition i × 1,000 mod 65,536; every fourth shares its partition with the one before. */
const partitionOf = (ref: number): number => ((ref - (ref % 4 === 3 ? 1 : 0)) * 1000) % 65_536;

const fingerprintOf = (ref: number): Uint8Array => {
  const fingerprint = new Uint8Array(16).fill(ref + 1);
  new DataView(fingerprint.buffer).setUint16(0, partitionOf(ref), true);
  return fingerprint;
};

function createHead(): { head: Head; reader: HeadReader } {
  const head = Head.create(module, { bytesMax: 8 * 1024 * 1024 });
  for (let i = 0; i < seriesCount; i++) head.register(encodeLabels(Labels.of({ a: String(i) })), fingerprintOf(i));
  return { head, reader: HeadReader.attach(module, head.memory) };
}

interface Row {
  readonly ref: number;
  readonly timestampsMs: readonly number[];
}

function stage(head: Head, rows: readonly Row[]): void {
  const samples = rows.flatMap(({ timestampsMs }) => timestampsMs);
  const batch = head.stage(rows.length, samples.length);
  let end = 0;
  for (const [i, row] of rows.entries()) {
    end += row.timestampsMs.length;
    batch.refs[i] = row.ref;
    batch.samplesEnd[i] = end;
  }
  for (const [i, timestampMs] of samples.entries()) {
    batch.timestampsMs[i] = BigInt(timestampMs);
    batch.valueBits[i] = BigInt(i);
  }
}

const rowArbitrary = fc.record({
  ref: fc.oneof(fc.nat(seriesCount - 1), fc.constantFrom(unknownRef, rejectedRef)),
  timestampsMs: fc.array(fc.integer({ min: -3 * windowMs, max: 3 * windowMs }), { maxLength: 4 }),
});

const known = (rows: readonly Row[]): Row[] => rows.filter(({ ref }) => ref < rejectedRef);

/** Partition p is of group p mod 7, but the largest one of group 65,535. */
const groupOf = Uint16Array.from({ length: 65_536 }, (_, partition) => (partition < 60_000 ? partition % 7 : 65_535));
const groupOfRef = (ref: number): number => groupOf[partitionOf(ref)] as number;

test('groups rows by their partitions, and keeps, appends and encodes only those of some groups', () => {
  fc.assert(
    fc.property(fc.array(rowArbitrary, { maxLength: 30 }), fc.array(fc.nat(seriesCount - 1)), (rows, wanted) => {
      const { head, reader } = createHead();
      head.setGroups(groupOf);
      const wantedGroups = new Set(wanted.map(groupOfRef));
      const bitmap = new Uint8Array(8192);
      for (const group of wantedGroups) bitmap[group >> 3] = (bitmap[group >> 3] ?? 0) | (1 << (group & 7));
      const samplesOf = (some: readonly Row[]): number =>
        some.reduce((sum, { timestampsMs }) => sum + timestampsMs.length, 0);
      stage(head, rows);
      const filled = known(rows).filter(({ timestampsMs }) => timestampsMs.length > 0);
      const grouped = head.groupRows();
      assert.equal(grouped.samplesCount, samplesOf(filled));
      assert.deepEqual([...grouped.groups], [...new Set(filled.map(({ ref }) => groupOfRef(ref)))]);
      const { refs, samplesCount } = head.keepGroups(bitmap);
      const kept = filled.filter(({ ref }) => wantedGroups.has(groupOfRef(ref)));
      assert.deepEqual(
        [...refs],
        kept.map(({ ref }) => ref),
      );
      assert.equal(samplesCount, samplesOf(kept));
      const record = head.encodeSamples().slice();
      const { appended, duplicates } = head.append(head.openGeneration());
      assert.equal(appended + duplicates, samplesCount);
      assert.deepEqual([...head.decodeSamples(record).refs], [...refs]);
      assert.deepEqual(
        [...reader.partitions(refs)],
        kept.map(({ ref }) => partitionOf(ref)),
      );
    }),
  );
});

test('names the pairs of a batch, and sums the fingerprints of its rows', () => {
  fc.assert(
    fc.property(fc.array(rowArbitrary, { maxLength: 30 }), (rows) => {
      const { head } = createHead();
      stage(head, rows);
      const expected = known(rows).flatMap(({ ref, timestampsMs }) =>
        timestampsMs.map((timestampMs) => Math.floor(timestampMs / windowMs) * 65_536 + partitionOf(ref)),
      );
      assert.deepEqual(new Set(head.stagedPairs()), new Set(expected));
      const sum = known(rows).reduce(
        (total, { ref }) => total + new DataView(fingerprintOf(ref).buffer).getBigUint64(0, true),
        0n,
      );
      assert.equal(head.fingerprintSum(), BigInt.asUintN(64, sum));
    }),
  );
});

test('a series that passes through is not dead until it is asked anew', () => {
  const { head } = createHead();
  stage(head, [
    { ref: 1, timestampsMs: [1] },
    { ref: 39, timestampsMs: [] },
  ]);
  assert.equal(head.deadSeriesShare(), 1);
  head.markPassing();
  assert.equal(head.deadSeriesShare(), 38 / 40);
  head.append(head.openGeneration());
  assert.equal(head.deadSeriesShare(), 38 / 40);
  head.clearPassing();
  assert.equal(head.deadSeriesShare(), 39 / 40);
});
