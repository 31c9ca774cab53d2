// Placement: the tests of the talk that Timbala began with (distribution with its histogram and standard deviation, owners on
// distinct nodes, displacement on joining and removal, over cluster sizes and replication factors), and that the table is
// what its definition says, however it was arrived at.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { type DrawKey, drawCost, drawKey, negativeLogarithm, threefry } from './draw.ts';
import { partitionsCount, type PlacedMember, Placement } from './placement.ts';

const member = (index: number, zone = '', weight = 1): PlacedMember => ({ name: `node-${index}`, zone, weight });
const members = (count: number, zonesCount = 1): PlacedMember[] =>
  Array.from({ length: count }, (_, i) => member(i, zonesCount > 1 ? `zone-${i % zonesCount}` : ''));

/** How many partitions each member owns, by name. */
function ownedCounts(placement: Placement): Map<string, number> {
  const counts = new Map(placement.members.map(({ name }) => [name, 0]));
  for (let partition = 0; partition < partitionsCount; partition++) {
    for (const { name } of placement.owners(partition)) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

/** Copies that a change puts where there were none, and the least that any placement would have had to move. */
function moved(before: Placement, after: Placement): { copies: number; least: number } {
  let copies = 0;
  for (let partition = 0; partition < partitionsCount; partition++) {
    const had = new Set(before.owners(partition).map(({ name }) => name));
    copies += after.owners(partition).filter(({ name }) => !had.has(name)).length;
  }
  const namesBefore = new Set(before.members.map(({ name }) => name));
  const namesAfter = new Set(after.members.map(({ name }) => name));
  const owned = (placement: Placement, names: ReadonlySet<string>): number =>
    [...ownedCounts(placement)].reduce((sum, [name, count]) => sum + (names.has(name) ? 0 : count), 0);
  // What newcomers have now had to come to them; what leavers had has to go somewhere.
  return { copies, least: Math.max(owned(after, namesBefore), owned(before, namesAfter)) };
}

function allOwners(placement: Placement): string {
  return Array.from({ length: partitionsCount }, (_, p) =>
    placement
      .owners(p)
      .map(({ name }) => name)
      .join(' '),
  ).join('\n');
}

suite('the draw', () => {
  test('is Threefry-2x32-20 as its authors test it', () => {
    const output = new Uint32Array(2);
    const drawn = (low: number, high: number, counter0: number, counter1: number): string => {
      threefry({ low, high }, counter0, counter1, output);
      return [...output].map((word) => word.toString(16)).join(' ');
    };
    assert.equal(drawn(0, 0, 0, 0), '6b200159 99ba4efe');
    assert.equal(drawn(0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff), '1cb996fc bb002be7');
    assert.equal(drawn(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3), 'c4923a9c 483df7a0');
  });

  test('names become keys by FNV-1a', () => {
    const key = (name: string): string => {
      const { low, high }: DrawKey = drawKey(name);
      return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
    };
    assert.equal(key(''), 'cbf29ce484222325');
    assert.equal(key('a'), 'af63dc4c8601ec8c');
    assert.equal(key('foobar'), '85944171f73967e8');
  });

  test('has a logarithm that is one, to a few units in the last place', () => {
    fc.assert(
      fc.property(fc.double({ min: 2 ** -53, max: 1 - 2 ** -53, noNaN: true }), (u) => {
        const expected = -Math.log(u);
        assert.ok(Math.abs(negativeLogarithm(u) - expected) <= expected * 1e-15, `−ln(${u})`);
      }),
      { numRuns: 2_000 },
    );
    // Golden bits: a change here would move data in every cluster.
    assert.equal(negativeLogarithm(0.5), 0.6931471805599453);
    assert.equal(negativeLogarithm(0.1), 2.3025850929940455);
    assert.equal(negativeLogarithm(0.9999999), 1.0000000494736475e-7);
    assert.equal(drawCost(drawKey('node-0'), 0, 1), 0.4123189661575645);
  });
});

suite('the table', () => {
  test('is the same for ever (docs/formats/placement.md)', () => {
    const placement = Placement.build(['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, zone: '', weight: 1 })));
    const owners = (partition: number): string =>
      placement
        .owners(partition)
        .map(({ name }) => name)
        .join('');
    assert.deepEqual([0, 1, 2, 32_771, 59_290, 65_535].map(owners), ['bea', 'bad', 'eac', 'bae', 'eca', 'dce']);
    const weighted = Placement.build([
      { name: 'a', zone: 'x', weight: 1 },
      { name: 'b', zone: 'x', weight: 4 },
      { name: 'c', zone: 'y', weight: 1.5 },
      { name: 'd', zone: 'z', weight: 2 },
    ]);
    const ownersOf = (partition: number): string =>
      weighted
        .owners(partition)
        .map(({ name }) => name)
        .join('');
    assert.deepEqual([0, 1, 2, 32_771, 59_290, 65_535].map(ownersOf), ['bdc', 'bdc', 'cda', 'bdc', 'cda', 'dbc']);
  });

  test('depends on the members alone, not on their order', () => {
    const forward = Placement.build(members(7, 3));
    assert.equal(allOwners(Placement.build(members(7, 3).toReversed())), allOwners(forward));
  });

  test('after any changes is the table built at once', () => {
    const someMember = fc.record({
      index: fc.nat(9),
      zone: fc.nat(4),
      weight: fc.constantFrom(0.5, 1, 2),
    });
    const someMembers = fc
      .uniqueArray(someMember, { selector: ({ index }) => index, minLength: 0, maxLength: 8 })
      .map((list) => list.map(({ index, zone, weight }) => member(index, `zone-${zone}`, weight)));
    fc.assert(
      fc.property(
        fc.array(someMembers, { minLength: 2, maxLength: 3 }),
        fc.integer({ min: 1, max: 3 }),
        (states, replicas) => {
          let placement = Placement.build(states[0] ?? [], replicas);
          for (const state of states.slice(1)) placement = placement.change(state);
          const expected = Placement.build(states.at(-1) ?? [], replicas);
          for (let partition = 0; partition < partitionsCount; partition += 7) {
            assert.deepEqual(placement.owners(partition), expected.owners(partition));
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  test('is the beginning of the order, which has every member once', () => {
    for (const placement of [
      Placement.build(members(6)),
      Placement.build(members(6, 2)),
      Placement.build(members(9, 4)),
    ]) {
      for (let partition = 0; partition < partitionsCount; partition += 997) {
        const order = placement.order(partition).map(({ name }) => name);
        assert.deepEqual(
          order.slice(0, 3),
          placement.owners(partition).map(({ name }) => name),
        );
        assert.deepEqual(
          order.toSorted(),
          placement.members.map(({ name }) => name),
        );
      }
    }
  });

  test('has all members as owners where they are fewer than replicas', () => {
    assert.deepEqual(Placement.build([]).owners(5), []);
    const two = Placement.build(members(2));
    for (let partition = 0; partition < partitionsCount; partition += 101)
      assert.equal(two.owners(partition).length, 2);
    assert.equal(two.ownerAt(0, 2), undefined);
  });

  test('refuses what it can not place', () => {
    const refused: PlacedMember[][] = [
      [member(1), member(1)],
      [member(1, '', 0)],
      [member(1, '', -1)],
      [member(1, '', Number.NaN)],
      [member(1, '', Number.POSITIVE_INFINITY)],
    ];
    for (const list of refused) assert.throws(() => Placement.build(list), { code: 'PLACEMENT_INVALID' });
    assert.throws(() => Placement.build([], 0), { code: 'PLACEMENT_INVALID' });
  });
});

suite('the talk’s tests', () => {
  const sizes = [1, 3, 5, 10, 19];
  const replicaCounts = [1, 2, 3, 5];

  test('data is spread evenly: a histogram and its standard deviation', (context) => {
    for (const size of [5, 19, 100]) {
      const placement = Placement.build(members(size));
      const counts = [...ownedCounts(placement).values()];
      const mean = (partitionsCount * 3) / size;
      const deviation = Math.sqrt(counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / size) / mean;
      const bins = new Map<number, number>();
      for (const count of counts) {
        const percent = Math.round((count / mean - 1) * 100);
        bins.set(percent, (bins.get(percent) ?? 0) + 1);
      }
      context.diagnostic(`${size} nodes: standard deviation ${(deviation * 100).toFixed(2)} % of the mean share`);
      for (const [percent, nodes] of [...bins].sort(([a], [b]) => a - b)) {
        context.diagnostic(`  ${String(percent).padStart(3)} % ${'#'.repeat(nodes)}`);
      }
      assert.ok(deviation <= 0.03, `${deviation} at ${size} nodes`);
    }
  });

  test('owners are distinct nodes, for all sizes and replication factors', () => {
    for (const size of sizes) {
      for (const replicas of replicaCounts) {
        const placement = Placement.build(members(size), replicas);
        for (let partition = 0; partition < partitionsCount; partition += 13) {
          const names = placement.owners(partition).map(({ name }) => name);
          assert.equal(new Set(names).size, Math.min(size, replicas));
        }
      }
    }
  });

  test('joining and removal move the least possible, whoever it is', () => {
    for (const size of [3, 5, 19]) {
      for (const replicas of [1, 2, 3]) {
        const all = members(size + 1);
        const grown = Placement.build(all, replicas);
        for (const leaver of [0, Math.floor(size / 2), size]) {
          const shrunk = Placement.build(all.toSpliced(leaver, 1), replicas);
          const joined = moved(shrunk, grown);
          const left = moved(grown, shrunk);
          assert.equal(joined.copies, joined.least, `joining as number ${leaver} of ${size + 1}, ${replicas} replicas`);
          assert.equal(left.copies, left.least, `removal of number ${leaver} of ${size + 1}, ${replicas} replicas`);
        }
      }
    }
  });

  test('a sixth node takes its sixth and no more', () => {
    const { copies } = moved(Placement.build(members(5)), Placement.build(members(6)));
    const fair = (partitionsCount * 3) / 6;
    assert.ok(copies / fair <= 1.02, `${copies / fair} of the fair share`);
  });
});

suite('weights and zones', () => {
  test('one owner is chosen in proportion to weights', () => {
    const weighted = [1, 2, 3, 4].map((weight, index) => member(index, '', weight));
    const counts = ownedCounts(Placement.build(weighted, 1));
    for (const { name, weight } of weighted) {
      const expected = (partitionsCount * weight) / 10;
      assert.ok(Math.abs((counts.get(name) ?? 0) / expected - 1) < 0.05, name);
    }
  });

  test('more weight only takes, and takes no more than it gets', () => {
    const before = Placement.build(members(6));
    const after = before.change(members(6).map((m, i) => (i === 2 ? { ...m, weight: 2 } : m)));
    const gained = (ownedCounts(after).get('node-2') ?? 0) - (ownedCounts(before).get('node-2') ?? 0);
    assert.ok(gained > 0);
    assert.equal(moved(before, after).copies, gained);
  });

  test('where there are zones enough each owner is in another', () => {
    for (const zonesCount of [3, 4, 7]) {
      const placement = Placement.build(members(12, zonesCount));
      for (let partition = 0; partition < partitionsCount; partition += 13) {
        assert.equal(new Set(placement.owners(partition).map(({ zone }) => zone)).size, 3);
      }
    }
  });

  test('where there are too few, every zone has one', () => {
    const placement = Placement.build(members(8, 2));
    for (let partition = 0; partition < partitionsCount; partition += 13) {
      const owners = placement.owners(partition);
      assert.equal(owners.length, 3);
      assert.equal(new Set(owners.map(({ zone }) => zone)).size, 2);
    }
  });

  test('zones keep changes small: one owner of a partition at most', () => {
    const before = Placement.build(members(12, 4));
    const after = before.change(members(13, 4));
    const { copies, least } = moved(before, after);
    assert.equal(copies, least);
  });
});
