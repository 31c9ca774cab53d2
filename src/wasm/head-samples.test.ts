// Appending and reading against a Map of what was appended: whatever the order, the duplicates and the bits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SeededRandom } from '../base/index.ts';
import { compareValueBits, encodeLabels, Labels, SampleBuffer } from '../model/index.ts';
import { rejectedRef, unknownRef } from './head-contract.ts';
import { Head } from './head.ts';
import { HeadReader } from './head-reader.ts';
import { loadTestModule } from './test-modules.ts';

const module = loadTestModule('head');
const windowMs = 7_200_000;

interface Sample {
  readonly ref: number;
  readonly timestampMs: number;
  readonly bits: bigint;
}

function createHead(seriesCount: number, bytesMax = 64 * 1024 * 1024): { head: Head; reader: HeadReader } {
  const head = Head.create(module, { bytesMax });
  for (let i = 0; i < seriesCount; i++) {
    const fingerprint = new Uint8Array(16);
    new DataView(fingerprint.buffer).setUint32(8, i, true);
    assert.equal(head.register(encodeLabels(Labels.of({ __name__: 'm', i: String(i) })), fingerprint), i);
  }
  return { head, reader: HeadReader.attach(module, head.memory) };
}

/** Stages samples as one row each; the caller appends. */
function stage(head: Head, samples: readonly Sample[]): void {
  const batch = head.stage(samples.length, samples.length);
  for (const [i, { ref, timestampMs, bits }] of samples.entries()) {
    batch.refs[i] = ref;
    batch.samplesEnd[i] = i + 1;
    batch.timestampsMs[i] = BigInt(timestampMs);
    batch.valueBits[i] = bits;
  }
}

function append(head: Head, slot: number, samples: readonly Sample[]): ReturnType<Head['append']> {
  stage(head, samples);
  return head.append(slot);
}

const halves = (bits: bigint): [number, number] => [Number(bits >> 32n), Number(bits & 0xffffffffn)];

/** What reading must give: by series, timestamp → the winning bits. */
class Model {
  readonly series = new Map<number, Map<number, bigint>>();

  add(samples: readonly Sample[]): void {
    for (const { ref, timestampMs, bits } of samples) {
      const values = this.series.get(ref) ?? new Map<number, bigint>();
      this.series.set(ref, values);
      const before = values.get(timestampMs);
      if (before === undefined || compareValueBits(...halves(bits), ...halves(before)) > 0) {
        values.set(timestampMs, bits);
      }
    }
  }

  read(ref: number, startMs: number, endMs: number): [number, bigint][] {
    const all = [...(this.series.get(ref) ?? [])];
    return all.filter(([timestampMs]) => timestampMs >= startMs && timestampMs <= endMs).sort(([a], [b]) => a - b);
  }
}

function contents(buffer: SampleBuffer): [number, bigint][] {
  const bits = new BigUint64Array(buffer.values.buffer);
  return Array.from({ length: buffer.count }, (_, i) => [buffer.timestampsMs[i] as number, bits[i] as bigint]);
}

function checkRead(
  model: Model,
  ref: number,
  startMs: number,
  endMs: number,
  read: (into: SampleBuffer) => number,
): void {
  const buffer = new SampleBuffer(1);
  const count = read(buffer);
  const expected = model.read(ref, startMs, endMs);
  assert.deepEqual(contents(buffer), expected);
  assert.equal(count, expected.length);
  const holdsStale = expected.some(([, bits]) => bits === 0x7ff0000000000002n);
  assert.equal(buffer.mayHoldStale, holdsStale);
}

