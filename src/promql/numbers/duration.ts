// Durations as Prometheus writes them: `1h30m`, units from years to milliseconds in falling order, each at most once.
import { dayMs, hourMs, minuteMs, secondMs, weekMs, yearMs } from '../../base/index.ts';

/** In the order in which they may follow each other. */
const units: readonly (readonly [name: string, ms: number])[] = [
  ['y', yearMs],
  ['w', weekMs],
  ['d', dayMs],
  ['h', hourMs],
  ['m', minuteMs],
  ['s', secondMs],
  ['ms', 1],
];

/** Prometheus keeps durations in 64-bit nanoseconds (292 years). */
const durationMsMax = 2 ** 63 / 1e6;

/** Milliseconds of a duration without sign; "0" needs no unit. Throws SyntaxError or RangeError with Prometheus's text. */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  if (text === '') throw new SyntaxError('empty duration string');
  let totalMs = 0;
  let unitsUsed = 0;
  const pattern = /([0-9]*)([^0-9]*)/y;
  while (pattern.lastIndex < text.length) {
    const [, digits = '', unitName = ''] = pattern.exec(text) ?? [];
    if (digits === '' || unitName === '') throw invalid(text);
    const unitIndex = units.findIndex(([name]) => name === unitName);
    const unit = units[unitIndex];
    if (!unit) throw new SyntaxError(`unknown unit ${JSON.stringify(unitName)} in duration ${JSON.stringify(text)}`);
    if (unitIndex < unitsUsed) throw invalid(text);
    unitsUsed = unitIndex + 1;
    totalMs += Number(digits) * unit[1];
    if (totalMs >= durationMsMax) throw new RangeError('duration out of range');
  }
  return totalMs;
}

function invalid(text: string): SyntaxError {
  return new SyntaxError(`not a valid duration string: ${JSON.stringify(text)}`);
}

/** As Prometheus prints a duration: `0s`, `1h30m`; years and weeks only where nothing is left over. */
export function formatDuration(durationMs: number): string {
  let restMs = Math.abs(Math.trunc(durationMs));
  if (restMs === 0) return '0s';
  let text = durationMs < 0 ? '-' : '';
  for (const [name, unitMs] of units) {
    if (unitMs >= weekMs && restMs % unitMs !== 0) continue;
    const count = Math.floor(restMs / unitMs);
    if (count > 0) text += `${count}${name}`;
    restMs -= count * unitMs;
  }
  return text;
}

/** Seconds of a duration in ms, rounded as Go's Duration.Seconds: whole seconds and the fraction are added as floats. */
export function durationSeconds(durationMs: number): number {
  return Math.trunc(durationMs / 1000) + (durationMs % 1000) / 1000;
}
