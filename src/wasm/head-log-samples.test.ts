// The payload of log sample records (docs/formats/log-samples.md): round trips, the golden record, damaged records.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { SeededRandom } from '../base/index.ts';
import { rejectedRef, type StagedBatch, unknownRef } from './head-contract.ts';
import { Head } from './head.ts';
import { loadTestModule } from './test-modules.ts';

const head = Head.create(loadTestModule('head'), { bytesMax: 64 * 1024 * 1024 });

interface Row {
  readonly ref: number;
  readonly samples: readonly (readonly [timestampMs: bigint, bits: bigint])[];
}

function stage(rows: readonly Row[]): void {
  const samplesCount = rows.reduce((sum, { samples }) => sum + samples.length, 0);
  const batch = head.stage(rows.length, samplesCount);
  let next = 0;
  for (const [i, { ref, samples }] of rows.entries()) {
    for (const [timestampMs, bits] of samples) {
      batch.timestampsMs[next] = timestampMs;
      batch.valueBits[next++] = bits;
    }
    batch.refs[i] = ref;
    batch.samplesEnd[i] = next;
  }
}

function rowsOf(batch: StagedBatch): Row[] {
  let start = 0;
  return Array.from(batch.refs, (ref, i) => {
    const end = batch.samplesEnd[i] as number;
    const samples: [bigint, bigint][] = [];
    for (; start < end; start++) samples.push([batch.timestampsMs[start] as bigint, batch.valueBits[start] as bigint]);
    return { ref, samples };
  });
}

function encode(rows: readonly Row[]): Uint8Array {
  stage(rows);
  return head.encodeSamples().slice();
}

const bitsArbitrary = fc.oneof(
  fc.bigInt({ min: 0n, max: 0xffffffffffffffffn }),
  fc.constantFrom(0n, 1n, 0x7ff0000000000002n, 0x4045000000000000n, 0xffffffffffffffffn, 1n << 63n),
);
const timestampArbitrary = fc.oneof(
  fc.integer({ min: 0, max: 5 }).map((i) => 1_700_000_000_000n + BigInt(i) * 15_000n),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
);
const refArbitrary = fc.oneof(
  fc.nat(20),
  fc.integer({ min: 0, max: rejectedRef - 1 }),
  fc.constantFrom(unknownRef, rejectedRef),
);
const samplesArbitrary = fc.oneof(
  { weight: 3, arbitrary: fc.array(fc.tuple(timestampArbitrary, bitsArbitrary), { minLength: 1, maxLength: 1 }) },
  { weight: 1, arbitrary: fc.array(fc.tuple(timestampArbitrary, bitsArbitrary), { maxLength: 6 }) },
);
const rowArbitrary = fc.tuple(refArbitrary, samplesArbitrary).map(([ref, samples]) => ({ ref, samples }));

test('records decode to what was encoded, without the rows of unknown and rejected series', () => {
  fc.assert(
    fc.property(fc.array(rowArbitrary, { maxLength: 50, size: 'max' }), (rows) => {
      const expected = rows.filter(({ ref }) => ref < rejectedRef);
      assert.deepEqual(rowsOf(head.decodeSamples(encode(rows))), expected);
    }),
    { numRuns: 300 },
  );
});

test('a scrape costs a byte for the reference, one for control, and the bytes that the value has', () => {
  const rows = Array.from({ length: 1000 }, (_, i) => ({
    ref: 5000 + i,
    samples: [[1_700_000_000_000n, BigInt(new BigUint64Array(new Float64Array([i]).buffer)[0] as bigint)]] as const,
  }));
  const { length } = encode(rows);
  assert.ok(length <= 1000 * (1 + 1 + 3) + 20, `${length} bytes`);
});

