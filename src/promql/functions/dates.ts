// The date functions: the civil calendar (proleptic Gregorian, UTC) of a Unix time in seconds. JavaScript's Date ends at the
// year 275760; samples do not, so the calendar is computed here, from days (algorithm: Howard Hinnant, "chrono-compatible
// low-level date algorithms").

const secondsPerDay = 86_400;

interface CivilDate {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  /** 1 to 31. */
  readonly day: number;
}

/** A Unix time as days since 1970-01-01 and seconds of that day. */
interface DayTime {
  readonly days: number;
  readonly seconds: number;
}

/** Go counts time from 1 March of the year -292277022400, in an unsigned 64-bit integer. */
const goOriginSeconds = 9_223_372_028_741_760_000n;

/**
 * Fractions are cut towards zero. As in Go on amd64, NaN and what exceeds 64 bits become the smallest integer, and what lies
 * before Go's first year wraps around to its last.
 */
function dayTime(value: number): DayTime {
  if (value > -(2 ** 53) && value < 2 ** 53) {
    const whole = Math.trunc(value);
    const days = Math.floor(whole / secondsPerDay);
    return { days, seconds: whole - days * secondsPerDay };
  }
  const inRange = value >= -(2 ** 63) && value < 2 ** 63;
  const whole = BigInt.asUintN(64, BigInt(inRange ? value : -(2 ** 63)) + goOriginSeconds) - goOriginSeconds;
  const perDay = BigInt(secondsPerDay);
  const seconds = ((whole % perDay) + perDay) % perDay;
  return { days: Number((whole - seconds) / perDay), seconds: Number(seconds) };
}

function civilDate(days: number): CivilDate {
  // Eras of 400 years that begin on 1 March, so that the leap day is the last of its year.
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const leapDays = Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const yearDays = 365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100);
  const dayOfYear = dayOfEra - yearDays;
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}

const isLeapYear = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);

const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function daysInMonthOf(year: number, month: number): number {
  return month === 2 && isLeapYear(year) ? 29 : (monthDays[month - 1] as number);
}

const dateOf = (value: number): CivilDate => civilDate(dayTime(value).days);

export const year = (value: number): number => dateOf(value).year;
export const month = (value: number): number => dateOf(value).month;
export const dayOfMonth = (value: number): number => dateOf(value).day;
export const hour = (value: number): number => Math.floor(dayTime(value).seconds / 3600);
export const minute = (value: number): number => Math.floor((dayTime(value).seconds % 3600) / 60);

/** Sunday is 0; 1 January 1970 was a Thursday. */
export function dayOfWeek(value: number): number {
  return (((dayTime(value).days + 4) % 7) + 7) % 7;
}

export function dayOfYear(value: number): number {
  const { year, month, day } = dateOf(value);
  let days = day;
  for (let before = 1; before < month; before++) days += daysInMonthOf(year, before);
  return days;
}

export function daysInMonth(value: number): number {
  const { year, month } = dateOf(value);
  return daysInMonthOf(year, month);
}
