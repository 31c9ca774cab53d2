// The process: signals, resource usage, thread priority, and the facts that status pages show.
import { readFileSync } from 'node:fs';
import { hostname, setPriority } from 'node:os';
import type { ProcessUsage } from '../ports/index.ts';

/** Calls `onSignal` for SIGTERM and SIGINT; a second one ends the process at once. */
export function onTerminationSignal(onSignal: (signal: string) => void): void {
  let isEnding = false;
  const handle = (signal: NodeJS.Signals): void => {
    if (isEnding) process.exit(1);
    isEnding = true;
    onSignal(signal);
  };
  process.on('SIGTERM', handle);
  process.on('SIGINT', handle);
}

export function hostName(): string {
  return hostname();
}

/** CPU time and memory of the whole process, all threads included. */
export function processUsage(): ProcessUsage {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  return { cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, residentBytes: process.memoryUsage.rss() };
}

/**
 * Lets the calling thread run at lower priority than the rest of the process. Linux only, where priorities belong to
 * threads and /proc tells a thread its id; elsewhere nothing happens.
 */
export function lowerThreadPriority(niceness: number): void {
  if (process.platform !== 'linux') return;
  try {
    const threadId = Number(readFileSync('/proc/thread-self/stat', 'latin1').split(' ', 1)[0]);
    setPriority(threadId, niceness);
  } catch {
    // A sandbox may hide /proc or forbid it; the thread then runs at ordinary priority.
  }
}
