import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Clock } from '../ports/index.ts';
import { Candidacy } from './candidacy.ts';
import { decisions } from './decisions.ts';
import type { Claimant } from './introduction.ts';

class ManualClock implements Clock {
  now = 0;
  nowMs = (): number => this.now;
  monotonicMs = (): number => this.now;
  setTimer = (): never => assert.fail('no timers here');
}

const claimant = (number: number): Claimant => ({ store: `${number}`, address: `a${number}` });

test('leave is given to one at a time, and ends', () => {
  const clock = new ManualClock();
  const node = new Candidacy('5', clock, decisions);
  assert.ok(node.allows(claimant(7)));
  assert.ok(node.allows(claimant(7)), 'again to the same');
  assert.ok(!node.allows(claimant(3)));
  clock.now += 6_001;
  assert.ok(node.allows(claimant(3)));
});

test('who has asked is known for a while, by its address', () => {
  const clock = new ManualClock();
  const node = new Candidacy('5', clock, decisions);
  node.allows(claimant(7));
  clock.now += 30_000;
  node.allows(claimant(3));
  clock.now += 30_000;
  assert.deepEqual(node.claimants, ['a7', 'a3']);
  clock.now += 1;
  assert.deepEqual(node.claimants, ['a3']);
});

test('who has given leave claims nothing itself', async () => {
  const node = new Candidacy('5', new ManualClock(), decisions);
  assert.ok(node.allows(claimant(7)));
  assert.ok(!(await node.claim(() => assert.fail('nobody is asked'))));
});

test('who claims gives way to a lesser store, not to a greater one', async () => {
  const node = new Candidacy('5', new ManualClock(), decisions);
  assert.ok(
    !(await node.claim(async () => {
      assert.ok(!node.allows(claimant(7)));
      assert.ok(node.allows(claimant(3)));
      return true;
    })),
  );
});

test('a claim that took too long is void, and one that succeeded ends all leave', async () => {
  const clock = new ManualClock();
  const node = new Candidacy('5', clock, decisions);
  const slow = async (): Promise<boolean> => {
    clock.now += 3_000;
    return true;
  };
  assert.ok(!(await node.claim(slow)));
  assert.ok(await node.claim(async () => true));
  assert.ok(!node.allows(claimant(3)));
  node.reopen();
  assert.ok(node.allows(claimant(3)));
});

/** Nodes that know some of the others; each asks in turns, one answer at a time, in any order. */
test('two nodes that have an acquaintance in common never both found', async () => {
  const nodesCount = 5;
  const acquaintances = fc.array(fc.uniqueArray(fc.nat(nodesCount - 1), { minLength: 1 }), {
    minLength: nodesCount,
    maxLength: nodesCount,
  });
  await fc.assert(
    fc.asyncProperty(acquaintances, fc.array(fc.nat(nodesCount - 1), { maxLength: 60 }), async (knows, turns) => {
      const clock = new ManualClock();
      const nodes = knows.map((_, index) => new Candidacy(`${index}`, clock, decisions));
      const wakes: ((value: void) => void)[][] = knows.map(() => []);
      const founders = new Set<number>();
      const claims = nodes.map(async (node, index) => {
        const others = (knows[index] ?? []).filter((other) => other !== index);
        const hasFounded = await node.claim(async () => {
          for (const other of others) {
            await new Promise<void>((resolve) => wakes[index]?.push(resolve));
            if (!nodes[other]?.allows(claimant(index))) return false;
          }
          return true;
        });
        if (hasFounded) founders.add(index);
      });
      for (const turn of [
        ...turns,
        ...nodes.keys(),
        ...nodes.keys(),
        ...nodes.keys(),
        ...nodes.keys(),
        ...nodes.keys(),
      ]) {
        clock.now += 40;
        wakes[turn]?.shift()?.();
        await new Promise(setImmediate);
      }
      for (let rest = 0; rest < nodesCount * nodesCount; rest++) {
        for (const wake of wakes) wake.shift()?.();
        await Promise.resolve();
      }
      await Promise.all(claims);
      for (const a of founders) {
        for (const b of founders) {
          if (a >= b) continue;
          const common = [...(knows[a] ?? []), a].filter((each) => [...(knows[b] ?? []), b].includes(each));
          assert.deepEqual(common, [], `${a} and ${b} have both founded`);
        }
      }
    }),
    { numRuns: 50 },
  );
});
