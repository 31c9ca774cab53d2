// Arbitrary remote-write requests for property tests: legal protobuf in every order and odd encoding that a sender may
// choose, with the mistakes that must be refused. Test-only.
import fc from 'fast-check';

export const nowMs = 1_700_000_000_000;
export const minMs = nowMs - 1_000_000;
export const maxMs = nowMs + 1_000_000;

/** A varint of `value`, with `padding` needless bytes. */
export function varint(value: bigint | number, padding = 0): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  for (let i = 0; i < padding && bytes.length < 10; i++) {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 128;
    bytes.push(0);
  }
  return Buffer.from(bytes);
}

export function bytesField(number: number, content: Uint8Array, padding = 0): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(content.length, padding), content]);
}

export function fixed64Field(number: number, bits: bigint): Buffer {
  const content = Buffer.alloc(8);
  content.writeBigUInt64LE(BigInt.asUintN(64, bits));
  return Buffer.concat([varint(number * 8 + 1), content]);
}

export function varintField(number: number, value: bigint | number, padding = 0): Buffer {
  return Buffer.concat([varint(number * 8), varint(value, padding)]);
}

const rarely = <Value>(usual: fc.Arbitrary<Value>, rare: fc.Arbitrary<Value>, weight = 20): fc.Arbitrary<Value> =>
  fc.oneof({ arbitrary: usual, weight }, { arbitrary: rare, weight: 1 });

const padding = rarely(fc.constant(0), fc.integer({ min: 1, max: 3 }));
const unknownField = fc.oneof(
  fc.uint8Array({ maxLength: 12 }).map((content) => bytesField(9, content)),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map((value) => varintField(17, value)),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map((bits) => fixed64Field(3000, bits)),
  fc.constant(Buffer.from([7 * 8 + 5, 1, 2, 3, 4])),
);

const fewNames = fc.constantFrom('__name__', 'job', 'instance', 'le', 'a', 'b', 'zone', 'ä', '\u{1f600}', '\uffff');
const text = fc.oneof(fewNames, fc.string({ unit: 'grapheme', maxLength: 40 })).map((value) => Buffer.from(value));
const invalidText = fc.uint8Array({ minLength: 1, maxLength: 6 }).map((bytes) => Buffer.from(bytes));

const bits = fc.oneof(
  fc.constantFrom(0n, 1n << 63n, 0x7ff0000000000002n, 0x7ff8000000000001n, 0x3ff0000000000000n, 0x7ff0000000000001n),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
);
const timestampMs = fc.oneof(
  { arbitrary: fc.integer({ min: minMs, max: maxMs }).map(BigInt), weight: 20 },
  { arbitrary: fc.constantFrom(minMs, maxMs, minMs - 1, maxMs + 1, 0, 1, -1).map(BigInt), weight: 1 },
  { arbitrary: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), weight: 1 },
);

/** A Label message; `odd`: fields swapped, repeated, padded or unknown. */
const label = fc
  .record({
    name: rarely(text, invalidText, 60),
    value: rarely(text, invalidText, 60),
    odd: rarely(fc.constant(0), fc.nat(4), 10),
    padding,
  })
  .map(({ name, value, odd, padding }) => {
    const fields = [bytesField(1, name, padding), bytesField(2, value, padding)];
    if (odd === 1) fields.reverse();
    if (odd === 2) fields.unshift(bytesField(1, Buffer.from('earlier')));
    if (odd === 3) fields.push(bytesField(12, name));
    if (odd === 4) fields.pop();
    return bytesField(1, Buffer.concat(fields), padding);
  });

/** A Sample message as senders write it (zeros left out), or an odd one. */
const sample = fc
  .record({ bits, timestampMs, odd: rarely(fc.constant(0), fc.nat(4), 10), padding })
  .map(({ bits, timestampMs, odd, padding }) => {
    const fields = [fixed64Field(1, bits), varintField(2, timestampMs, padding)];
    if (bits === 0n && odd !== 4) fields.shift();
    if (odd === 1) fields.reverse();
    if (odd === 2) fields.push(varintField(2, timestampMs + 1n));
    if (odd === 3) fields.push(fixed64Field(9, bits));
    return bytesField(2, Buffer.concat(fields), padding);
  });

