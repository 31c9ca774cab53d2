// The log: JSON lines on stdout, one per event: {"level":"info","time":"2026-11-24T08:12:32.271Z","event":"node-started",…}.
// Written synchronously, so that a line is out before the process ends, and by every worker straight to the same descriptor: a
// line is one write, so lines of several threads do not mix. A library would cost more memory than that (decision 0004).
import { writeSync } from 'node:fs';
import { errorMessage, hasCode } from '../base/index.ts';
import type { Log, LogFields } from '../ports/index.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** What happens to a finished line, its newline included. */
export type LineSink = (line: string) => void;

export class JsonLog implements Log {
  readonly #levelIndex: number;
  readonly #fields: LogFields;
  readonly #sink: LineSink;

  /** Lines below `level` are left out; `fields` are on every line. */
  constructor(level: LogLevel, fields: LogFields = {}, sink: LineSink = writeToStdout) {
    this.#levelIndex = levels.indexOf(level);
    this.#fields = fields;
    this.#sink = sink;
  }

  debug(event: string, fields?: LogFields): void {
    this.#write(0, event, fields);
  }

  info(event: string, fields?: LogFields): void {
    this.#write(1, event, fields);
  }

  warn(event: string, fields?: LogFields): void {
    this.#write(2, event, fields);
  }

  error(event: string, fields?: LogFields): void {
    this.#write(3, event, fields);
  }

  child(fields: LogFields): Log {
    return new JsonLog(levels[this.#levelIndex] ?? 'info', { ...this.#fields, ...fields }, this.#sink);
  }

  #write(levelIndex: number, event: string, fields: LogFields | undefined): void {
    if (levelIndex < this.#levelIndex) return;
    const time = new Date().toISOString();
    const line = { level: levels[levelIndex], time, event, ...this.#fields, ...fields };
    this.#sink(`${JSON.stringify(line, loggable)}\n`);
  }
}

/** Errors as what they say and where; what JSON can't hold, as text. */
function loggable(_key: string, value: unknown): unknown {
  if (value instanceof Error) {
    const { name, stack, cause } = value;
    const code = 'code' in value ? value.code : undefined;
    return { name, code, message: errorMessage(value), stack, cause };
  }
  return typeof value === 'bigint' ? String(value) : value;
}

const stdoutDescriptor = 1;
// A pipe whose reader is slow, in non-blocking mode: so long a line waits, then it is lost. The node must not stand still
// for its log.
const blockedRetries = 100;
const blockedRetryMs = 1;

function writeToStdout(line: string): void {
  let rest = Buffer.from(line);
  const sleeper = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  for (let retries = 0; rest.length > 0 && retries < blockedRetries;) {
    try {
      rest = rest.subarray(writeSync(stdoutDescriptor, rest));
    } catch (error) {
      // Nobody reads any more (EPIPE), or the disk behind it is full: there is nowhere left to say so.
      if (!hasCode(error, 'EAGAIN')) return;
      Atomics.wait(sleeper, 0, 0, blockedRetryMs);
      retries++;
    }
  }
}