const specialBits = [
  0x7ff0000000000002n, // stale marker
  0x7ff8000000000001n, // NaN with a payload
  0xfff8000000000000n,
  0xffffffffffffffffn,
  0x7ff0000000000001n, // signalling
  0x7ff0000000000000n, // +Inf
  0xfff0000000000000n,
  0x8000000000000000n, // −0
  0n,
  1n,
  0x4045000000000000n,
  0x4045000000000001n,
];
const bitsArbitrary = fc.oneof(
  fc.constantFrom(...specialBits),
  fc.bigInt({ min: 0n, max: 0xffffffffffffffffn }),
  fc.integer({ min: 0, max: 1000 }).map((value) => new BigUint64Array(new Float64Array([value]).buffer)[0] as bigint),
);
const timestampArbitrary = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 40 }).map((i) => 1_700_000_000_000 + i * 1000) },
  // Around borders of windows, before the epoch too.
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.integer({ min: -2, max: 3 }), fc.integer({ min: -2, max: 2 }))
      .map(([w, d]) => w * windowMs + d),
  },
  { weight: 1, arbitrary: fc.integer({ min: -Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }) },
);
const seriesCount = 4;
const sampleArbitrary = fc.record({
  ref: fc.integer({ min: 0, max: seriesCount - 1 }),
  timestampMs: timestampArbitrary,
  bits: bitsArbitrary,
});
// `size`: fast-check would otherwise keep to a dozen samples, which no buffer of late ones fills.
const batchesArbitrary = fc.array(fc.array(sampleArbitrary, { maxLength: 120, size: 'max' }), { maxLength: 8 });

test('whatever is appended in any order is read back, one sample per timestamp, frozen and from frames', () => {
  fc.assert(
    fc.property(
      batchesArbitrary,
      fc.array(fc.tuple(timestampArbitrary, timestampArbitrary), { maxLength: 4 }),
      (batches, ranges) => {
        const { head, reader } = createHead(seriesCount);
        const slot = head.openGeneration();
        const model = new Model();
        let received = 0;
        const firstUsed: number[] = [];
        for (const samples of batches) {
          const outcome = append(head, slot, samples);
          model.add(samples);
          received += samples.length;
          assert.equal(outcome.appended + outcome.duplicates, samples.length);
          firstUsed.push(...outcome.firstUsed);
        }
        assert.deepEqual(new Set(firstUsed), new Set(model.series.keys()));
        assert.equal(firstUsed.length, model.series.size);
        const stats = head.generationStats(slot);
        assert.ok(stats.samplesCount <= received);
        assert.equal(stats.seriesCount, model.series.size);

        const refs = Uint32Array.from({ length: seriesCount }, (_, i) => i);
        const windows: [number, number][] = [[-Infinity, Infinity], ...ranges];
        for (const [startMs, endMs] of windows) {
          const frame = reader.openFrame(head.copySeries(slot, refs, startMs, endMs));
          for (const ref of refs)
            checkRead(model, ref, startMs, endMs, (into) => frame.read(ref, startMs, endMs, into));
        }
        head.freezeGeneration(slot);
        for (const [startMs, endMs] of windows) {
          for (const ref of refs) {
            checkRead(model, ref, startMs, endMs, (into) => reader.readSeries(slot, ref, startMs, endMs, into));
          }
        }
      },
    ),
    { numRuns: 120, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: true },
  );
});

test('long in-order series of every shape come back bit for bit', () => {
  const random = new SeededRandom(7);
  const { head, reader } = createHead(4);
  const slot = head.openGeneration();
  const model = new Model();
  const shapes: ((i: number, random: SeededRandom) => number)[] = [
    () => 42,
    (i) => i * 3,
    (_, source) => source.float(),
    (i, source) => (i % 50 === 0 ? NaN : Math.round(source.float() * 1000) / 100),
  ];
  const words = new BigUint64Array(1);
  const float = new Float64Array(words.buffer);
  let timestampMs = 1_699_999_000_000;
  for (let round = 0; round < 30; round++) {
    const samples: Sample[] = [];
    for (let i = 0; i < 400; i++) {
      timestampMs += i % 7 === 0 ? 15_000 : 15_000 + random.below(5) - 2;
      if (random.below(500) === 0) timestampMs += random.below(10 * windowMs);
      for (const [ref, shape] of shapes.entries()) {
        float[0] = shape(round * 400 + i, random);
        samples.push({ ref, timestampMs, bits: words[0] as bigint });
      }
    }
    append(head, slot, samples);
    model.add(samples);
  }
  head.freezeGeneration(slot);
  for (let ref = 0; ref < 4; ref++) {
    checkRead(model, ref, -Infinity, Infinity, (into) => reader.readSeries(slot, ref, -Infinity, Infinity, into));
    const [startMs, endMs] = [1_700_010_000_000, 1_700_090_000_000];
    checkRead(model, ref, startMs, endMs, (into) => reader.readSeries(slot, ref, startMs, endMs, into));
  }
});

