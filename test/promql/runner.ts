// Runs test scripts against an engine and a storage of the caller's choice, and says of every eval whether it holds. Instant
// evals are checked three times over, as Prometheus's own runner does: as they are, as the middle step of a range query,
// and at other times with every selector pinned by `@`.
import { errorMessage, TimbalaError } from '../../src/base/index.ts';
import type { Labels } from '../../src/model/index.ts';
import { LimitedQueryControl, type PromqlEngine, type Queryable, type QueryResult } from '../../src/promql/index.ts';
import { setStale } from '../../src/promql/memory-queryable.ts';
import { pinnedVariants } from './pinned-variants.ts';
import { type EvalCommand, parseScript, type ScriptSeries, type ScriptValue, type TextMatch } from './script.ts';

/** What scripts load into and query from. */
export interface ScriptStorage {
  readonly queryable: Queryable;
  /** Adds to what is there; a series may come again, with later or with the same timestamps. */
  load(series: readonly { labels: Labels; timestampsMs: Float64Array; values: Float64Array }[]): Promise<void>;
  clear(): Promise<void>;
}

export interface Outcome {
  readonly line: number;
  readonly text: string;
  /** Undefined where the eval holds. */
  readonly problem: string | undefined;
}

export async function runScript(script: string, engine: PromqlEngine, storage: ScriptStorage): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  await storage.clear();
  for (const command of parseScript(script)) {
    if (command.kind === 'clear') {
      await storage.clear();
    } else if (command.kind === 'load') {
      // Of a series that one load names twice, the last line counts.
      const series = new Map(command.series.map((each) => [each.labels.key(), each]));
      await storage.load(Array.from(series.values(), (each) => toColumns(each, command.gapMs)));
    } else {
      outcomes.push({
        line: command.line,
        text: command.text,
        problem: await problemOf(command, engine, storage.queryable),
      });
    }
  }
  return outcomes;
}

function toColumns({ labels, values }: ScriptSeries, gapMs: number): Parameters<ScriptStorage['load']>[0][number] {
  const kept = [...values.entries()].filter(([, value]) => value === 'stale' || typeof value === 'number');
  const column = Float64Array.from(kept, ([, value]) => (typeof value === 'number' ? value : 0));
  for (const [i, [, value]] of kept.entries()) if (value === 'stale') setStale(column, i);
  return { labels, timestampsMs: Float64Array.from(kept, ([index]) => index * gapMs), values: column };
}

async function problemOf(
  command: EvalCommand,
  engine: PromqlEngine,
  queryable: Queryable,
): Promise<string | undefined> {
  try {
    if (command.isRange) {
      const { text, startMs, endMs, stepMs } = command;
      const run = (): Promise<QueryResult> => engine.rangeQuery({ text, startMs, endMs, stepMs }, queryable, control());
      await check(command, run);
      return undefined;
    }
    await checkInstant(command, command.text, command.startMs, engine, queryable);
    for (const { text, timeMs } of pinnedVariants(command.text, command.startMs)) {
      await checkInstant(command, text, timeMs, engine, queryable);
    }
    return undefined;
  } catch (error) {
    return error instanceof Mismatch ? error.message : `threw ${error instanceof Error ? error.stack : String(error)}`;
  }
}

class Mismatch extends Error {}

function control(): LimitedQueryControl {
  return new LimitedQueryControl();
}

const queryTimeFunctions = /(?:start|end|range|step)\(\)/;

async function checkInstant(
  command: EvalCommand,
  text: string,
  timeMs: number,
  engine: PromqlEngine,
  queryable: Queryable,
): Promise<void> {
  const result = await check(command, () => engine.instantQuery({ text, timeMs }, queryable, control()), text);
  const hasNoSteps = command.isRangeVector || command.string !== undefined || queryTimeFunctions.test(text);
  if (!result || hasNoSteps || command.isOrdered) return;
  const stepMs = 60_000;
  const range = { text, startMs: timeMs - stepMs, endMs: timeMs + stepMs, stepMs };
  const stepped = await engine.rangeQuery(range, queryable, control());
  compareValue(
    command,
    middleStep(stepped, timeMs, result.value.kind === 'scalar'),
    `${text} as a step of a range query`,
  );
}

function middleStep({ value }: QueryResult, timeMs: number, isScalar: boolean): QueryResult['value'] {
  if (value.kind !== 'matrix') throw new Mismatch(`a range query gave a ${value.kind}`);
  const found = value.series.flatMap(({ labels, timestampsMs, values }) => {
    const at = timestampsMs.indexOf(timeMs);
    return at < 0 ? [] : [{ labels, value: values[at] as number }];
  });
  if (isScalar) return { kind: 'scalar', timeMs, value: found[0]?.value ?? NaN };
  return {
    kind: 'vector',
    timeMs,
    labels: found.map(({ labels }) => labels),
    values: Float64Array.from(found, ({ value }) => value),
  };
}

