import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decode, encode } from '../codec.ts';
import { layerCodec, packLayer, unpackLayer } from './told.ts';

const owners = [[], [], ['a/1'], ['a/1', 'b/2']];

test('what a layer says survives telling it', () => {
  const layer = fc.record({
    windowStartMs: fc.option(fc.integer({ min: -9, max: 9 }), { nil: undefined }),
    shape: fc.nat(),
    lists: fc.array(fc.nat(3), { maxLength: 300 }).map((numbers) => Uint16Array.from(numbers)),
  });
  fc.assert(
    fc.property(layer, (given) => {
      const told = unpackLayer(decode(layerCodec, encode(layerCodec, packLayer({ ...given, owners }))));
      assert.deepEqual([told.windowStartMs, told.shape], [given.windowStartMs, given.shape]);
      for (const [partition, number] of given.lists.entries()) {
        const heard = told.lists[partition] ?? 0;
        assert.equal(heard === 0, number === 0, `partition ${partition}`);
        assert.deepEqual(told.owners[heard], owners[number]);
      }
      assert.ok([...told.lists.subarray(given.lists.length)].every((number) => number === 0));
    }),
  );
});

test('an open window of all partitions is told in a bit for each', () => {
  const lists = new Uint16Array(65_536).fill(1);
  assert.ok(encode(layerCodec, packLayer({ windowStartMs: 0, shape: 1, lists, owners })).length < 8300);
});
