// Points in time and durations as parameters of the HTTP API: Unix seconds as a float, or RFC 3339; seconds or `1h30m`.
import { parseDuration } from './duration.ts';
import { parseGoFloat } from './float-text.ts';

/** The two ends of time as clients of Prometheus write them; they mean "no bound". */
const boundaries: ReadonlyMap<string, number> = new Map([
  ['-292273086-05-16T16:47:06Z', Number.MIN_SAFE_INTEGER],
  ['292277025-08-18T07:12:54.999999999Z', Number.MAX_SAFE_INTEGER],
]);

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))$/;

function parseFloatOrNothing(text: string): number | undefined {
  try {
    return parseGoFloat(text);
  } catch {
    return undefined;
  }
}

/** Milliseconds since the epoch. Throws SyntaxError with Prometheus's text. */
export function parseTimestampMs(text: string): number {
  const seconds = parseFloatOrNothing(text);
  const timestampMs = seconds === undefined ? parseRfc3339(text) : secondsToMs(seconds);
  if (timestampMs === undefined) throw new SyntaxError(`cannot parse ${JSON.stringify(text)} to a valid timestamp`);
  return timestampMs;
}

function secondsToMs(seconds: number): number | undefined {
  if (!Number.isFinite(seconds)) return undefined;
  const whole = Math.trunc(seconds);
  const fraction = seconds - whole;
  // Rounded to ms with halves away from zero, and then cut to ns, in Prometheus's steps.
  const rounded = (Math.sign(fraction) * Math.floor(Math.abs(fraction * 1000) + 0.5)) / 1000;
  const timestampMs = whole * 1000 + Math.floor(Math.trunc(rounded * 1e9) / 1e6);
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, timestampMs));
}

function parseRfc3339(text: string): number | undefined {
  const boundary = boundaries.get(text);
  if (boundary !== undefined) return boundary;
  const match = rfc3339.exec(text);
  if (!match) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  const offsetHours = Number(match[9] ?? 0);
  const offsetMinutes = Number(match[10] ?? 0);
  if (hour > 23 || minute > 59 || second > 59 || offsetHours > 24 || offsetMinutes > 59) return undefined;
  const milliseconds = Number((match[7] ?? '').slice(0, 3).padEnd(3, '0'));
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second, milliseconds);
  // JavaScript carries a 30 February over into March; that is no date.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const offsetMs = (offsetHours * 60 + offsetMinutes) * 60_000;
  return date.getTime() - (match[8] === '-' ? -offsetMs : offsetMs);
}

/** Milliseconds of `step`, `timeout` and the like: seconds or a duration. Throws SyntaxError with Prometheus's text. */
export function parseDurationParameter(text: string): number {
  const seconds = parseFloatOrNothing(text);
  if (seconds !== undefined) {
    const nanoseconds = Math.trunc(seconds * 1e9);
    if (!(Math.abs(nanoseconds) < 2 ** 63)) {
      throw new SyntaxError(`cannot parse ${JSON.stringify(text)} to a valid duration. It overflows int64`);
    }
    return Math.trunc(nanoseconds / 1e6) + 0;
  }
  try {
    return parseDuration(text);
  } catch (cause) {
    throw new SyntaxError(`cannot parse ${JSON.stringify(text)} to a valid duration`, { cause });
  }
}
