// Our gossip with the real memberlist (main.go): nodes of both kinds join each other, all see all with their metadata, all
// learn of a leave, of a changed metadata and of a death by SIGKILL of either kind; plain, encrypted, and with the old
// encryption that pads. Needs `go` and memberlist's module; skipped loudly where they are missing.
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const folder = import.meta.dirname;
const key = '000102030405060708090a0b0c0d0e0f';
const patienceMs = 20_000;

interface Line {
  readonly event: string;
  readonly node?: string;
  readonly port?: number;
  readonly meta?: string;
  readonly members?: Record<string, string>;
}

/** A node in a process, with all that it has said. */
class NodeProcess {
  readonly name: string;
  readonly lines: Line[] = [];
  readonly #child: ChildProcessWithoutNullStreams;
  #errorText = '';

  constructor(name: string, command: string, parameters: readonly string[]) {
    this.name = name;
    this.#child = spawn(command, parameters);
    createInterface(this.#child.stdout).on('line', (line) => this.lines.push(JSON.parse(line) as Line));
    this.#child.stderr.on('data', (text: Buffer) => {
      this.#errorText += text.toString();
    });
    // Writing to a node that was killed is no failure of the test.
    this.#child.stdin.on('error', () => {});
  }

  tell(command: string): void {
    this.#child.stdin.write(`${command}\n`);
  }

  /** The first line from `from` on that fits; fails with all that was said when none comes. */
  async waitFor(what: string, fits: (line: Line) => boolean, from = 0): Promise<Line> {
    const endMs = performance.now() + patienceMs;
    for (;;) {
      const found = this.lines.slice(from).find(fits);
      if (found) return found;
      const said = this.lines.map((line) => JSON.stringify(line)).join('\n');
      assert.ok(performance.now() < endMs, `${this.name} never saw ${what}; it said:\n${said}\n${this.#errorText}`);
      await sleep(20);
    }
  }

  async members(): Promise<Record<string, string>> {
    const from = this.lines.length;
    this.tell('members');
    const { members } = await this.waitFor('its members', ({ event }) => event === 'members', from);
    return members ?? {};
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

type AllKnow = (what: string, fits: (line: Line) => boolean, among: readonly NodeProcess[]) => Promise<void>;

const isGone = (node: string) => (line: Line) => line.node === node && ['gone', 'died', 'left'].includes(line.event);

/** Of two kinds with three nodes each, one of each changes, one leaves, one dies, in turn; the others know it. */
async function proveChanges(nodes: readonly NodeProcess[], all: AllKnow): Promise<void> {
  const named = (name: string): NodeProcess => {
    const node = nodes.find((node) => node.name === name);
    assert.ok(node, name);
    return node;
  };
  for (const name of ['go-0', 'ours-0']) {
    named(name).tell('update changed');
    const others = nodes.filter((node) => node.name !== name);
    await all(`new metadata of ${name}`, (line) => line.node === name && line.meta === 'changed', others);
  }
  let rest = nodes;
  for (const name of ['go-1', 'ours-1']) {
    rest = rest.filter((node) => node.name !== name);
    named(name).tell('leave');
    await all(`the leave of ${name}`, isGone(name), rest);
    await named(name).waitFor('that its leave is known', ({ event }) => event === 'leave-done');
    named(name).kill();
  }
  for (const name of ['go-2', 'ours-2']) {
    rest = rest.filter((node) => node.name !== name);
    named(name).kill();
    await all(`the death of ${name} by SIGKILL`, isGone(name), rest);
  }
  // Ours tells the two apart; memberlist's events do not.
  const seen = (event: string) => named('ours-0').lines.filter((line) => line.event === event);
  assert.deepEqual(
    seen('left').map(({ node }) => node),
    ['go-1', 'ours-1'],
    'a leave is no death',
  );
  assert.deepEqual(
    seen('died').map(({ node }) => node),
    ['go-2', 'ours-2'],
    'a death is no leave',
  );
  for (const node of rest) assert.deepEqual(Object.keys(await node.members()).sort(), ['go-0', 'ours-0']);
}

suite('memberlist in Go', { concurrency: 3 }, () => {
  let goNode = '';
  let missing = '';
  let buildFolder = '';

  before(() => {
    if (spawnSync('go', ['version']).status !== 0) {
      missing = 'go is not on the PATH';
      return;
    }
    buildFolder = mkdtempSync(join(tmpdir(), 'timbala-memberlist-'));
    const binary = join(buildFolder, 'memberlist-node');
    const build = spawnSync('go', ['build', '-o', binary, '.'], { cwd: folder, encoding: 'utf8' });
    if (build.status === 0) goNode = binary;
    else missing = `main.go could not be built (is there a network?): ${build.stderr}`;
  });
  after(() => {
    if (buildFolder) rmSync(buildFolder, { recursive: true });
  });

  /** Both kinds, both ways of joining, and every way to go. `goFlags` of the Go nodes; all on `ports` where given. */
  async function prove(
    context: { skip(message: string): void; diagnostic(message: string): void },
    keyHex: string | undefined,
    goFlags: readonly string[],
    place: (index: number) => { host: string; port: number },
  ): Promise<void> {
    if (missing) {
      context.skip(`SKIPPED, NOT PROVED: ${missing}`);
      return;
    }
    const nodes: NodeProcess[] = [];
    const start = async (kind: 'go' | 'ours', name: string, joinAddress?: string): Promise<string> => {
      const { host, port } = place(nodes.length);
      const go = ['-name', name, '-bind', host, '-port', String(port), '-meta', `meta of ${name}`, ...goFlags];
      if (keyHex) go.push('-key', keyHex);
      if (joinAddress) go.push('-join', joinAddress);
      const ours = [join(folder, 'our-node.ts'), name, host, String(port), keyHex ?? '-', joinAddress ?? '-'];
      const node = kind === 'go' ? new NodeProcess(name, goNode, go) : new NodeProcess(name, process.execPath, ours);
      nodes.push(node);
      const ready = await node.waitFor('that it is ready', ({ event }) => event === 'ready');
      return `${host}:${ready.port}`;
    };
    const all: AllKnow = async (what, fits, among) => {
      const startMs = performance.now();
      await Promise.all(among.map((node) => node.waitFor(what, fits)));
      context.diagnostic(`${what}: all of ${among.length} know after ${Math.round(performance.now() - startMs)} ms`);
    };
    try {
      const goSeed = await start('go', 'go-0');
      const oursSeed = await start('ours', 'ours-0', goSeed);
      await start('go', 'go-1', oursSeed);
      await start('ours', 'ours-1', oursSeed);
      await start('go', 'go-2', goSeed);
      await start('ours', 'ours-2', goSeed);
      const names = ['go-0', 'go-1', 'go-2', 'ours-0', 'ours-1', 'ours-2'];
      for (const name of names) {
        const others = nodes.filter((node) => node.name !== name);
        await all(`the join of ${name}`, (l) => l.node === name && ['join', 'joined'].includes(l.event), others);
      }
      const expected = Object.fromEntries(names.map((name) => [name, `meta of ${name}`]));
      for (const node of nodes) assert.deepEqual(await node.members(), expected, `what ${node.name} knows`);
      context.diagnostic(`all ${nodes.length} know all ${nodes.length} with their metadata`);

      await proveChanges(nodes, all);
    } finally {
      for (const node of nodes) node.kill();
    }
  }

  const anyPort = (): { host: string; port: number } => ({ host: '127.0.0.1', port: 0 });

  test('plain', (context) => prove(context, undefined, [], anyPort));
  test('plain, the Go nodes without compression', (context) => prove(context, undefined, ['-compress=false'], anyPort));
  test('encrypted', (context) => prove(context, key, [], anyPort));
  test('encrypted with padding, as by nodes of protocol 1', (context) => {
    // Such nodes know no ports: all have the same, at addresses of their own. macOS has only 127.0.0.1.
    if (process.platform !== 'linux') {
      context.skip('SKIPPED: needs several loopback addresses');
      return undefined;
    }
    const port = 20_000 + (process.pid % 10_000);
    return prove(context, key, ['-protocol', '1'], (index) => ({ host: `127.77.0.${index + 1}`, port }));
  });

  test('a node with another key stays outside', async (context) => {
    if (missing) {
      context.skip(`SKIPPED, NOT PROVED: ${missing}`);
      return;
    }
    const ours = new NodeProcess('ours', process.execPath, [
      join(folder, 'our-node.ts'),
      'ours',
      '127.0.0.1',
      '0',
      key,
    ]);
    const strangers: NodeProcess[] = [];
    try {
      const { port } = await ours.waitFor('that it is ready', ({ event }) => event === 'ready');
      for (const flags of [[], ['-key', key.replaceAll('0', 'f')]]) {
        const stranger = new NodeProcess('stranger', goNode, [
          '-name',
          'stranger',
          '-join',
          `127.0.0.1:${port}`,
          ...flags,
        ]);
        strangers.push(stranger);
        await stranger.waitFor('that it may not join', ({ event }) => event === 'join-failed');
      }
      assert.deepEqual(Object.keys(await ours.members()), ['ours']);
    } finally {
      for (const node of [ours, ...strangers]) node.kill();
    }
  });
});
