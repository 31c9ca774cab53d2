// What operators are told must be written down: every metric, and every warning and error of the log, has a place in
// docs/operating.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { test } from 'node:test';
import { clusterFamilies } from '../src/server/metrics/cluster-metrics.ts';
import { repositoryRoot } from './support/servers.ts';

const page = (file: string): string => readFileSync(join(repositoryRoot, 'docs', 'operating', file), 'utf8');
const signals = page('signals.md');
const all = signals + page('running.md') + page('cluster.md');

/** Any of the parameter's shape: only names of families are of interest, which do not depend on values. */
function collected(): Parameters<typeof clusterFamilies>[0] {
  const zeros: object = new Proxy({}, { get: () => 0 });
  const classes = { control: zeros, write: zeros, read: zeros, background: zeros };
  const status = {
    members: [],
    losses: [],
    waitingFor: [],
    marks: zeros,
    partitions: zeros,
  };
  const counters = new Proxy({}, { get: () => zeros });
  return {
    status,
    counters,
    peers: classes,
    links: [],
    gossip: { counters: zeros, members: {}, awareness: 0, newsWaitingCount: 0 },
    appendWaitingBytes: 0,
    appendsRefusedCount: 0,
  } as unknown as Parameters<typeof clusterFamilies>[0];
}

/** The names that the page explains; `a_{b,c}_total` are two, and `a{kind="b"}` is one. */
function explainedNames(): string[] {
  const spellings = [...signals.matchAll(/`(timbala_(?:cluster|peer|gossip)_[\w{},]+)(?:\{\w+=[^`]*)?`/g)];
  return spellings.flatMap(([, spelling = '']) => alternatives(spelling));
}

function alternatives(spelling: string): string[] {
  const [, before = '', choices = '', after = ''] = /^(.*?)\{([\w,]+)\}(.*)$/.exec(spelling) ?? [];
  if (choices === '') return [spelling];
  return choices.split(',').flatMap((choice) => alternatives(`${before}${choice}${after}`));
}

test('every metric of a cluster is explained to operators, and none that there is not', () => {
  const names = clusterFamilies(collected()).map(({ name }) => name);
  assert(names.length > 40);
  assert.deepEqual([...new Set(explainedNames())].sort(), names.sort());
});

test('every metric of a node is explained to operators', () => {
  const metrics = readFileSync(join(repositoryRoot, 'src/server/metrics/node-metrics.ts'), 'utf8');
  const names = [...metrics.matchAll(/'((?:timbala|process)_\w+)'/g)].map(([, name]) => name ?? '');
  assert(names.length > 40);
  const spellings = [...all.matchAll(/\b((?:timbala|process)_[\w{},]+)/g)].map(([, spelling]) => spelling ?? '');
  const explained = new Set(spellings.flatMap(alternatives));
  assert.deepEqual(
    names.filter((name) => !explained.has(name)),
    [],
  );
});

test('every folder of the tree has its place in the architecture', () => {
  const architecture = readFileSync(join(repositoryRoot, 'docs/architecture.md'), 'utf8');
  const files = globSync('{src,kernels,test,sim,bench}/*/**/*.ts', { cwd: repositoryRoot });
  const folders = new Set(files.map((file) => file.split(sep).slice(1, -1)).flat());
  assert(folders.size > 40);
  assert.deepEqual(
    [...folders].filter((folder) => !new RegExp(`[\`/]${folder}[\`/]`).test(architecture)),
    [],
  );
});

test('every warning and error of the log is explained to operators', () => {
  const files = globSync('src/**/*.ts', { cwd: repositoryRoot }).filter((file) => !/[./]test[.-]/.test(file));
  // Gossip's steps leave its warnings to who drives them.
  const warnings = /(?:log\.(?:warn|error)\(|notice\(turn, |kind: 'notice', event: )\s*'([a-z-]+)'/g;
  const events = files.flatMap((file) => {
    const text = readFileSync(join(repositoryRoot, file), 'utf8');
    return [...text.matchAll(warnings)].map(([, event]) => event ?? '');
  });
  assert(events.length > 40);
  assert.deepEqual(
    events.filter((event) => !all.includes(`\`${event}\``)),
    [],
  );
});
