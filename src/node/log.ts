// The log: JSON lines on stdout by pino, one per event: {"level":"info","time":"…","event":"node-started",…}.
// Written synchronously, so that a line is out before the process ends, and from every worker straight to the same
// descriptor: a line is one write, so lines of several threads do not mix.
import pino from 'pino';
import type { Log, LogFields } from '../ports/index.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export class PinoLog implements Log {
  readonly #logger: pino.Logger;

  private constructor(logger: pino.Logger) {
    this.#logger = logger;
  }

  /** `fields` (a worker's role, say) are on every line. */
  static toStdout(level: LogLevel, fields: LogFields = {}): PinoLog {
    const logger = pino(
      {
        level,
        base: fields,
        messageKey: 'event',
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
        serializers: { error: pino.stdSerializers.err },
      },
      pino.destination({ fd: 1, sync: true }),
    );
    return new PinoLog(logger);
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
