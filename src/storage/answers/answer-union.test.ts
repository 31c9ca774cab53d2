// Answers of several nodes, against a plain model: a map from series and timestamp to the value that wins.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareValueBits, encodeLabels, Labels, SampleBuffer } from '../../model/index.ts';
import { type AnswerSeries, AnswerUnion } from './answer-union.ts';
import { readSampleFrame, SampleFrameWriter } from './sample-frame.ts';

/** Samples by timestamp, values as bits. */
type Column = ReadonlyMap<number, bigint>;
/** Series by a name. */
type Holding = ReadonlyMap<string, Column>;

const labelsOf = (name: string): Labels => Labels.of({ __name__: 'm', name, same: 'everywhere' });

function fill(buffer: SampleBuffer, column: Column): void {
  buffer.clear();
  buffer.reserve(column.size);
  const bits = new BigUint64Array(buffer.values.buffer);
  for (const timestampMs of [...column.keys()].sort((a, b) => a - b)) {
    buffer.timestampsMs[buffer.count] = timestampMs;
    bits[buffer.count++] = column.get(timestampMs) ?? 0n;
  }
}

function columnOf(buffer: SampleBuffer): Column {
  const bits = new BigUint64Array(buffer.values.buffer);
  return new Map(
    Array.from({ length: buffer.count }, (_, i) => [buffer.timestampsMs[i] as number, bits[i] as bigint] as const),
  );
}

const sorted = (holding: Holding): [string, Column][] =>
  [...holding].sort(([a], [b]) => Labels.compare(labelsOf(a), labelsOf(b)));

/** Frames of what a node holds, in pieces of so many samples. */
function* framesOf(holding: Holding, request: number, seriesPerFrame: number): Generator<Uint8Array> {
  const writer = new SampleFrameWriter();
  const buffer = new SampleBuffer();
  let count = 0;
  for (const [name, column] of sorted(holding)) {
    fill(buffer, column);
    for (let from = 0; from < buffer.count;) from = writer.add(request, encodeLabels(labelsOf(name)), buffer, from);
    if (++count % seriesPerFrame === 0 && !writer.isEmpty) yield writer.take();
  }
  if (!writer.isEmpty) yield writer.take();
}

function ownSeries(holding: Holding): AnswerSeries[] {
  return sorted(holding).map(([name, column]) => ({ labels: labelsOf(name), read: (into) => fill(into, column) }));
}

function winner(a: bigint, b: bigint): bigint {
  const halves = (bits: bigint): [number, number] => [Number(bits >> 32n), Number(bits & 0xffff_ffffn)];
  return compareValueBits(...halves(a), ...halves(b)) >= 0 ? a : b;
}

function unionOf(holdings: readonly Holding[]): Map<string, Map<number, bigint>> {
  const union = new Map<string, Map<number, bigint>>();
  for (const [name, column] of holdings.flatMap((holding) => [...holding])) {
    const samples = union.get(name) ?? new Map<number, bigint>();
    union.set(name, samples);
    for (const [timestampMs, bits] of column) {
      const other = samples.get(timestampMs);
      samples.set(timestampMs, other === undefined ? bits : winner(bits, other));
    }
  }
  return union;
}

const stale = 0x7ff0_0000_0000_0002n;
const bits = fc.oneof(fc.constantFrom(stale, 0n, 1n << 63n), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }));
const column = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 12 }), bits), {
    selector: ([timestampMs]) => timestampMs,
    minLength: 1,
  })
  .map((samples): Column => new Map(samples));
const holding = fc
  .uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'é'), column), { selector: ([name]) => name })
  .map((series): Holding => new Map(series));

test('every sample of every node is there once, the winner where they differ, in the order of labels', () => {
  fc.assert(
    fc.property(
      holding,
      fc.array(holding, { maxLength: 3 }),
      fc.integer({ min: 1, max: 3 }),
      (own, others, perFrame) => {
        const union = new AnswerUnion(2);
        for (const [i, other] of others.entries()) {
          for (const frame of framesOf(other, 1, perFrame)) union.add(`node ${i}`, frame);
        }
        const series = union.series(1, ownSeries(own));
        const buffer = new SampleBuffer();
        const found = series.map(({ labels }) => labels.get('name') ?? '');
        assert.deepEqual(
          found,
          sorted(unionOf([own, ...others])).map(([name]) => name),
        );
        const columns = series.map((one) => {
          one.read(buffer);
          const timestampsMs = [...buffer.timestampsMs.subarray(0, buffer.count)];
          assert.deepEqual(
            timestampsMs,
            timestampsMs.toSorted((a, b) => a - b),
          );
          return [one.labels.get('name'), columnOf(buffer)] as const;
        });
        assert.deepEqual(new Map(columns), unionOf([own, ...others]));
        assert.equal(union.series(0, []).length, 0);
      },
    ),
  );
});

