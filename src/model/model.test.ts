import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareUtf8, compareValueBits, decodeLabels, encodeLabels, Labels, Matcher } from './index.ts';

test('compareUtf8 orders as Buffer.compare does on UTF-8', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }), (a, b) => {
      const expected = Buffer.compare(Buffer.from(a), Buffer.from(b));
      assert.equal(Math.sign(compareUtf8(a, b)), expected);
    }),
  );
  assert.ok(compareUtf8('\uffff', '\u{10000}') < 0);
});

test('labels: canonical form, bytes round trip, empty values dropped', () => {
  const labels = Labels.of({ b: '2', __name__: 'up', a: '', '\u{1f600}': 'x', '\uffff': 'y' });
  assert.deepEqual(labels.pairs, ['__name__', 'up', 'b', '2', '\uffff', 'y', '\u{1f600}', 'x']);
  assert.ok(decodeLabels(encodeLabels(labels)).equals(labels));
  assert.throws(() => decodeLabels(encodeLabels(labels).slice(0, -1)), /DECODE_SHORT/);
  assert.equal(labels.toString(), 'up{b="2", "\uffff"="y", "\u{1f600}"="x"}');
});

test('matchers: anchored, dot matches newline, shortcuts agree with the regex', () => {
  const cases: [string, string, boolean][] = [
    ['a|b', 'b', true],
    ['a|b', 'ab', false],
    ['(a|b)', 'a', true],
    ['ab.*', 'abc\nd', true],
    ['ab.+', 'ab', false],
    ['ab?', 'a', true],
    ['.*', '', true],
    ['.+', '', false],
    ['foo(?i)BAR', 'fooBar', true],
    ['', '', true],
    ['', 'x', false],
    ['a{2}', 'aa', true],
  ];
  for (const [pattern, value, expected] of cases) {
    assert.equal(new Matcher('l', '=~', pattern).matches(value), expected, `${pattern} on ${JSON.stringify(value)}`);
    assert.equal(new Matcher('l', '!~', pattern).matches(value), !expected);
  }
  assert.throws(() => new Matcher('l', '=~', 'a('), /REGEX_INVALID/);
});

test('merge order: real beats stale, then the larger in total order', () => {
  const halves = (value: number): [number, number] => {
    const words = new Uint32Array(new Float64Array([value]).buffer);
    return [words[1] as number, words[0] as number];
  };
  const stale: [number, number] = [0x7ff00000, 2];
  const order = [stale, halves(-Infinity), halves(-1), halves(-0), halves(0), halves(1), halves(Infinity), halves(NaN)];
  for (let i = 0; i < order.length; i++) {
    for (let j = 0; j < order.length; j++) {
      const [a, b] = [order[i] as [number, number], order[j] as [number, number]];
      assert.ok(Math.sign(compareValueBits(...a, ...b)) === Math.sign(i - j));
    }
  }
});
