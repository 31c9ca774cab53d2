import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unescapeName } from './discovery.ts';

test('escaped names are restored, names that are not well escaped stand for themselves', () => {
  const cases: [string, string][] = [
    ['job', 'job'],
    ['U__job', 'job'],
    ['U__a_2e_b', 'a.b'],
    ['U__a__b', 'a_b'],
    ['U___1F600_', '😀'],
    ['U__a_', 'U__a_'],
    ['U__a_xyz_', 'U__a_xyz_'],
    ['U___d800_', 'U___d800_'],
    ['U___110000_', 'U___110000_'],
    ['U_a_2e_b', 'U_a_2e_b'],
  ];
  for (const [escaped, name] of cases) assert.equal(unescapeName(escaped), name, escaped);
});
