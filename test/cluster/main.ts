// Runs a course of faults over a cluster of real processes, in network namespaces of its own where they are permitted:
// `npm run cluster-test -- [brief|long|rolling|growth] [seed] [only faults whose name matches this]`. Exit status 0 when no
// promise was broken.
import { fileURLToPath } from 'node:url';
import { removeDirectory, temporaryDirectory } from '../support/processes.ts';
import { runCourse } from './course.ts';
import { isStarted, openMachineRoom, runInside } from './machines.ts';

const [name = 'long', seed = String(Date.now() % 1_000_000), chosen = ''] = process.argv.slice(2);

async function run(): Promise<number> {
  const root = temporaryDirectory('faults');
  const room = openMachineRoom(root);
  const isGood = await runCourse({ name, seed: Number(seed), chosen: new RegExp(chosen) }, root, room);
  if (isGood) {
    room.close();
    removeDirectory(root);
  } else console.log(`data and logs are in ${root}`);
  return isGood ? 0 : 1;
}

process.exit(isStarted ? await run() : await runInside(fileURLToPath(import.meta.url), [name, seed, chosen]));