test('a chunk that is cut for its size, and reads that are cut at windows, lose nothing', () => {
  const { head, reader } = createHead(1);
  const slot = head.openGeneration();
  const model = new Model();
  const random = new SeededRandom(3);
  // 1 ms apart within one window: cut by size; then 80,000 more in other windows: more than one read takes at once.
  for (let round = 0; round < 16; round++) {
    const samples: Sample[] = [];
    for (let i = 0; i < 8000; i++) {
      const timestampMs = round < 5 ? round * 8000 + i : (round + 5) * windowMs + i * 900;
      samples.push({ ref: 0, timestampMs, bits: BigInt(random.uint32()) << 31n });
    }
    append(head, slot, samples);
    model.add(samples);
  }
  head.freezeGeneration(slot);
  checkRead(model, 0, -Infinity, Infinity, (into) => reader.readSeries(slot, 0, -Infinity, Infinity, into));
  // Decoded at once, with room to sort, the samples alone would take 4 MB.
  assert.ok(head.stats().scratchBytes < 6_400_000, `${head.stats().scratchBytes} bytes`);
});

test('interleaved in-order senders take a run each, and nothing waits to be sorted', () => {
  const { head, reader } = createHead(1);
  const slot = head.openGeneration();
  const model = new Model();
  const random = new SeededRandom(2);
  // Four senders, each in order, each behind the other by more than a batch.
  const next = [40_000, 30_000, 20_000, 10_000];
  for (let i = 0; i < 400; i++) {
    const sender = i < 4 ? i : random.below(4);
    const timestampMs = (next[sender] as number) + 1;
    next[sender] = timestampMs;
    const samples = [{ ref: 0, timestampMs: timestampMs, bits: BigInt(i) }];
    append(head, slot, samples);
    model.add(samples);
  }
  const frame = head.copySeries(slot, Uint32Array.of(0), -Infinity, Infinity);
  const imageAt = new DataView(frame.buffer).getUint32(8, true);
  assert.equal(new DataView(frame.buffer).getUint32(imageAt, true), 4, 'chunks');
  checkRead(model, 0, 0, 1e6, (into) => reader.openFrame(frame).read(0, 0, 1e6, into));
});

test('a late sample that waits to be sorted is known when it comes again, and so is one that was sorted', () => {
  const { head, reader } = createHead(1);
  const slot = head.openGeneration();
  const model = new Model();
  // Each older than all before it: four runs, then the buffer; twice as many as it takes.
  for (let i = 0; i < 70; i++) {
    const samples = [{ ref: 0, timestampMs: 1_000_000 - i * 1000, bits: BigInt(i) }];
    append(head, slot, samples);
    model.add(samples);
    if (i === 20) assert.equal(append(head, slot, samples).duplicates, 1);
    // At one timestamp, several values, the winner neither first nor last.
    for (const bits of [5n, 900n, 7n]) {
      const others = [{ ref: 0, timestampMs: 1_000_000 - (i >> 1) * 1000, bits }];
      append(head, slot, others);
      model.add(others);
    }
  }
  head.freezeGeneration(slot);
  checkRead(model, 0, -Infinity, Infinity, (into) => reader.readSeries(slot, 0, -Infinity, Infinity, into));
});

test('the same sample again is counted as a duplicate where it follows itself, and never read twice', () => {
  const { head, reader } = createHead(1);
  const slot = head.openGeneration();
  const sample = { ref: 0, timestampMs: 5000, bits: 7n };
  assert.equal(append(head, slot, [sample, sample]).duplicates, 1);
  assert.equal(append(head, slot, [sample]).duplicates, 1);
  assert.equal(append(head, slot, [{ ...sample, bits: 8n }]).appended, 1);
  assert.equal(append(head, slot, [{ ...sample, bits: 8n }]).duplicates, 1);
  head.freezeGeneration(slot);
  const buffer = new SampleBuffer();
  assert.equal(reader.readSeries(slot, 0, 0, 10_000, buffer), 1);
  assert.deepEqual(contents(buffer), [[5000, 8n]]);
});

