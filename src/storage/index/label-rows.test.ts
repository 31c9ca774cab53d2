import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeLabels, Labels } from '../../model/index.ts';
import { compareLabelBytes, LabelRows } from './label-rows.ts';

const someText = fc.oneof(
  fc.constantFrom('a', 'aa', 'b', '\uffff', '\u{10000}', 'x'.repeat(200)),
  fc.string({ maxLength: 3 }),
);
const someLabels = fc.dictionary(someText, someText, { maxKeys: 5 }).map((entries) => Labels.of(entries));

test('label bytes sort as labels do', () => {
  fc.assert(
    fc.property(someLabels, someLabels, (a, b) => {
      const order = compareLabelBytes(encodeLabels(a), encodeLabels(b));
      assert.equal(Math.sign(order), Math.sign(Labels.compare(a, b)));
    }),
  );
});

test('rows give back the pairs of every series', () => {
  fc.assert(
    fc.property(fc.array(someLabels, { minLength: 1, maxLength: 40 }), (list) => {
      const unique = [...new Map(list.map((labels) => [labels.key(), labels])).values()].sort(Labels.compare);
      const rows = new LabelRows(7);
      for (const [i, labels] of unique.entries()) rows.add(encodeLabels(labels), i * 3);
      assert.equal(rows.count, unique.length);
      const cursor = rows.cursor();
      for (const [i, labels] of unique.entries()) {
        assert.ok(cursor.next());
        assert.equal(cursor.timelineId, i * 3);
        const bytes = Array.from(cursor.ids.subarray(0, cursor.count), (id) => [...rows.pairs.bytesOf(id)]).flat();
        assert.deepEqual(bytes, [...encodeLabels(labels)]);
      }
      assert.equal(cursor.next(), false);
    }),
  );
});

test('malformed label bytes are refused', () => {
  const bytes = encodeLabels(Labels.of({ __name__: 'up', job: 'node' }));
  for (let length = 1; length < bytes.length; length++) {
    // Cut after a whole label, it is a label set of its own.
    if (length === 12) continue;
    assert.throws(() => new LabelRows(1).add(bytes.subarray(0, length), 0), /LABELS_CORRUPT/, `${length} bytes`);
  }
  assert.throws(() => new LabelRows(1).add(Uint8Array.of(255, 255, 255, 255, 255, 1), 0), /LABELS_CORRUPT/);
});
