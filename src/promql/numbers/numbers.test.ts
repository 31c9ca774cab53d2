// Numbers, durations and times as text: Go's own output as examples, round trips and agreement of the two ways of writing.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  durationSeconds,
  formatDuration,
  formatFixed,
  formatFloat,
  formatSampleValue,
  parseDuration,
  parseDurationParameter,
  parseGoFloat,
  parseQueryNumber,
  parseTimestampMs,
  sampleValueBytesMax,
  timestampBytesMax,
  writeSampleValue,
  writeTimestamp,
} from './index.ts';

const cell = new DataView(new ArrayBuffer(8));

function fromHex(hex: string): number {
  cell.setBigUint64(0, BigInt(`0x${hex}`));
  return cell.getFloat64(0);
}

function written(value: number): string {
  const target = new Uint8Array(sampleValueBytesMax);
  return Buffer.from(target.subarray(0, writeSampleValue(target, 0, value))).toString('latin1');
}

const anyFloat = fc.oneof(
  fc.double(),
  fc.double({ min: 1e-7, max: 1e22, noNaN: true }),
  fc.double({ min: -1000, max: 1000, noNaN: true }),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.tuple(fc.maxSafeInteger(), fc.integer({ min: 0, max: 12 })).map(([digits, decimals]) => digits / 10 ** decimals),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map((bits) => fromHex(bits.toString(16))),
);

test('floats are printed as Go prints them', () => {
  const golden = new URL('../../../test/golden/numbers/go-floats.txt', import.meta.url);
  for (const line of readFileSync(golden, 'utf8').trim().split('\n')) {
    const [hex = '', plain, sample, threeDecimals, sixDecimals, noDecimals] = line.split(' ');
    const value = fromHex(hex);
    assert.equal(formatFloat(value), plain);
    assert.equal(formatSampleValue(value), sample);
    assert.equal(written(value), sample);
    assert.equal(formatFixed(value, 3), threeDecimals);
    assert.equal(formatFixed(value, 6), sixDecimals);
    assert.equal(formatFixed(value, 0), noDecimals);
  }
});

test('a printed float is read back as the same float', () => {
  fc.assert(fc.property(anyFloat, (value) => assert.ok(Object.is(parseGoFloat(formatFloat(value)), value))));
});

test('values written as bytes equal values formatted as strings', () => {
  fc.assert(
    fc.property(anyFloat, (value) => assert.equal(written(value), formatSampleValue(value))),
    { numRuns: 5000 },
  );
});

test('sample values take exponents of two digits outside [1e-6, 1e21)', () => {
  assert.equal(formatSampleValue(1e-7), '1e-07');
  assert.equal(formatSampleValue(1e-6), '0.000001');
  assert.equal(formatSampleValue(1e21), '1e+21');
  assert.equal(formatSampleValue(-2.5e300), '-2.5e+300');
  assert.equal(formatFloat(1e-7), '0.0000001');
  assert.equal(formatFloat(1e21), '1000000000000000000000');
});

test('long values are written wherever their point stands', () => {
  const values = [
    12345678901234568, 1.2345678901234567e20, 999999999999999900000, 1234567.8901234567, 1.2345678901234567e-6,
  ];
  for (const value of [...values, 0.1 + 0.2, 2 / 3, 0.00012345678901234, 9007199254740994, 2 ** 60, 1e16 / 3]) {
    assert.equal(written(value), formatSampleValue(value));
    assert.equal(written(-value), formatSampleValue(-value));
  }
});

test('timestamps have three decimals or none', () => {
  const target = new Uint8Array(timestampBytesMax);
  const text = (timestampMs: number): string =>
    Buffer.from(target.subarray(0, writeTimestamp(target, 0, timestampMs))).toString('latin1');
  assert.equal(text(1500), '1.500');
  assert.equal(text(2000), '2');
  assert.equal(text(-1), '-0.001');
  assert.equal(text(1_700_000_000_010), '1700000000.010');
  assert.equal(text(-9_007_199_254_740_991), '-9007199254740.991');
});

test('floats are read in every notation of Go', () => {
  const accepted: [string, number][] = [
    ['+Inf', Infinity],
    ['-infinity', -Infinity],
    ['NaN', NaN],
    ['.5', 0.5],
    ['1.', 1],
    ['1_000.5', 1000.5],
    ['0x1p-2', 0.25],
    ['-0x1_F.8p1', -63],
    ['0x1p-1074', 5e-324],
    ['0x1.8p-1074', 1e-323],
    ['0x0.00000000000011p0', 0x11 / 2 ** 56],
    ['-0', -0],
    ['1e-400', 0],
  ];
  for (const [text, value] of accepted) {
    assert.ok(Object.is(parseGoFloat(text), value), text);
  }
});