test('rows of unknown and rejected series are skipped with their samples', () => {
  const { head, reader } = createHead(2);
  const slot = head.openGeneration();
  const batch = head.stage(4, 6);
  batch.refs.set([unknownRef, 1, rejectedRef, 0]);
  batch.samplesEnd.set([2, 3, 5, 6]);
  batch.timestampsMs.set([1n, 2n, 3n, 4n, 5n, 6n]);
  batch.valueBits.set([1n, 2n, 3n, 4n, 5n, 6n]);
  const record = head.encodeSamples().slice();
  const outcome = head.append(slot);
  assert.deepEqual([outcome.appended, Array.from(outcome.firstUsed)], [2, [1, 0]]);
  const frame = reader.openFrame(head.copySeries(slot, Uint32Array.of(0, 1), 0, 100));
  const buffer = new SampleBuffer();
  frame.read(0, 0, 100, buffer);
  frame.read(1, 0, 100, buffer);
  assert.deepEqual(contents(buffer), [
    [6, 6n],
    [3, 3n],
  ]);
  const decoded = head.decodeSamples(record);
  assert.deepEqual(Array.from(decoded.refs), [1, 0]);
  assert.deepEqual(Array.from(decoded.valueBits), [3n, 6n]);
});

test('generations are apart from each other, and a dropped one gives its memory to the next', () => {
  const { head, reader } = createHead(2);
  const before = head.stats().bytes;
  for (let round = 0; round < 40; round++) {
    const slot = head.openGeneration();
    const samples = Array.from({ length: 20_000 }, (_, i) => ({
      ref: i & 1,
      timestampMs: round * 1e9 + (i >> 1) * 1000,
      bits: BigInt(i) * 0x123456789abcn,
    }));
    assert.equal(append(head, slot, samples).appended, samples.length);
    const buffer = new SampleBuffer();
    head.freezeGeneration(slot);
    assert.equal(reader.readSeries(slot, 1, -Infinity, Infinity, buffer), 10_000);
    head.dropGeneration(slot);
    assert.equal(head.generationStats(slot).state, 'free');
    const set = reader.refSet('all');
    set.keepSlots([slot]);
    assert.equal(set.count(), 0);
    set.release();
  }
  assert.ok(head.stats().bytes < before + 4 * 1024 * 1024, `${head.stats().bytes} bytes after ${before}`);
});

test('out of memory, an append changes nothing, and what was stored stays readable', () => {
  const { head, reader } = createHead(2, 6 * 1024 * 1024);
  const slot = head.openGeneration();
  const random = new SeededRandom(11);
  const model = new Model();
  const batch = (): Sample[] =>
    Array.from({ length: 2000 }, () => ({
      ref: random.below(2),
      timestampMs: random.below(1e9),
      bits: (BigInt(random.uint32()) << 32n) | BigInt(random.uint32()),
    }));
  let failed = false;
  for (let round = 0; round < 500 && !failed; round++) {
    const samples = batch();
    stage(head, samples);
    const stats = head.generationStats(slot);
    try {
      head.append(slot);
      model.add(samples);
    } catch (error) {
      assert.match(String(error), /HEAD_MEMORY_FULL/);
      assert.deepEqual(head.generationStats(slot), stats);
      failed = true;
    }
  }
  assert.ok(failed, 'the limit was met');
  head.freezeGeneration(slot);
  const [startMs, endMs] = [1e8, 2e8];
  checkRead(model, 0, startMs, endMs, (into) => reader.readSeries(slot, 0, startMs, endMs, into));
});

test('what an append may allocate is there before it begins, however its samples lie', () => {
  // One row, every sample in a window of its own.
  const { head } = createHead(1, 5 * 1024 * 1024);
  const slot = head.openGeneration();
  const batch = head.stage(1, 60_000);
  batch.refs[0] = 0;
  batch.samplesEnd[0] = 60_000;
  for (let i = 0; i < 60_000; i++) batch.timestampsMs[i] = BigInt(i * windowMs);
  assert.throws(() => head.append(slot), /HEAD_MEMORY_FULL/);
  assert.equal(head.generationStats(slot).samplesCount, 0);

  // Many series whose buffers fill in one batch, which then writes 32 chunks each: under any limit, all of a batch or nothing.
  for (let bytesMax = 5 * 1024 * 1024; bytesMax < 9 * 1024 * 1024; bytesMax += 512 * 1024) {
    const crowded = createHead(2000, bytesMax);
    const crowdedSlot = crowded.head.openGeneration();
    try {
      for (let i = 0; i < 4 + 32; i++) {
        const samples = Array.from({ length: 2000 }, (_, ref) => ({ ref, timestampMs: -i * windowMs, bits: 1n }));
        append(crowded.head, crowdedSlot, samples);
      }
    } catch (error) {
      assert.match(String(error), /HEAD_MEMORY_FULL/);
    }
    assert.equal(crowded.head.generationStats(crowdedSlot).samplesCount % 2000, 0);
  }
});

