import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decisions } from './decisions.ts';
import { SeenLives } from './lives.ts';

const life = (id: number, startPosition: number, position = startPosition) => ({ id, startPosition, position });

test('a new life begins where the last one was seen, or later', () => {
  const seen = new SeenLives(decisions);
  assert.ok(seen.note('store', life(1, 0, 100)));
  assert.ok(seen.note('store', life(1, 0, 90)), 'messages may overtake each other');
  assert.ok(!seen.note('store', life(2, 99, 500)));
  assert.ok(seen.note('store', life(2, 100)));
  assert.ok(seen.note('other', life(3, 0)));
});

test('of two lives that run at once with one store, one is found behind the other', () => {
  const seen = new SeenLives(decisions);
  assert.ok(seen.note('store', life(1, 50, 200)));
  assert.ok(seen.note('store', life(2, 200)), 'the copy, made just now');
  assert.ok(!seen.note('store', life(1, 50, 300)), 'the original goes on');
  assert.ok(seen.note('store', life(2, 200, 250)));
});

test('what was seen is told once after each change, of stores that somebody still has, and survives', () => {
  const seen = new SeenLives(decisions);
  assert.equal(
    seen.takeChanged(() => true),
    undefined,
  );
  seen.note('kept', life(1, 0, 100));
  seen.note('gone', life(2, 0, 100));
  const saved = seen.takeChanged((store) => store === 'kept');
  assert.ok(saved);
  seen.note('kept', life(1, 0, 100));
  assert.equal(
    seen.takeChanged(() => true),
    undefined,
  );
  const loaded = new SeenLives(decisions);
  loaded.load(saved);
  assert.ok(!loaded.note('kept', life(3, 99)));
  assert.ok(loaded.note('gone', life(3, 0)));
});