const metricName = fc
  .constantFrom('up', 'http_requests_total', 'node_cpu_seconds_total', 'x.y')
  .map((name) =>
    bytesField(1, Buffer.concat([bytesField(1, Buffer.from('__name__')), bytesField(2, Buffer.from(name))])),
  );

/** A TimeSeries message: mostly labels, then samples, as senders do; sometimes in any order, with anything between. */
const series = fc
  .record({
    metric: rarely(fc.array(metricName, { minLength: 1, maxLength: 1 }), fc.constant<Buffer[]>([])),
    labels: fc.array(label, { maxLength: 5 }),
    samples: fc.array(sample, { maxLength: 3 }),
    extras: rarely(fc.constant<Buffer[]>([]), fc.array(unknownField, { maxLength: 2 }), 8),
    histograms: rarely(fc.constant<Buffer[]>([]), fc.constant<Buffer[]>([bytesField(4, Buffer.from([8, 1]))]), 12),
    order: rarely(fc.constant<number[]>([]), fc.array(fc.nat(), { minLength: 12, maxLength: 12 }), 4),
  })
  .map(({ metric, labels, samples, extras, histograms, order }) => {
    const fields = [...metric, ...labels, ...samples, ...extras, ...histograms];
    for (const [index, choice] of order.entries()) {
      const from = index % Math.max(1, fields.length);
      const moved = fields.splice(from, 1);
      fields.splice(choice % (fields.length + 1), 0, ...moved);
    }
    return Buffer.concat(fields);
  });

const metadata = fc.constant(bytesField(3, Buffer.concat([varintField(1, 2), bytesField(2, Buffer.from('up'))])));

/** A decompressed WriteRequest. */
export const writeRequest: fc.Arbitrary<Buffer> = fc
  .array(
    fc.oneof(
      { arbitrary: series.map((message) => bytesField(1, message)), weight: 20 },
      { arbitrary: metadata, weight: 1 },
      { arbitrary: unknownField, weight: 1 },
    ),
    { maxLength: 8 },
  )
  .map((fields) => Buffer.concat(fields));

/** How to damage bytes: cuts, flips, insertions and removals at relative positions. */
export const damage = fc.array(
  fc.record({
    kind: fc.constantFrom('cut', 'flip', 'insert', 'remove', 'set'),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    byte: fc.nat(255),
  }),
  { minLength: 1, maxLength: 4 },
);

export function applyDamage(bytes: Uint8Array, steps: readonly { kind: string; at: number; byte: number }[]): Buffer {
  let result = Buffer.from(bytes);
  for (const { kind, at, byte } of steps) {
    const position = Math.min(result.length - 1, Math.floor(at * result.length));
    if (result.length === 0) return Buffer.from([byte]);
    if (kind === 'cut') result = result.subarray(0, position);
    else if (kind === 'flip') result[position] = (result[position] ?? 0) ^ (1 << (byte & 7));
    else if (kind === 'set') result[position] = byte;
    else if (kind === 'insert')
      result = Buffer.concat([result.subarray(0, position), Buffer.from([byte]), result.subarray(position)]);
    else result = Buffer.concat([result.subarray(0, position), result.subarray(position + 1)]);
  }
  return result;
}

export function labelField(name: string | Buffer, value: string | Buffer): Buffer {
  return bytesField(1, Buffer.concat([bytesField(1, Buffer.from(name)), bytesField(2, Buffer.from(value))]));
}

export function metricField(name: string): Buffer {
  return labelField('__name__', name);
}

export function sampleField(timestampMs: number | bigint, bits = 0x3ff0000000000000n): Buffer {
  const value = bits === 0n ? Buffer.alloc(0) : fixed64Field(1, bits);
  return bytesField(2, Buffer.concat([value, varintField(2, timestampMs)]));
}
