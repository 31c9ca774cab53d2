// The process: signals, resource usage, thread priority, and the facts that status pages show.
import { readFileSync } from 'node:fs';
import { availableParallelism, hostname, networkInterfaces, setPriority, totalmem } from 'node:os';
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

/** Calls `onSignal` for SIGHUP, which would end the process else: files are to be read again. */
export function onReloadSignal(onSignal: () => void): void {
  process.on('SIGHUP', onSignal);
}

/** Calls `onError` for an error that nothing caught; what the process does then is no longer known, so it must end. */
export function onUncaughtError(onError: (error: unknown) => void): void {
  process.on('uncaughtException', onError);
}

export function hostName(): string {
  return hostname();
}

/** The IP addresses of this machine's interfaces. */
export function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address));
}

/** Threads that can run at a time, as far as this process may use the machine. */
export function processorsCount(): number {
  return availableParallelism();
}

/** Memory that this process may use: the machine's, or its container's where that has a limit. */
export function memoryBytes(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}

/** The version that a package.json states. */
export function packageVersion(file: URL): string {
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/** CPU time and memory of the whole process, all threads included. */
export function processUsage(): ProcessUsage {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  return { cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, residentBytes: process.memoryUsage.rss() };
}

/**
 * Lets the calling thread run at lower priority than the rest of the process. Linux only, where priorities belong to
 * threads and 0 means the calling one; elsewhere nothing happens.
 */
export function lowerThreadPriority(niceness: number): void {
  if (process.platform === 'linux') setPriority(0, niceness);
}
