// What no linter knows of this repository: which room may import which (docs/architecture.md), how long a file and a
// function may be, which calls are banned outside their room, and that every file says what it is for.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { root } from './runtime.mjs';

const all = ['base', 'ports', 'model', 'wasm', 'wire', 'storage', 'promql', 'cluster', 'api', 'node', 'server', 'cli'];
const except = (...names) => all.filter((name) => !names.includes(name));

/** `rooms` may be imported; of `types`, only types. The same table stands in docs/architecture.md. */
export const importTable = {
  base: { rooms: [], types: [] },
  ports: { rooms: ['base'], types: [] },
  model: { rooms: ['base'], types: [] },
  wasm: { rooms: ['base'], types: [] },
  wire: { rooms: ['base', 'model', 'wasm'], types: [] },
  storage: { rooms: ['base', 'ports', 'model', 'wasm'], types: [] },
  promql: { rooms: ['base', 'ports', 'model', 'wasm'], types: [] },
  cluster: { rooms: ['base', 'ports', 'model', 'wire'], types: ['storage', 'promql'] },
  api: { rooms: ['base', 'ports', 'model', 'wire'], types: ['promql', 'storage', 'cluster'] },
  node: { rooms: ['base', 'ports'], types: [] },
  server: { rooms: except('node', 'cli', 'server'), types: [] },
  cli: { rooms: ['base', 'node', 'server', 'storage'], types: ['ports'] },
  sim: { rooms: except('node', 'cli'), types: [] },
};

const linesMax = 600;
const testLinesMax = 1000;
const lineLengthMax = 140;

const bannedOutside = [
  {
    pattern: /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/,
    rooms: ['node'],
    what: 'wall or process time (use the Clock port)',
  },
  { pattern: /\bset(?:Timeout|Interval|Immediate)\(/, rooms: ['node'], what: 'a timer (use the Clock port)' },
  { pattern: /\bMath\.random\(/, rooms: ['node'], what: 'unseeded randomness (use the Random port)' },
  {
    pattern: /from 'node:(?:fs|net|http|https|dgram|worker_threads|crypto|child_process|os)/,
    rooms: ['node'],
    what: 'the operating system (use a port)',
  },
];

function sourceFiles() {
  const listed = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  return [...new Set(listed.stdout.split('\n'))]
    .filter((file) => /^(?:src|sim|test|bench|demo|kernels)\/.*\.ts$/.test(file))
    .sort();
}

const roomOf = (file) => (file.startsWith('src/') ? file.split('/')[1] : file.split('/')[0]);

function* importProblems(file, room, text) {
  const allowed = importTable[room];
  if (!allowed) return;
  for (const match of text.matchAll(/^(?:import|export)\s+(type\s+)?[^;]*?from\s+'(\.[^']+)'/gms)) {
    const target = normalize(join(dirname(file), match[2]));
    const targetRoom = roomOf(target);
    if (targetRoom === room) continue;
    const where = `${file}: imports ${target}`;
    const typesOnly = Boolean(match[1]) && allowed.types.includes(targetRoom);
    if (!allowed.rooms.includes(targetRoom) && !typesOnly) {
      yield `TIDY_IMPORT: ${where}; ${room} may import ${allowed.rooms.join(', ') || 'no other room'}`;
    } else if (!target.endsWith('/index.ts') && target.split('/').length > 2) {
      yield `TIDY_DOOR: ${where}; other rooms come in through src/${targetRoom}/index.ts`;
    }
  }
}

function* fileProblems(file) {
  let text;
  try {
    text = readFileSync(join(root, file), 'utf8');
  } catch {
    return; // deleted, not yet committed
  }
  const room = roomOf(file);
  const isTest = /\.(?:test|bench)\.ts$|\/test-[^/]+\.ts$/.test(file) || room === 'test';
  const lines = text.split('\n');
  const limit = isTest ? testLinesMax : linesMax;
  if (lines.length > limit) yield `TIDY_LENGTH: ${file}: ${lines.length} lines, at most ${limit}`;
  for (const [index, line] of lines.entries()) {
    if (line.length > lineLengthMax) yield `TIDY_LINE: ${file}:${index + 1}: ${line.length} characters`;
  }
  if (!isTest && !file.endsWith('/index.ts') && !/^(?:\/\/|\/\*\*)/.test(text)) {
    yield `TIDY_HEADER: ${file}: begins without a comment that says what it is for`;
  }
  if (!isTest) yield* importProblems(file, room, text);
  if (file.startsWith('src/') && !isTest) {
    for (const { pattern, rooms, what } of bannedOutside) {
      if (rooms.includes(room)) continue;
      const at = lines.findIndex((line) => pattern.test(line.replace(/\/\/.*$/, '')));
      if (at >= 0) yield `TIDY_BANNED: ${file}:${at + 1}: ${what}`;
    }
  }
}

/** All problems, one line of text each. */
export function tidy() {
  return sourceFiles().flatMap((file) => [...fileProblems(file)]);
}

if (process.argv[1] && relative(process.argv[1], join(root, 'scripts', 'tidy.mjs')) === '') {
  for (const problem of tidy()) console.error(problem);
}
