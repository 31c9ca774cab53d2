// Parser of Prometheus's PromQL test scripts (promqltest): load, clear and eval commands with their expectations, old and new
// notation. Native histograms are recognised, not understood: a sample or an expectation that is one is marked as such.
import { Labels } from '../../src/model/index.ts';
import { parseDuration } from '../../src/promql/numbers/index.ts';
import { parseMetric } from '../../src/promql/parse/index.ts';

export type Command = LoadCommand | ClearCommand | EvalCommand;

export interface LoadCommand {
  readonly kind: 'load';
  readonly line: number;
  readonly gapMs: number;
  readonly series: readonly ScriptSeries[];
}

export interface ClearCommand {
  readonly kind: 'clear';
}

export type ScriptValue = number | 'omitted' | 'stale' | 'histogram';

export interface ScriptSeries {
  readonly labels: Labels;
  readonly values: readonly ScriptValue[];
}

export interface TextMatch {
  /** Undefined: any text. */
  readonly matches: (text: string) => boolean;
  readonly description: string;
}

export interface EvalCommand {
  readonly kind: 'eval';
  readonly line: number;
  readonly text: string;
  readonly isRange: boolean;
  /** Of the query; instant: start = end. */
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
  /** Times of the points of an expected range vector; those of the query unless the script says otherwise. */
  readonly points: { startMs: number; endMs: number; stepMs: number };
  readonly isRangeVector: boolean;
  readonly isOrdered: boolean;
  readonly failures: readonly TextMatch[];
  readonly warnings: readonly TextMatch[];
  readonly infos: readonly TextMatch[];
  readonly forbidsWarnings: boolean;
  readonly forbidsInfos: boolean;
  readonly series: readonly ScriptSeries[];
  readonly scalar: number | undefined;
  readonly string: string | undefined;
}

const instantPattern = /^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$/;
const rangePattern = /^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$/;
const expectPattern = /^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$/;
const expectRangePattern = /^expect range vector\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)$/;