test('a copy that says the same leaves the timestamps known by their key', () => {
  const samples: Column = new Map([
    [10, 1n],
    [20, 2n],
  ]);
  const key = {};
  const own: AnswerSeries = {
    labels: labelsOf('a'),
    read: (into) => {
      fill(into, samples);
      into.timestampsKey = key;
    },
  };
  const buffer = new SampleBuffer();
  for (const [copy, isKept] of [
    [samples, true],
    [new Map([[20, 2n]]), true],
    [new Map([[10, 1n]]), false],
    [new Map([[30, 2n]]), false],
  ] as const) {
    const union = new AnswerUnion(1);
    for (const frame of framesOf(new Map([['a', copy]]), 0, 1)) union.add('node', frame);
    union.series(0, [own])[0]?.read(buffer);
    assert.equal(buffer.timestampsKey === key, isKept, [...copy.keys()].join());
  }
});

test('series that share their timestamps carry them once in a frame, and share their key', () => {
  const samples: Column = new Map(Array.from({ length: 100 }, (_, i) => [i * 15_000, BigInt(i)]));
  const holdings: Holding = new Map(['a', 'b', 'c'].map((name) => [name, samples]));
  const [frame] = [...framesOf(holdings, 0, 3)];
  assert(frame && frame.length < 100 * 8 * 5);
  const union = new AnswerUnion(1);
  union.add('node', frame);
  const keys = union.series(0, []).map((one) => {
    const buffer = new SampleBuffer();
    one.read(buffer);
    assert.deepEqual(columnOf(buffer), samples);
    return buffer.timestampsKey;
  });
  assert(keys[0]);
  assert.equal(new Set(keys).size, 1);
});

test('a long series goes on in the next frames', () => {
  const samples: Column = new Map(Array.from({ length: 150_000 }, (_, i) => [i, BigInt(i)]));
  const writer = new SampleFrameWriter();
  const buffer = new SampleBuffer();
  fill(buffer, samples);
  const frames: Uint8Array[] = [];
  for (let from = 0; from < buffer.count;) {
    from = writer.add(0, encodeLabels(labelsOf('a')), buffer, from);
    if (writer.isFull) frames.push(writer.take());
  }
  frames.push(writer.take());
  assert(frames.length > 1);
  assert(frames.every(({ length }) => length < 2 * 1024 * 1024));
  const union = new AnswerUnion(1);
  for (const frame of frames) union.add('node', frame);
  const series = union.series(0, []);
  assert.equal(series.length, 1);
  series[0]?.read(buffer);
  assert.equal(buffer.count, samples.size);
  assert.deepEqual(columnOf(buffer), samples);
});

test('a frame that was cut, or names what is not in it, is refused', () => {
  const [frame] = [...framesOf(new Map([['a', new Map([[1, 1n]])]]), 0, 1)];
  assert(frame);
  const read = (bytes: Uint8Array): number => [...readSampleFrame(bytes)].length;
  assert.equal(read(frame), 1);
  for (let length = 0; length < frame.length; length++) {
    assert.throws(() => read(frame.slice(0, length)), { code: 'ANSWER_CORRUPT' });
  }
  for (const [at, value] of [
    [0, 9],
    [4, 2],
    [12, 0xffff],
    [16, 0xffff_ffff],
    [20, 4],
    [20, 0xffff_fff8],
  ] as const) {
    const broken = frame.slice();
    new DataView(broken.buffer).setUint32(at, value, true);
    assert.throws(() => read(broken), { code: 'ANSWER_CORRUPT' }, `${value} at ${at}`);
  }
  const otherRequest = frame.slice();
  otherRequest[8] = 5;
  assert.throws(() => new AnswerUnion(1).add('node', otherRequest), { code: 'ANSWER_CORRUPT' });
});
