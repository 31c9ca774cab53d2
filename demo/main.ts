// `npm run demo`: three nodes on this machine, one of which dies and comes back under load, in about a minute. `--short`
// takes a fraction of it. Exit status 0 means that nothing was lost and every query was right.
import { parseArgs } from 'node:util';
import { secondMs } from '../src/base/index.ts';
import { removeDirectory, temporaryDirectory } from '../test/support/processes.ts';
import { runDemo } from './demo.ts';

const { values } = parseArgs({ options: { short: { type: 'boolean', default: false } } });
const times = values.short
  ? { wholeMs: 3 * secondMs, deadMs: 4 * secondMs, backMs: 2 * secondMs, mendTimeoutMs: 60 * secondMs }
  : { wholeMs: 12 * secondMs, deadMs: 18 * secondMs, backMs: 10 * secondMs, mendTimeoutMs: 120 * secondMs };

const directory = temporaryDirectory('demo');
process.on('exit', () => removeDirectory(directory));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

const { problems } = await runDemo(times, directory, (line) => console.log(line));
process.exitCode = problems.length === 0 ? 0 : 1;