test('batches that contradict themselves are refused whole', () => {
  const { head } = createHead(1);
  const slot = head.openGeneration();
  for (const spoil of [
    (batch: ReturnType<Head['stage']>) => (batch.refs[1] = 1),
    (batch: ReturnType<Head['stage']>) => (batch.samplesEnd[0] = 3),
    (batch: ReturnType<Head['stage']>) => (batch.samplesEnd[1] = 0),
    (batch: ReturnType<Head['stage']>) => (batch.timestampsMs[1] = 1n << 60n),
  ]) {
    const batch = head.stage(2, 2);
    batch.refs.fill(0);
    batch.samplesEnd.set([1, 2]);
    batch.timestampsMs.set([1n, 2n]);
    spoil(batch);
    assert.throws(() => head.append(slot), /ASSERTION_FAILED/);
    assert.equal(head.generationStats(slot).samplesCount, 0);
  }
});

test('a frame whose counts contradict its bytes is refused', () => {
  const { head, reader } = createHead(1);
  const slot = head.openGeneration();
  for (let i = 0; i < 8; i++) append(head, slot, [{ ref: 0, timestampMs: 10_000 - i, bits: 3n }]);
  const frame = head.copySeries(slot, Uint32Array.of(0), 0, 20_000);
  const view = new DataView(frame.buffer);
  const image = view.getUint32(8, true);
  // Four runs of one sample, 32 bytes each with their headers; then the buffer.
  const buffered = image + 8 + 4 * 32;
  assert.deepEqual([view.getUint16(buffered + 4, true), view.getUint32(buffered + 12, true)], [4, 1]);
  view.setUint16(buffered + 4, 3, true);
  assert.throws(() => reader.openFrame(frame).read(0, 0, 20_000, new SampleBuffer()), /HEAD_FRAME_CORRUPT/);
  view.setUint16(buffered + 4, 4, true);
  assert.equal(reader.openFrame(frame).read(0, 0, 20_000, new SampleBuffer()), 8);
  view.setUint16(image + 8 + 4, 2, true);
  assert.throws(() => reader.openFrame(frame).read(0, 0, 20_000, new SampleBuffer()), /HEAD_FRAME_CORRUPT/);
});

test('damaged frames are an error, never a crash', () => {
  const { head, reader } = createHead(3);
  const slot = head.openGeneration();
  const random = new SeededRandom(5);
  const samples = Array.from({ length: 600 }, (_, i) => ({
    ref: i % 3,
    timestampMs: i % 3 === 2 ? random.below(1e7) : i * 1000,
    bits: BigInt(random.uint32()) << 20n,
  }));
  append(head, slot, samples);
  const frame = head.copySeries(slot, Uint32Array.of(0, 1, 2), -Infinity, Infinity);
  const buffer = new SampleBuffer();
  let errors = 0;
  for (let round = 0; round < 3000; round++) {
    const damaged = frame.slice(0, random.below(4) === 0 ? random.below(frame.length) : frame.length);
    const at = random.below(Math.max(1, random.below(2) === 0 ? 64 : damaged.length));
    if (at < damaged.length) damaged[at] = random.below(256);
    buffer.clear();
    try {
      const opened = reader.openFrame(damaged);
      for (let i = 0; i < opened.seriesCount; i++) opened.read(i, -Infinity, Infinity, buffer);
    } catch (error) {
      assert.match(String(error), /HEAD_FRAME_CORRUPT/);
      errors++;
    }
  }
  assert.ok(errors > 100);
});
