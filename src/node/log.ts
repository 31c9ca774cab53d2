// The log: JSON lines on stdout by pino, one per event: {"level":"info","time":"…","event":"node-started",…}.
// Written synchronously, so that a line is out before the process ends, and by every worker straight to the same descriptor: a
// line is one write, so lines of several threads do not mix.
import pino from 'pino';
import type { Log, LogFields } from '../ports/index.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

const stdoutDescriptor = 1;

export class PinoLog implements Log {
  readonly #logger: pino.Logger;

  private constructor(logger: pino.Logger) {
    this.#logger = logger;
  }

  /** Lines below `level` are left out; `fields` are on every line. `destination`: stdout, but for tests. */
  static open(
    level: LogLevel,
    fields: LogFields = {},
    destination: pino.DestinationStream = pino.destination({ fd: stdoutDescriptor, sync: true }),
  ): PinoLog {
    const options: pino.LoggerOptions = {
      level,
      base: fields,
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    };
    return new PinoLog(pino(options, destination));
  }

  debug(event: string, fields: LogFields = {}): void {
    this.#logger.debug(fields, event);
  }

  info(event: string, fields: LogFields = {}): void {
    this.#logger.info(fields, event);
  }

  warn(event: string, fields: LogFields = {}): void {
    this.#logger.warn(fields, event);
  }

  error(event: string, fields: LogFields = {}): void {
    this.#logger.error(fields, event);
  }

  child(fields: LogFields): Log {
    return new PinoLog(this.#logger.child(fields));
  }
}
