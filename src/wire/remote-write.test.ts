import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import snappy from 'snappyjs';
import { checkWriteHeaders, encodeWriteRequest, wrapSnappy } from './index.ts';

test('an encoded request has the bytes of the specification', () => {
  const request = encodeWriteRequest(
    [{ labels: ['__name__', 'up'], timestampsMs: [1, 300, -1, 0], values: new Float64Array([1, 0, -0, 0]) }],
    [{ metric: 'up', type: 'gauge', help: 'h', unit: 'u' }],
  );
  const label = `0a0e${'0a08'}${Buffer.from('__name__').toString('hex')}${'1202'}${Buffer.from('up').toString('hex')}`;
  const samples = ['120b09000000000000f03f1001', '120310ac02', '121409000000000000008010ffffffffffffffffff01', '1200'];
  const series = label + samples.join('');
  const metadata = ['1a0c', '0802', '12027570', '220168', '2a0175'].join('');
  assert.equal(Buffer.from(request).toString('hex'), `0a${(series.length / 2).toString(16)}${series}${metadata}`);
});

test('value bits are copied, whatever NaN they are', () => {
  const values = new Float64Array(new BigUint64Array([0x7ff0000000000002n, 0xfff0000000000001n]).buffer);
  const request = Buffer.from(encodeWriteRequest([{ labels: [], timestampsMs: [1, 1], values }]));
  assert.ok(request.includes(Buffer.from('09020000000000f07f', 'hex')));
  assert.ok(request.includes(Buffer.from('09010000000000f0ff', 'hex')));
});

test('a wrapped block is what snappy readers unwrap', () => {
  for (const length of [1, 60, 61, 65_535, 65_536, 65_537, 200_000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 31) & 255);
    assert.deepEqual(new Uint8Array(snappy.uncompress(wrapSnappy(bytes))), bytes);
  }
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1 }), (bytes) =>
      assert.deepEqual(new Uint8Array(snappy.uncompress(wrapSnappy(bytes))), bytes),
    ),
  );
});

test('remote write 1.0 is accepted as Prometheus and old senders label it', () => {
  const accepted: [string | undefined, string | undefined][] = [
    ['application/x-protobuf', 'snappy'],
    ['application/x-protobuf;proto=prometheus.WriteRequest', 'snappy'],
    ['Application/X-Protobuf; proto="prometheus.WriteRequest"', 'Snappy'],
    ['application/x-protobuf; charset=utf-8', 'snappy'],
    [undefined, undefined],
  ];
  for (const [type, encoding] of accepted)
    assert.equal(checkWriteHeaders(type, encoding), undefined, `${type} ${encoding}`);
});

test('other formats are answered with 415 and what to send instead', () => {
  const refused: [string | undefined, string | undefined, RegExp][] = [
    ['application/json', 'snappy', /"application\/json" is not supported; send application\/x-protobuf/],
    ['application/x-protobuf', 'gzip', /"gzip" is not supported; compress with snappy/],
    [
      'application/x-protobuf;proto=io.prometheus.write.v2.Request',
      'snappy',
      /remote write 2\.0 .*protobuf_message: prometheus\.WriteRequest/,
    ],
    ['application/x-protobuf;proto=some.Other', 'snappy', /"some\.Other" is not supported/],
  ];
  for (const [type, encoding, message] of refused) {
    const refusal = checkWriteHeaders(type, encoding);
    assert.equal(refusal?.statusCode, 415);
    assert.match(refusal?.message ?? '', message);
  }
});
