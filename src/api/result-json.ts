// Query results as Prometheus's JSON, series by series. Values are the floor of a wide answer's time, so they are written as
// bytes, and a timestamp column that several series share is rendered once.
import type { MatrixSeries, QueryValue } from '../promql/index.ts';
import type { AnswerChunks, QueryContext } from './call.ts';
import { JsonWriter, labelsJson } from './json-writer.ts';

type Numbers = QueryContext['numbers'];

const comma = 44;
const quote = 34;
const openBracket = 91;
const closeBracket = 93;
/** Samples between two looks at the chunk's size. */
const batchSamples = 512;
const renderedColumnsMax = 8;

/** Each timestamp of a column as `[1435781430.781,"`, one after another. */
interface RenderedColumn {
  readonly timestampsMs: Float64Array;
  readonly bytes: Uint8Array;
  /** Where entry i ends; entry i begins where i - 1 ends. */
  readonly ends: Uint32Array;
}

/** `extra`: stats as JSON, or ''. The whole envelope is written, warnings and infos behind the data as Prometheus does. */
export function* queryResultJson(
  value: QueryValue,
  extra: { readonly statsJson: string; readonly warnings: readonly string[]; readonly infos: readonly string[] },
  numbers: Numbers,
): AnswerChunks & Generator<Uint8Array<ArrayBuffer>> {
  const writer = new JsonWriter();
  writer.text(`{"status":"success","data":{"resultType":"${value.kind}","result":`);
  if (value.kind === 'matrix') yield* matrixJson(writer, value.series, numbers);
  else if (value.kind === 'vector') yield* vectorJson(writer, value, numbers);
  else if (value.kind === 'scalar') writeSample(writer, value.timeMs, value.value, numbers);
  else {
    writer.text(`[${timestampText(value.timeMs, numbers)},`);
    writer.string(value.value);
    writer.text(']');
  }
  writer.text(extra.statsJson === '' ? '}' : `,"stats":${extra.statsJson}}`);
  writer.text(annotationsJson(extra.warnings, extra.infos));
  writer.text('}');
  yield writer.finish();
}

/** `,"warnings":[…],"infos":[…]`, without those that are empty. */
export function annotationsJson(warnings: readonly string[], infos: readonly string[]): string {
  const list = (name: string, texts: readonly string[]): string =>
    texts.length === 0 ? '' : `,"${name}":${JSON.stringify(texts)}`;
  return list('warnings', warnings) + list('infos', infos);
}

function* vectorJson(
  writer: JsonWriter,
  vector: Extract<QueryValue, { kind: 'vector' }>,
  numbers: Numbers,
): Generator<Uint8Array<ArrayBuffer>> {
  const time = timestampText(vector.timeMs, numbers);
  writer.text('[');
  for (const [index, labels] of vector.labels.entries()) {
    writer.text(`${index === 0 ? '' : ','}{"metric":${labelsJson(labels.pairs)},"value":[${time},"`);
    writer.reserve(numbers.sampleValueBytesMax);
    writer.length = numbers.writeSampleValue(writer.bytes, writer.length, vector.values[index] as number);
    writer.text('"]}');
    if (writer.isFull) yield writer.take();
  }
  writer.text(']');
}

function* matrixJson(
  writer: JsonWriter,
  series: readonly MatrixSeries[],
  numbers: Numbers,
): Generator<Uint8Array<ArrayBuffer>> {
  const columns = new RenderedColumns(numbers);
  writer.text('[');
  for (const [index, { labels, timestampsMs, values }] of series.entries()) {
    const column = columns.of(timestampsMs);
    writer.text(`${index === 0 ? '' : ','}{"metric":${labelsJson(labels.pairs)},"values":[`);
    for (let first = 0; first < values.length; first += batchSamples) {
      writeSamples(writer, column, values, first, Math.min(values.length, first + batchSamples), numbers);
      if (writer.isFull) yield writer.take();
    }
    writer.text(']}');
  }
  writer.text(']');
}

/** The columns that were rendered last: neighbours alternate between a few (series that begin or end together). */
class RenderedColumns {
  readonly #numbers: Numbers;
  readonly #byTimestamps = new Map<Float64Array, RenderedColumn>();

  constructor(numbers: Numbers) {
    this.#numbers = numbers;
  }

  of(timestampsMs: Float64Array): RenderedColumn {
    const columns = this.#byTimestamps;
    const known = columns.get(timestampsMs);
    if (known) return known;
    // Series with the same gaps have equal columns, not always the same one; comparing is a hundredth of rendering.
    for (const column of columns.values()) if (areEqual(column.timestampsMs, timestampsMs)) return column;
    const [oldest] = columns.keys();
    if (oldest && columns.size >= renderedColumnsMax) columns.delete(oldest);
    const rendered = renderColumn(timestampsMs, this.#numbers);
    columns.set(timestampsMs, rendered);
    return rendered;
  }
}

function areEqual(a: Float64Array, b: Float64Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function renderColumn(timestampsMs: Float64Array, numbers: Numbers): RenderedColumn {
  const bytes = new Uint8Array(timestampsMs.length * (numbers.timestampBytesMax + 3));
  const ends = new Uint32Array(timestampsMs.length);
  let at = 0;
  for (let i = 0; i < timestampsMs.length; i++) {
    bytes[at] = openBracket;
    at = numbers.writeTimestamp(bytes, at + 1, timestampsMs[i] as number);
    bytes[at++] = comma;
    bytes[at++] = quote;
    ends[i] = at;
  }
  return { timestampsMs, bytes, ends };
}

function writeSamples(
  writer: JsonWriter,
  column: RenderedColumn,
  values: Float64Array,
  first: number,
  end: number,
  numbers: Numbers,
): void {
  writer.reserve((end - first) * (numbers.timestampBytesMax + numbers.sampleValueBytesMax + 6));
  const { bytes: target } = writer;
  const { bytes: source, ends } = column;
  let at = writer.length;
  let from = first === 0 ? 0 : (ends[first - 1] as number);
  for (let i = first; i < end; i++) {
    if (i > 0) target[at++] = comma;
    // A loop beats subarray and set for a dozen bytes.
    for (const to = ends[i] as number; from < to;) target[at++] = source[from++] as number;
    at = numbers.writeSampleValue(target, at, values[i] as number);
    target[at++] = quote;
    target[at++] = closeBracket;
  }
  writer.length = at;
}

function writeSample(writer: JsonWriter, timeMs: number, value: number, numbers: Numbers): void {
  writer.text(`[${timestampText(timeMs, numbers)},${JSON.stringify(numbers.formatFloat(value))}]`);
}

function timestampText(timeMs: number, numbers: Numbers): string {
  const bytes = new Uint8Array(numbers.timestampBytesMax);
  return String.fromCharCode(...bytes.subarray(0, numbers.writeTimestamp(bytes, 0, timeMs)));
}