test('what is no float is refused with Go’s words', () => {
  for (const text of [
    '',
    '.',
    '1e',
    '+nan',
    '1__0',
    '_1',
    '1_',
    '0x1',
    '0x.p1',
    'infin',
    '0b1',
    '1 ',
    '--1',
    '1.5.3',
  ]) {
    assert.throws(() => parseGoFloat(text), { message: `strconv.ParseFloat: parsing "${text}": invalid syntax` });
  }
  for (const text of ['1e400', '-0x1p2000', '0x1.fffffffffffff8p1023']) {
    assert.throws(() => parseGoFloat(text), { message: `strconv.ParseFloat: parsing "${text}": value out of range` });
  }
});

test('numbers in queries may be integers of other bases', () => {
  const values: [string, number][] = [
    ['010', 8],
    ['08', 8],
    ['0x1F', 31],
    ['0b11', 3],
    ['0o17', 15],
    ['1_000', 1000],
    ['9007199254740993', 9007199254740992],
    ['18446744073709551616', 18446744073709551616],
    ['Inf', Infinity],
    ['1e3', 1000],
  ];
  for (const [text, value] of values) assert.equal(parseQueryNumber(text), value, text);
});

test('durations are read and printed in Prometheus’s units', () => {
  assert.equal(parseDuration('1y2w3d4h5m6s7ms'), 31_536_000_000 + 14 * 86_400_000 + 3 * 86_400_000 + 14_706_007);
  assert.equal(parseDuration('0'), 0);
  assert.equal(formatDuration(90 * 86_400_000), '90d');
  assert.equal(formatDuration(14 * 86_400_000), '2w');
  assert.equal(formatDuration(-5_400_000), '-1h30m');
  assert.equal(formatDuration(0), '0s');
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 42 }), (durationMs) => {
      assert.equal(parseDuration(formatDuration(durationMs)), durationMs);
    }),
  );
});

test('bad durations say what is wrong', () => {
  const problems: [string, string][] = [
    ['', 'empty duration string'],
    ['5', 'not a valid duration string: "5"'],
    ['1m1h', 'not a valid duration string: "1m1h"'],
    ['1m1m', 'not a valid duration string: "1m1m"'],
    ['-5m', 'not a valid duration string: "-5m"'],
    ['5ss', 'unknown unit "ss" in duration "5ss"'],
    ['293y', 'duration out of range'],
  ];
  for (const [text, message] of problems) assert.throws(() => parseDuration(text), { message });
});

test('a duration’s seconds are rounded as Go rounds them', () => {
  assert.equal(durationSeconds(300_000), 300);
  assert.equal(durationSeconds(1_100), 1 + 100_000_000 / 1e9);
});

test('points in time are Unix seconds or RFC 3339', () => {
  assert.equal(parseTimestampMs('1500000000.1235'), 1_500_000_000_124);
  assert.equal(parseTimestampMs('-1.5'), -1500);
  assert.equal(parseTimestampMs('2026-11-24T08:00:00Z'), Date.UTC(2026, 10, 24, 8));
  assert.equal(parseTimestampMs('2026-11-24T08:00:00.0019999+02:30'), Date.UTC(2026, 10, 24, 5, 30, 0, 1));
  assert.equal(parseTimestampMs('0000-03-01T00:00:00Z'), -62_162_035_200_000);
  assert.equal(parseTimestampMs('292277025-08-18T07:12:54.999999999Z'), Number.MAX_SAFE_INTEGER);
  for (const text of [
    '',
    'now',
    '2026-02-30T00:00:00Z',
    '2026-01-01',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:00:60Z',
    'NaN',
  ]) {
    assert.throws(() => parseTimestampMs(text), {
      message: `cannot parse ${JSON.stringify(text)} to a valid timestamp`,
    });
  }
});

test('parameters that are durations may be seconds', () => {
  assert.equal(parseDurationParameter('15'), 15_000);
  assert.equal(parseDurationParameter('0.25'), 250);
  assert.equal(parseDurationParameter('1m'), 60_000);
  assert.throws(() => parseDurationParameter('soon'), { message: 'cannot parse "soon" to a valid duration' });
  assert.throws(() => parseDurationParameter('1e10'), {
    message: 'cannot parse "1e10" to a valid duration. It overflows int64',
  });
});