export function parseScript(text: string): Command[] {
  const lines = text.split('\n').map((line) => line.trim().replace(/^#.*$/, ''));
  const commands: Command[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] as string;
    const number = at + 1;
    at++;
    if (line === '') continue;
    const body: string[] = [];
    if (!line.startsWith('clear')) while (at < lines.length && lines[at] !== '') body.push(lines[at++] as string);
    if (line.startsWith('clear')) commands.push({ kind: 'clear' });
    else if (line.startsWith('load')) commands.push(parseLoad(line, number, body));
    else if (line.startsWith('eval')) commands.push(parseEval(line, number, body));
    else throw new Error(`line ${number}: unknown command ${line}`);
  }
  return commands;
}

function parseLoad(line: string, number: number, body: readonly string[]): LoadCommand {
  const gap = /^load(?:_with_nhcb)?\s+(.+)$/.exec(line)?.[1];
  if (gap === undefined) throw new Error(`line ${number}: ${line}`);
  // Lines that end in @st give start timestamps, which we do not have.
  const series = body.filter((each) => !/^\S*@st\s/.test(each)).map(parseSeries);
  return { kind: 'load', line: number, gapMs: parseDuration(gap), series };
}

function parseEval(line: string, number: number, body: readonly string[]): EvalCommand {
  const head = parseEvalHead(line, number);
  const expectations = { ...head, series: [...head.series] };
  for (const each of body) parseExpectation(each, expectations);
  return expectations;
}

type Draft = { -readonly [Key in keyof EvalCommand]: EvalCommand[Key] } & { series: ScriptSeries[] };

function parseEvalHead(line: string, number: number): Draft {
  const instant = instantPattern.exec(line);
  const range = instant ? null : rangePattern.exec(line);
  if (!instant && !range) throw new Error(`line ${number}: ${line}`);
  const startMs = parseDuration((instant ? instant[2] : range?.[2]) as string);
  const endMs = range ? parseDuration(range[3] as string) : startMs;
  const stepMs = range ? parseDuration(range[4] as string) : 0;
  const modifier = instant?.[1] ?? range?.[1];
  return {
    kind: 'eval',
    line: number,
    text: (instant?.[3] ?? range?.[5]) as string,
    isRange: range !== null,
    startMs,
    endMs,
    stepMs,
    points: { startMs, endMs, stepMs },
    isRangeVector: false,
    isOrdered: modifier === 'ordered',
    failures: modifier === 'fail' ? [anyText] : [],
    warnings: modifier === 'warn' ? [anyText] : [],
    infos: modifier === 'info' ? [anyText] : [],
    forbidsWarnings: false,
    forbidsInfos: false,
    series: [],
    scalar: undefined,
    string: undefined,
  };
}

const anyText: TextMatch = { matches: () => true, description: 'any' };

function parseExpectation(line: string, draft: Draft): void {
  const oldFailure = /^expected_fail_(message|regexp)\s+(.*)$/.exec(line);
  const range = expectRangePattern.exec(line);
  if (oldFailure) {
    draft.failures = [textMatch(oldFailure[1] === 'message' ? 'msg' : 'regex', oldFailure[2])];
  } else if (range) {
    const [startMs = 0, endMs = 0, stepMs = 0] = range.slice(1).map(parseDuration);
    draft.points = { startMs, endMs, stepMs };
    draft.isRangeVector = true;
  } else if (line.startsWith('expect string')) {
    draft.string = JSON.parse(
      line.slice('expect string '.length).replace(/^[`'](.*)[`']$/, (_, inner) => JSON.stringify(inner)),
    );
  } else if (/^expect\s/.test(line)) {
    parseExpect(line, draft);
  } else if (/^[-+]?(?:\d|\.\d|Inf$|NaN$|nan$|inf$)\S*$/i.test(line)) {
    draft.scalar = parseNumber(line);
  } else {
    draft.series.push(parseSeries(line));
  }
}

function parseExpect(line: string, draft: Draft): void {
  const [, kind, how, text] = expectPattern.exec(line) ?? [];
  const match = textMatch(how, text);
  if (kind === 'ordered') draft.isOrdered = true;
  else if (kind === 'fail') draft.failures = [...draft.failures, match];
  else if (kind === 'warn') draft.warnings = [...draft.warnings, match];
  else if (kind === 'info') draft.infos = [...draft.infos, match];
  else if (kind === 'no_warn') draft.forbidsWarnings = true;
  else if (kind === 'no_info') draft.forbidsInfos = true;
  else throw new Error(`unknown expectation: ${line}`);
}

function textMatch(how: string | undefined, text = ''): TextMatch {
  const trimmed = text.trim();
  if (how === undefined) return anyText;
  if (how === 'msg') return { matches: (other) => other === trimmed, description: trimmed };
  const pattern = new RegExp(trimmed.replace(/^\(\?s\)/, ''), 's');
  return { matches: (other) => pattern.test(other), description: `/${trimmed}/` };
}

/** `name{label="value"} 1 2+3x4 _ stale`; the name may be quoted inside the braces. */
function parseSeries(line: string): ScriptSeries {
  const labelsEnd = endOfLabels(line);
  return { labels: parseMetric(line.slice(0, labelsEnd).trim()), values: parseValues(line.slice(labelsEnd)) };
}

function endOfLabels(line: string): number {
  const brace = line.indexOf('{');
  const blank = line.search(/\s/);
  if (brace < 0 || (blank >= 0 && blank < brace && !/^\s*\{[^{]/.test(line.slice(blank))))
    return blank < 0 ? line.length : blank;
  for (let i = brace + 1; i < line.length; i++) {
    const character = line[i] as string;
    if (character === '}') return i + 1;
    if (character !== '"' && character !== "'" && character !== '`') continue;
    for (i++; i < line.length && line[i] !== character; i++) if (line[i] === '\\' && character !== '`') i++;
  }
  return line.length;
}

const number = String.raw`[+-]?(?:[0-9][0-9_]*(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?|\.[0-9]+(?:e[+-]?[0-9]+)?|inf|nan)`;
const valuePattern = new RegExp(`^(${number})(?:([+-])(${number.replace('[+-]?', '')}))?(?:x([0-9]+))?$`, 'i');

function parseValues(text: string): ScriptValue[] {
  const values: ScriptValue[] = [];
  for (const item of splitItems(text)) {
    const times = /x([0-9]+)$/.exec(item)?.[1];
    if (item.startsWith('_')) {
      values.push(...Array<ScriptValue>(times === undefined ? 1 : Number(times)).fill('omitted'));
    } else if (item.startsWith('stale')) {
      values.push(...Array<ScriptValue>(1 + Number(times ?? 0)).fill('stale'));
    } else if (item.startsWith('{{')) {
      values.push(...Array<ScriptValue>(1 + Number(times ?? 0)).fill('histogram'));
    } else {
      values.push(...parseSequence(item));
    }
  }
  return values;
}

/** Histograms hold blanks inside their braces. */
function splitItems(text: string): string[] {
  return text.match(/\{\{.*?\}\}(?:[+-]\{\{.*?\}\})?(?:x[0-9]+)?|\S+/g) ?? [];
}

function parseSequence(item: string): number[] {
  const [, start, sign, step, times = '0'] = valuePattern.exec(item) ?? [];
  if (start === undefined) throw new Error(`not a value: ${item}`);
  const increment = step === undefined ? 0 : (sign === '-' ? -1 : 1) * parseNumber(step);
  const values = [parseNumber(start)];
  for (let i = 0; i < Number(times); i++) {
    const previous = values[i] as number;
    values.push(step === undefined ? previous : previous + increment);
  }
  return values;
}

function parseNumber(text: string): number {
  const lower = text.toLowerCase().replaceAll('_', '');
  if (/^[+-]?inf$/.test(lower)) return lower.startsWith('-') ? -Infinity : Infinity;
  if (/^[+-]?nan$/.test(lower)) return NaN;
  const sign = lower.startsWith('-') ? -1 : 1;
  return sign * Number(lower.replace(/^[+-]/, ''));
}
