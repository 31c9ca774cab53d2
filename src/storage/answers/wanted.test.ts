import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Matcher } from '../../model/index.ts';
import { readTextFrame, writeTextFrames } from './text-frame.ts';
import { decodeWanted, encodeWanted } from './wanted.ts';

const matchers = [new Matcher('__name__', '=', 'up'), new Matcher('é', '!~', 'a|b')];

test('what is wanted is the same at the other end', () => {
  const cases: Parameters<typeof encodeWanted>[0][] = [
    { kind: 'samples', requests: [] },
    {
      kind: 'samples',
      requests: [
        { matchers, startMs: -5, endMs: 10 },
        { matchers: [], startMs: 0, endMs: 0 },
      ],
    },
    {
      kind: 'labels',
      request: {
        of: 'values',
        name: 'é',
        selectors: [matchers, []],
        startMs: Number.MIN_SAFE_INTEGER,
        endMs: 3,
        limit: 7,
      },
    },
    { kind: 'labels', request: { of: 'series', name: '', selectors: [], startMs: 0, endMs: 3, limit: undefined } },
  ];
  for (const wanted of cases) {
    const { kind, ...rest } = decodeWanted(encodeWanted(wanted));
    assert.equal(kind, wanted.kind);
    assert.deepEqual(JSON.stringify(rest), JSON.stringify({ ...wanted, kind: undefined }));
  }
});

test('a question of another kind, and what is no question, is refused', () => {
  const encoded = encodeWanted({ kind: 'samples', requests: [{ matchers, startMs: 0, endMs: 1 }] });
  for (const bytes of [
    new Uint8Array(0),
    Uint8Array.of(9),
    encoded.subarray(0, encoded.length - 1),
    Uint8Array.of(1, ...encoded.subarray(1)),
    Uint8Array.of(0, ...new TextEncoder().encode('[[[[["a","~","b"]]],0,1]]')),
    Uint8Array.of(0, ...new TextEncoder().encode('[[[[["a","=","b"]]],"0",1]]')),
  ]) {
    assert.throws(() => decodeWanted(bytes), { code: 'WANTED_INVALID' });
  }
});

test('texts of any number come back from their frames in order', () => {
  const texts = Array.from({ length: 30_000 }, (_, i) => new TextEncoder().encode(`${i} ${'x'.repeat(i % 100)}`));
  const frames = [...writeTextFrames(texts)];
  assert(frames.length > 1);
  assert.deepEqual(
    frames.flatMap((frame) => [...readTextFrame(frame)]).map((text) => new TextDecoder().decode(text)),
    texts.map((text) => new TextDecoder().decode(text)),
  );
  assert.deepEqual([...writeTextFrames([])], []);
  const [frame] = frames;
  assert(frame);
  assert.throws(() => [...readTextFrame(frame.subarray(0, frame.length - 1))], { code: 'ANSWER_CORRUPT' });
  assert.throws(() => [...readTextFrame(frame.subarray(1))], { code: 'ANSWER_CORRUPT' });
});
