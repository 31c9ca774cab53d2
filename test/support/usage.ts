// What a process costs, read from the operating system (Linux /proc), and what a directory holds: for benchmarks and for
// tests that watch real processes. Figures are of the whole process tree, so that a server is charged for its children.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** USER_HZ, the unit of CPU times in /proc; the kernel's interface fixes it at 100 on every architecture we run on. */
const ticksPerSecond = 100;
const fieldsBeforeState = 2;

export interface MemoryUsage {
  readonly residentBytes: number;
  /** The highest resident size so far, from the start of each process or its last `resetPeak`. */
  readonly peakBytes: number;
}

/** Processes come and go between two reads: one that is gone counts as nothing. */
function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** `pid` and all its descendants. A child belongs to the thread that started it, which need not be the first one. */
export function processTree(pid: number): number[] {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  const children = threads.flatMap((thread) =>
    readOrEmpty(`/proc/${pid}/task/${thread}/children`).trim().split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(processTree)];
}

/**
 * CPU time of the tree so far, user and system, in seconds. A process's own figures include its threads, also those that
 * have ended; children that have ended and were waited for are counted in their parent's.
 */
export function cpuSeconds(pid: number): number {
  let ticks = 0;
  for (const process of processTree(pid)) {
    const stat = readOrEmpty(`/proc/${process}/stat`);
    // The command's name stands in parentheses and may hold anything; fields are counted from behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    for (const field of [14, 15, 16, 17]) ticks += Number(fields[field - 1 - fieldsBeforeState] ?? 0);
  }
  return ticks / ticksPerSecond;
}

function statusBytes(status: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status);
  return match ? Number(match[1]) * 1024 : 0;
}

export function memoryUsage(pid: number): MemoryUsage {
  let residentBytes = 0;
  let peakBytes = 0;
  for (const process of processTree(pid)) {
    const status = readOrEmpty(`/proc/${process}/status`);
    residentBytes += statusBytes(status, 'VmRSS');
    peakBytes += statusBytes(status, 'VmHWM');
  }
  return { residentBytes, peakBytes };
}

/** Sum of the sizes of the files below `directory` whose path (relative to it) `accept` holds; files may vanish meanwhile. */
export function directoryBytes(directory: string, accept: (path: string) => boolean = () => true): number {
  let total = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    if (!accept(file.slice(directory.length + 1))) continue;
    total += statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  }
  return total;
}
