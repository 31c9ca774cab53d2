// Courses of faults over a cluster under load, and what has to hold in the end. Each is run by `main.ts`; the brief one in `npm test` too.
import { secondMs } from '../../src/base/index.ts';
import {
  added,
  allKilled,
  bothKilled,
  decommissioned,
  deleted,
  diskFull,
  type Fault,
  isolated,
  killed,
  nothing,
  restarted,
  stuck,
  wiped,
} from './faults.ts';
import type { MachineRoom } from './machines.ts';
import { type Cast, type Load, Stage } from './stage.ts';

const smallDisk = 2;
const lightLoad: Load = { seriesPerStep: 10, groupsCount: 4, pauseMs: 100, checkersCount: 2, hasPrometheus: false };
const fullLoad: Load = { seriesPerStep: 25, groupsCount: 20, pauseMs: 100, checkersCount: 2, hasPrometheus: true };

interface Course extends Cast {
  readonly faults: readonly Fault[];
}

export const courses: Readonly<Record<string, Course>> = {
  brief: {
    nodesCount: 4,
    load: lightLoad,
    faults: [
      nothing(2 * secondMs),
      killed(1, 2 * secondMs),
      stuck(2, 3 * secondMs),
      isolated(0, 'both', 4 * secondMs),
      allKilled,
      wiped(3),
    ],
  },
  // The wiped node comes last: until its loss is healed, a second node away may be warned of.
  long: {
    nodesCount: 5,
    load: fullLoad,
    smallDisk,
    faults: [
      nothing(5 * secondMs),
      ...[0, 1, 2, 3, 4].map((index) => killed(index, 5 * secondMs)),
      ...[0, 1, 2, 3, 4].map((index) => restarted(index, 0)),
      restarted(1, 60 * secondMs),
      stuck(2, 15 * secondMs),
      isolated(0, 'both', 30 * secondMs),
      isolated(3, 'in', 15 * secondMs),
      isolated(4, 'out', 15 * secondMs),
      diskFull(smallDisk, 20 * secondMs),
      bothKilled([3, 4], 10 * secondMs),
      deleted(1, 4),
      allKilled,
      added(2),
      decommissioned(1),
      wiped(3),
    ],
  },
  // Nodes upgraded one after the other, each when the last is ready.
  rolling: {
    nodesCount: 3,
    load: fullLoad,
    faults: [nothing(3 * secondMs), ...[0, 1, 2, 0, 1, 2].map((index) => restarted(index, 0))],
  },
  growth: {
    nodesCount: 5,
    load: fullLoad,
    faults: [nothing(60 * secondMs, 'five nodes'), added(1), nothing(10 * secondMs, 'six nodes')],
  },
};

export interface CourseOptions {
  readonly name: string;
  readonly seed: number;
  /** Only faults with such a name. */
  readonly chosen: RegExp;
}

/** Runs a course below `root`; resolves with whether no promise was broken. Prints what happens, and a table. */
export async function runCourse(options: CourseOptions, root: string, room: MachineRoom): Promise<boolean> {
  const { name, seed, chosen } = options;
  const course = courses[name];
  if (!course) throw new Error(`no course is named ${name}; there are ${Object.keys(courses).join(', ')}`);
  const stage = new Stage(root, room, course, seed);
  const { journal } = stage;
  if (room.missing) journal.note(`NOT PROVED: ${room.missing}`);
  const able = { cut: room.canCut, fill: room.canFill };
  try {
    await stage.begin();
    for (const fault of course.faults) {
      if (!chosen.test(fault.name) || (fault.needs && !able[fault.needs])) continue;
      await stage.phase(fault.name, () => fault.happen(stage), fault.afterMs);
    }
    await stage.end();
  } catch (error) {
    journal.violated(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  console.log(`\n${journal.table()}\n`);
  journal.stalls.stop();
  console.log(
    `${stage.summary()}; the machine stalled ${journal.stalls.count} times; ${journal.violationsCount} violations (seed ${seed})`,
  );
  return journal.violationsCount === 0;
}
