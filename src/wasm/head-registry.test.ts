// The registry: registration, look-up, order, limits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SeededRandom } from '../base/index.ts';
import { decodeLabels, encodeLabels, Labels } from '../model/index.ts';
import { Head } from './head.ts';
import { HeadReader } from './head-reader.ts';
import { loadTestModule } from './test-modules.ts';

const module = loadTestModule('head');
const mib = 1024 * 1024;
const encoder = new TextEncoder();

function createHead(bytesMax = 64 * mib): { head: Head; reader: HeadReader } {
  const random = new SeededRandom(1);
  const head = Head.create(module, {
    bytesMax,
    random: { fill: (target) => target.forEach((_, i) => (target[i] = random.below(256))) },
  });
  return { head, reader: HeadReader.attach(module, head.memory) };
}

function fingerprint(low: number, high = 0): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, high, true);
  view.setUint32(8, low, true);
  return bytes;
}

const labelsArbitrary = fc
  .dictionary(
    fc.oneof(fc.constantFrom('a', 'a\0', 'b'), fc.string({ unit: 'binary', minLength: 1, maxLength: 12 })),
    fc.oneof(
      fc.constantFrom('a', 'a\0', 'aaaaaaaab', 'aaaaaaaa', 'aaaaaaaa\0', '\uffff', '\u{10000}'),
      fc.string({ unit: 'binary' }),
    ),
    { maxKeys: 5, size: 'max' },
  )
  .map((entries) => Labels.of({ ...entries, __name__: 'm' }));

test('a series is found again by its labels, even where fingerprints collide', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(labelsArbitrary, fc.integer({ min: 0, max: 3 })), { maxLength: 60, size: 'max' }),
      (series) => {
        const { head, reader } = createHead(8 * mib);
        const refs = new Map<string, number>();
        for (const [labels, low] of series) {
          // The fingerprint is a function of the labels, as it has to be, but of few values.
          const bytes = fingerprint((low + labels.key().length) % 2);
          const ref = head.register(encodeLabels(labels), bytes);
          const key = `${bytes[8]} ${labels.key()}`;
          assert.equal(ref, refs.get(key) ?? refs.size);
          refs.set(key, ref);
          assert.ok(decodeLabels(reader.labelBytes(ref)).equals(labels));
          assert.deepEqual(reader.fingerprint(ref), bytes);
        }
        assert.equal(reader.stats().seriesCount, refs.size);
      },
    ),
    { numRuns: 80, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: true },
  );
});

test('many series: tables grow bucket by bucket and lose nothing', () => {
  const { head, reader } = createHead();
  const count = 60_000;
  const labelsOf = (i: number): Labels => Labels.of({ __name__: `metric_${i % 7}`, instance: `host-${i}` });
  for (let i = 0; i < count; i++) {
    assert.equal(head.register(encodeLabels(labelsOf(i)), fingerprint(i * 7_777_777, i)), i);
  }
  for (let i = 0; i < count; i += 37) {
    assert.equal(head.register(encodeLabels(labelsOf(i)), fingerprint(i * 7_777_777, i)), i);
    const pair = reader.findPair(encoder.encode('instance'), encoder.encode(`host-${i}`));
    assert.ok(pair !== undefined);
    assert.equal(reader.pairSeriesCount(pair), 1);
    assert.equal(new TextDecoder().decode(reader.pairValue(pair)), `host-${i}`);
  }
  assert.equal(reader.findPair(encoder.encode('instance'), encoder.encode('host-x')), undefined);
  assert.equal(reader.findPair(encoder.encode('host-1'), encoder.encode('instance')), undefined);
  assert.equal(reader.pairsOfName(encoder.encode('instance')).length, count);
  const metricPair = reader.findPair(encoder.encode('__name__'), encoder.encode('metric_3'));
  const set = reader.refSet('empty');
  set.addPairs(Uint32Array.of(metricPair as number));
  const refs = set.refs();
  set.release();
  assert.deepEqual(
    refs,
    Uint32Array.from({ length: count }, (_, i) => i).filter((i) => i % 7 === 3),
  );
  // 60,000 series with a label value each of its own.
  assert.ok(head.stats().registryBytes < count * 160, `${head.stats().registryBytes} bytes`);
});

test('sortedRefs orders as Labels.compare does', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(labelsArbitrary, { selector: (labels) => labels.key(), maxLength: 80, size: 'max' }),
      (series) => {
        const { head, reader } = createHead(8 * mib);
        for (const [i, labels] of series.entries()) head.register(encodeLabels(labels), fingerprint(i));
        const slot = head.openGeneration();
        const used = series.map((_, i) => i).filter((i) => i % 5 !== 2);
        const batch = head.stage(used.length, used.length);
        for (const [i, ref] of used.entries()) {
          batch.refs[i] = ref;
          batch.samplesEnd[i] = i + 1;
        }
        batch.timestampsMs.fill(1n);
        batch.valueBits.fill(1n);
        head.append(slot);
        head.freezeGeneration(slot);
        const expected = used.toSorted((a, b) => Labels.compare(series[a] as Labels, series[b] as Labels));
        assert.deepEqual(Array.from(reader.sortedRefs(slot)), expected);
      },
    ),
    { numRuns: 80, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: true },
  );
});

