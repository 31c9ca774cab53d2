// Streams of gossip from others than nodes: what they cost must not grow with how cleverly their bytes are cut.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { encodePushPull, messageTypes } from './messages.ts';
import { MessageWriter } from './msgpack.ts';
import { StreamDecoder } from './stream.ts';

const textEncoder = new TextEncoder();

/** The beginning of a push/pull of one node, whose first field nobody knows: an array of as many zeros. */
function longArray(itemsCount: number): Uint8Array {
  const writer = new MessageWriter();
  writer.bytes(encodePushPull(true, []).subarray(0, 1));
  writer.map({ Nodes: 1, UserStateLen: 0, Join: true });
  writer.byte(0x82);
  writer.raw(textEncoder.encode('Extra'));
  writer.byte(0xdd);
  for (let shift = 24; shift >= 0; shift -= 8) writer.byte((itemsCount >>> shift) & 0xff);
  writer.bytes(new Uint8Array(itemsCount));
  return writer.copy();
}

/** How a decoder takes these bytes, and then one at a time so many more. */
function trickle(bytes: Uint8Array, piecesCount: number): { readonly tookMs: number; readonly error: unknown } {
  const decoder = new StreamDecoder(undefined);
  const startMs = performance.now();
  try {
    decoder.push(bytes);
    for (let i = 0; i < piecesCount; i++) decoder.push(Uint8Array.of(0xda));
  } catch (error) {
    return { tookMs: performance.now() - startMs, error };
  }
  return { tookMs: performance.now() - startMs, error: undefined };
}

suite('a stream that trickles', () => {
  test('behind a long value that nobody knows is not read over it again and again', () => {
    const { tookMs, error } = trickle(longArray(2_000_000), 300);
    assert.match(String(error), /GOSSIP_DECODE/);
    assert.ok(tookMs < 500, `${tookMs.toFixed(0)} ms`);
  });

  test('behind a long name or text is not decoded again and again', () => {
    const writer = new MessageWriter();
    writer.byte(messageTypes.error);
    writer.byte(0x82);
    writer.raw(textEncoder.encode('Error'));
    writer.raw(textEncoder.encode('ä'.repeat(2_000_000)));
    const { tookMs, error } = trickle(writer.copy(), 300);
    assert.match(String(error), /GOSSIP_DECODE/);
    assert.ok(tookMs < 500, `${tookMs.toFixed(0)} ms`);
  });
});