/** Undefined where the query failed as it should. */
async function check(
  command: EvalCommand,
  run: () => Promise<QueryResult>,
  text = command.text,
): Promise<QueryResult | undefined> {
  let result: QueryResult;
  try {
    result = await run();
  } catch (error) {
    const message = prometheusMessage(error);
    const [expected] = command.failures;
    if (!expected) throw new Mismatch(`${text}: failed: ${message}`);
    if (!expected.matches(message))
      throw new Mismatch(`${text}: failed with ${message}, expected ${expected.description}`);
    return undefined;
  }
  if (command.failures.length > 0) throw new Mismatch(`${text}: should have failed`);
  checkTexts('warning', command.warnings, command.forbidsWarnings, result.warnings);
  checkTexts('info', command.infos, command.forbidsInfos, result.infos);
  compareValue(command, result.value, text);
  return result;
}

/** The message as Prometheus words it, without our code before it. */
function prometheusMessage(error: unknown): string {
  const message = errorMessage(error);
  return error instanceof TimbalaError ? message.slice(error.code.length + 2) : message;
}

function checkTexts(kind: string, expected: readonly TextMatch[], forbidden: boolean, found: readonly string[]): void {
  if (forbidden && found.length > 0) throw new Mismatch(`no ${kind} expected, found ${found.join('; ')}`);
  if (expected.length === 0) return;
  for (const each of expected) {
    if (!found.some(each.matches))
      throw new Mismatch(`${kind} ${each.description} missing, found [${found.join('; ')}]`);
  }
  for (const text of found) {
    if (!expected.some((each) => each.matches(text))) throw new Mismatch(`unexpected ${kind} ${text}`);
  }
}

function compareValue(command: EvalCommand, value: QueryResult['value'], text: string): void {
  const where = `${text} (${value.kind})`;
  if (command.string !== undefined) {
    if (value.kind !== 'string' || value.value !== command.string)
      throw new Mismatch(`${where}: expected ${command.string}`);
  } else if (command.scalar !== undefined) {
    if (value.kind !== 'scalar') throw new Mismatch(`${where}: expected the scalar ${command.scalar}`);
    if (!almostEqual(value.value, command.scalar)) {
      throw new Mismatch(`${where}: expected ${command.scalar}, got ${value.value}`);
    }
  } else if (value.kind === 'vector') {
    compareVector(command, value, where);
  } else if (value.kind === 'matrix') {
    compareMatrix(command, value, where);
  } else {
    throw new Mismatch(`${where}: expected series, got ${value.value}`);
  }
}

function compareVector(
  { series, isOrdered }: EvalCommand,
  { labels, values }: Extract<QueryResult['value'], { kind: 'vector' }>,
  where: string,
): void {
  const expected = new Map(series.map((each, position) => [each.labels.key(), { ...each, position }]));
  for (const [position, each] of labels.entries()) {
    const wanted = expected.get(each.key());
    if (!wanted) throw new Mismatch(`${where}: unexpected ${each} ${values[position]}`);
    if (isOrdered && wanted.position !== position) {
      throw new Mismatch(`${where}: ${each} at position ${position}, expected ${wanted.position}`);
    }
    compareNumber(wanted.values[0] as ScriptValue, values[position] as number, `${where}: ${each}`);
    expected.delete(each.key());
  }
  for (const missing of expected.values()) throw new Mismatch(`${where}: ${missing.labels} not found`);
}

function compareMatrix(
  { series, points, isOrdered }: EvalCommand,
  value: Extract<QueryResult['value'], { kind: 'matrix' }>,
  where: string,
): void {
  if (isOrdered) throw new Mismatch(`${where}: expected an ordered result`);
  const expected = new Map(series.map((each) => [each.labels.key(), each]));
  for (const { labels, timestampsMs, values } of value.series) {
    const wanted = expected.get(labels.key());
    const found = `[${Array.from(values, (each, i) => `${each}@${timestampsMs[i]}`).join(' ')}]`;
    if (!wanted) throw new Mismatch(`${where}: unexpected ${labels} ${found}`);
    const present = [...wanted.values.entries()].filter(([, each]) => each !== 'omitted');
    if (present.length !== values.length)
      throw new Mismatch(`${where}: ${labels}: ${found}, expected ${wanted.values.join(' ')}`);
    for (const [i, [step, each]] of present.entries()) {
      const timeMs = points.startMs + step * points.stepMs;
      if (timestampsMs[i] !== timeMs)
        throw new Mismatch(`${where}: ${labels}: ${found}, expected a point at ${timeMs}`);
      compareNumber(each, values[i] as number, `${where}: ${labels} at ${timeMs}`);
    }
    expected.delete(labels.key());
  }
  for (const missing of expected.values()) throw new Mismatch(`${where}: ${missing.labels} not found`);
}

function compareNumber(expected: ScriptValue, found: number, where: string): void {
  if (expected === 'histogram') throw new Mismatch(`${where}: expected a native histogram, got ${found}`);
  if (typeof expected !== 'number') throw new Mismatch(`${where}: expected ${expected}, got ${found}`);
  if (!almostEqual(expected, found)) throw new Mismatch(`${where}: expected ${expected}, got ${found}`);
}

const toleratedDifference = 1e-6;
const smallestNormal = 2 ** -1022;

/** Prometheus's measure: relative to the sum, any NaN equal to any. */
function almostEqual(a: number, b: number): boolean {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return true;
  const sum = Math.abs(a) + Math.abs(b);
  const difference = Math.abs(a - b);
  if (a === 0 || b === 0 || sum < smallestNormal) return difference < toleratedDifference * smallestNormal;
  return difference / Math.min(sum, Number.MAX_VALUE) < toleratedDifference;
}