test('long values that share long prefixes sort by what follows, and in reasonable time', () => {
  const { head, reader } = createHead();
  const random = new SeededRandom(9);
  const values = Array.from({ length: 3000 }, (_, i) => 'x'.repeat(i % 300) + random.uint32().toString(36));
  const series = values.map((value, i) => Labels.of({ a: value, b: String(i) }));
  for (const [i, labels] of series.entries()) head.register(encodeLabels(labels), fingerprint(i));
  const slot = head.openGeneration();
  const batch = head.stage(series.length, series.length);
  batch.refs.forEach((_, i) => {
    batch.refs[i] = i;
    batch.samplesEnd[i] = i + 1;
  });
  batch.timestampsMs.fill(1n);
  head.append(slot);
  head.freezeGeneration(slot);
  const expected = series.map((_, i) => i).sort((a, b) => Labels.compare(series[a] as Labels, series[b] as Labels));
  assert.deepEqual(Array.from(reader.sortedRefs(slot)), expected);
});

test('bytes that are not a canonical label set are refused, and nothing is registered', () => {
  const { head } = createHead(8 * mib);
  const bad: number[][] = [
    [],
    [1],
    [1, 97],
    [1, 97, 1],
    [1, 97, 0],
    [0, 1, 97],
    [1, 97, 2, 98],
    [1, 98, 1, 99, 1, 97, 1, 99], // names descend
    [1, 97, 1, 99, 1, 97, 1, 99], // a name twice
    [255, 255, 255, 255, 15, 97, 1, 97],
    [128, 128, 128, 128, 1, 97, 1, 97],
  ];
  for (const bytes of bad) {
    assert.throws(() => head.register(Uint8Array.from(bytes), fingerprint(1)), /HEAD_BAD_LABELS/, bytes.join());
  }
  const tooMany = Labels.of(Array.from({ length: 513 }, (_, i) => [`l${i}`, 'x'] as const));
  assert.throws(() => head.register(encodeLabels(tooMany), fingerprint(1)), /HEAD_BAD_LABELS/);
  const tooLong = Labels.of({ a: 'x'.repeat(131072) });
  assert.throws(() => head.register(encodeLabels(tooLong), fingerprint(1)), /HEAD_BAD_LABELS/);
  assert.equal(head.stats().symbolsCount, 0);
  const longest = Labels.of({ a: 'x'.repeat(131072 - 5) });
  assert.equal(head.register(encodeLabels(longest), fingerprint(1)), 0);
});

test('damaged label bytes never do more than fail', () => {
  const { head, reader } = createHead(32 * mib);
  fc.assert(
    fc.property(labelsArbitrary, fc.nat(), fc.nat(255), fc.nat(), (labels, at, byte, cut) => {
      const bytes = encodeLabels(labels);
      bytes[at % bytes.length] = byte;
      const damaged = bytes.subarray(0, 1 + (cut % bytes.length));
      let ref: number;
      try {
        ref = head.register(damaged, fingerprint(at, cut));
      } catch (error) {
        assert.match(String(error), /HEAD_BAD_LABELS/);
        return;
      }
      assert.deepEqual(reader.labelBytes(ref), damaged.slice());
    }),
    { numRuns: 1000 },
  );
});

test('out of memory, registration changes nothing, and known series are still found', () => {
  const { head, reader } = createHead(5 * mib);
  let count = 0;
  const labelsOf = (i: number): Uint8Array => encodeLabels(Labels.of({ a: `${i}`.padStart(200, 'v') }));
  assert.throws(() => {
    for (;;) head.register(labelsOf(count), fingerprint(count++));
  }, /HEAD_MEMORY_FULL/);
  const stats = head.stats();
  assert.ok(stats.seriesCount === count - 1 && count > 1000);
  assert.throws(() => head.register(labelsOf(count), fingerprint(count)), /HEAD_MEMORY_FULL/);
  assert.deepEqual(head.stats(), stats);
  assert.equal(head.register(labelsOf(7), fingerprint(7)), 7);
  assert.deepEqual(reader.labelBytes(count - 2), labelsOf(count - 2));
});

test('scratch is bounded, and given back', () => {
  const { reader, head } = createHead(256 * mib);
  head.register(encodeLabels(Labels.of({ a: 'b' })), fingerprint(1));
  const sets = Array.from({ length: 50 }, () => reader.refSet('all'));
  const { scratchBytes } = reader.stats();
  for (const set of sets) set.release();
  for (let i = 0; i < 500; i++) reader.refSet('all').release();
  assert.equal(reader.stats().scratchBytes, scratchBytes);
  assert.throws(() => head.stage(1, 100 * mib), /HEAD_MEMORY_FULL/);
  // Two that are too large together.
  head.stage(1, 9 * mib);
  assert.throws(() => head.encodeSamples(), /HEAD_MEMORY_FULL/);
  head.stage(1, 1);
});

test('a set knows no series that came later than it, nor one combined with it', () => {
  const { head, reader } = createHead(8 * mib);
  const register = (i: number): number => head.register(encodeLabels(Labels.of({ a: `${i}` })), fingerprint(i));
  for (let i = 0; i < 70; i++) register(i);
  // Leaves a region that is not all zero to the next set.
  const other = reader.refSet('all');
  other.refs();
  const before = reader.refSet('all');
  const none = reader.refSet('empty');
  for (let i = 70; i < 150; i++) register(i);
  assert.equal(before.count(), 70);
  const intersected = reader.refSet('all');
  intersected.intersect(before);
  assert.equal(intersected.count(), 70);
  const subtracted = reader.refSet('all');
  subtracted.subtract(none);
  assert.deepEqual(
    subtracted.refs(),
    Uint32Array.from({ length: 70 }, (_, i) => i),
  );
  before.intersect(reader.refSet('all'));
  assert.equal(before.count(), 70);
});
