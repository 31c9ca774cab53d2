// Real server processes for tests and benchmarks: started on a loopback port of their own with a directory of their own,
// awaited until ready, stopped or killed. None outlives the process that started it.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSeconds, memoryUsage, type MemoryUsage } from './usage.ts';

const readyPollMs = 20;
const quietWindowMs = 1000;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A TCP port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

export function temporaryDirectory(prefix: string): string {
  return mkdtempSync(join(tmpdir(), `timbala-${prefix}-`));
}

export function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

export interface LaunchOptions {
  readonly name: string;
  readonly command: string;
  readonly commandArguments: readonly string[];
  readonly url: string;
  /** Answers 200 once the server takes requests. */
  readonly readyPath: string;
  /** Standard output and error are appended to it. */
  readonly logFile: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly readyTimeoutMs?: number;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class ServerProcess {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  readonly logFile: string;
  /** When the process was started, by performance.now(). */
  readonly startedAtMs: number;
  /** How long it took until the ready path answered 200. Zero until then. */
  readyAfterMs = 0;
  readonly #child: ChildProcess;
  readonly #exit: Promise<Exit>;
  #exited = false;

  private constructor(options: LaunchOptions, child: ChildProcess, pid: number, startedAtMs: number) {
    this.name = options.name;
    this.url = options.url;
    this.logFile = options.logFile;
    this.pid = pid;
    this.startedAtMs = startedAtMs;
    this.#child = child;
    this.#exit = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#exited = true;
        running.delete(child);
        resolve({ code, signal });
      });
    });
  }

  /** Starts the process without waiting for it to be ready. Throws where the command can't be run. */
  static async spawn(options: LaunchOptions): Promise<ServerProcess> {
    const log = openSync(options.logFile, 'a');
    const startedAtMs = performance.now();
    try {
      const child = spawn(options.command, options.commandArguments, {
        stdio: ['ignore', log, log],
        env: { ...process.env, ...options.environment },
      });
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve);
        child.once('error', reject);
      });
      running.add(child);
      return new ServerProcess(options, child, child.pid ?? 0, startedAtMs);
    } finally {
      closeSync(log);
    }
  }

  /** Starts the process and waits until it is ready. */
  static async start(options: LaunchOptions): Promise<ServerProcess> {
    const server = await ServerProcess.spawn(options);
    await server.ready(options.readyPath, options.readyTimeoutMs);
    return server;
  }

  get exited(): boolean {
    return this.#exited;
  }

  async ready(path: string, timeoutMs = 60_000): Promise<void> {
    for (;;) {
      if (this.#exited) throw new Error(`${this.name} ended before it was ready:\n${this.logTail()}`);
      if (await answersOk(this.url + path)) break;
      if (performance.now() - this.startedAtMs > timeoutMs) {
        await this.kill();
        throw new Error(`${this.name} was not ready within ${timeoutMs} ms:\n${this.logTail()}`);
      }
      await sleep(readyPollMs);
    }
    this.readyAfterMs = performance.now() - this.startedAtMs;
  }

  cpuSeconds(): number {
    return cpuSeconds(this.pid);
  }

  memory(): MemoryUsage {
    return memoryUsage(this.pid);
  }

  /** Waits until the server has used less than a share of a core for a second, or `timeoutMs` have passed. */
  async quiet(timeoutMs: number, coreShareMax = 0.03): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    let before = this.cpuSeconds();
    while (performance.now() < deadline) {
      await sleep(quietWindowMs);
      const now = this.cpuSeconds();
      if (now - before < (coreShareMax * quietWindowMs) / 1000) return;
      before = now;
    }
  }

  /** SIGTERM, then the exit; SIGKILL where it takes longer than `timeoutMs`. */
  async stop(timeoutMs = 30_000): Promise<Exit> {
    if (!this.#exited) this.#child.kill('SIGTERM');
    const timeout = new AbortController();
    const escalation = sleep(timeoutMs, undefined, { signal: timeout.signal }).then(
      () => this.#child.kill('SIGKILL'),
      () => false,
    );
    const exit = await this.#exit;
    timeout.abort();
    await escalation;
    return exit;
  }

  /** SIGKILL: nothing is flushed, nothing is closed. */
  async kill(): Promise<Exit> {
    if (!this.#exited) this.#child.kill('SIGKILL');
    return await this.#exit;
  }

  logTail(bytesMax = 4000): string {
    return readFileSync(this.logFile, 'utf8').slice(-bytesMax);
  }
}

async function answersOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}