test('the record of the golden file is written, and read', () => {
  const file = new URL('../../test/golden/log-samples/version-1.hex', import.meta.url);
  const rows: Row[] = [
    { ref: 7, samples: [[1_700_000_000_000n, 0x4045000000000000n]] },
    {
      ref: 8,
      samples: [
        [1_700_000_000_000n, 0n],
        [1_700_000_015_000n, 0x7ff0000000000002n],
        [1_700_000_030_000n, 0x3fb999999999999an],
      ],
    },
    { ref: 3, samples: [[-1n, 0x8000000000000000n]] },
  ];
  const hex = `${Buffer.from(encode(rows)).toString('hex')}\n`;
  assert.equal(hex, readFileSync(file, 'utf8'));
  assert.deepEqual(rowsOf(head.decodeSamples(Buffer.from(hex.trim(), 'hex'))), rows);
});

test('a damaged record is LOG_SAMPLES_CORRUPT or other samples, and nothing is read past its end', () => {
  const random = new SeededRandom(3);
  const rows = Array.from({ length: 60 }, (_, i) => ({
    ref: i * random.below(50),
    samples: Array.from(
      { length: random.below(4) },
      (_, k) => [BigInt(k * 1000), BigInt(random.uint32()) << BigInt(random.below(32))] as const,
    ),
  }));
  const record = encode(rows);
  let corrupt = 0;
  for (let round = 0; round < 4000; round++) {
    const damaged = record.slice(0, round % 3 === 0 ? random.below(record.length) : record.length);
    for (let i = 0; i <= random.below(3); i++) {
      if (damaged.length > 0) damaged[random.below(damaged.length)] = random.below(256);
    }
    try {
      const { rowsCount, samplesCount } = head.decodeSamples(damaged);
      assert.ok(rowsCount <= damaged.length && samplesCount <= damaged.length);
    } catch (error) {
      assert.match(String(error), /LOG_SAMPLES_CORRUPT/);
      corrupt++;
    }
  }
  assert.ok(corrupt > 1000);
});

test('every cut of a record is corrupt', () => {
  const record = encode([
    { ref: 1, samples: [[1000n, 5n]] },
    { ref: 2, samples: [[2000n, 6n]] },
  ]);
  for (let length = 0; length < record.length; length++) {
    assert.throws(() => head.decodeSamples(record.slice(0, length)), /LOG_SAMPLES_CORRUPT/, `${length} bytes`);
  }
  const longer = new Uint8Array(record.length + 1);
  longer.set(record);
  assert.throws(() => head.decodeSamples(longer), /LOG_SAMPLES_CORRUPT/);
});

test('controls and counts that no writer makes are corrupt', () => {
  // Version, flags, one row, one sample; reference 0; control; bytes enough.
  const record = (control: number): Uint8Array => Uint8Array.from([1, 1, 1, 1, 0, control, ...new Uint8Array(24)]);
  for (const control of [0x90, 0xe0, 0x09, 0x0f]) {
    const bytes = (control >> 4) + (control & 15);
    assert.throws(() => head.decodeSamples(record(control).subarray(0, 6 + bytes)), /LOG_SAMPLES_CORRUPT/);
  }
  assert.equal(head.decodeSamples(record(0x88).subarray(0, 22)).samplesCount, 1);
  // The row has one sample, the header says two.
  assert.throws(() => head.decodeSamples(Uint8Array.from([1, 0, 1, 2, 0, 1, 0, 0])), /LOG_SAMPLES_CORRUPT/);
  assert.throws(() => head.decodeSamples(Uint8Array.from([1, 0, 1, 1, 0, 2, 0, 0])), /LOG_SAMPLES_CORRUPT/);
  assert.throws(() => head.decodeSamples(Uint8Array.from([2, 1, 1, 1, 0, 0])), /unknown version 2/);
});

test('counts that the payload is too short for do not become allocations', () => {
  const { scratchBytes } = head.stats();
  for (const counts of [
    [255, 255, 255, 255, 15, 0],
    [0, 255, 255, 255, 255, 15],
    [1, 200, 200, 200, 1],
  ]) {
    assert.throws(() => head.decodeSamples(Uint8Array.from([1, 1, ...counts, 0, 0])), /LOG_SAMPLES_CORRUPT/);
  }
  assert.equal(head.stats().scratchBytes, scratchBytes);
});
