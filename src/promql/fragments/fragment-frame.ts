// The answer to a fragment request as bytes (docs/formats/fragments.md): the groups' states over the steps that were evaluated,
// annotations and counts. The decoder trusts no length; what it makes is counted against the query's memory beforehand.
import { ByteReader, ByteWriter, mib, TimbalaError } from '../../base/index.ts';
import { decodeLabels, encodeLabels, type Labels } from '../../model/index.ts';
import type { PlacedAnnotation } from '../annotations.ts';
import type { QueryControl } from '../queryable.ts';
import type { PartialSeries } from './partials.ts';

export interface Fragment {
  /** Of the steps that were asked for: from `firstStep` on, `stepsCount` of them. */
  readonly firstStep: number;
  readonly stepsCount: number;
  readonly samplesLoadedCount: number;
  readonly seriesLoadedCount: number;
  /**
   * What taking the metric name away took from the series, as one text, equal for all of them; '' where nothing was taken.
   * Fragments that differ in it may hold series that are equal without it, which is an error of the query.
   */
  readonly namesTaken: string;
  readonly annotations: readonly PlacedAnnotation[];
  readonly series: readonly PartialSeries[];
}

/** Fits into one frame between nodes. */
const fragmentBytesMax = 60 * mib;
const version = 1;

const constantColumn = 0;
const plainColumn = 1;

/** Throws FRAGMENT_TOO_LARGE. */
export function encodeFragment(fragment: Fragment): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(4096);
  writer.u8(version);
  const { firstStep, stepsCount, samplesLoadedCount, seriesLoadedCount, annotations, series } = fragment;
  for (const count of [firstStep, stepsCount, samplesLoadedCount, seriesLoadedCount]) writer.uvarint(count);
  writer.string(fragment.namesTaken);
  writer.uvarint(annotations.length);
  for (const { kind, text, site, offset } of annotations) {
    writer.u8(kind === 'warning' ? 0 : 1);
    writer.uvarint(site);
    writer.uvarint(offset);
    writer.string(text);
  }
  writer.uvarint(series.length);
  for (const each of series) {
    writeSeries(writer, each);
    if (writer.length > fragmentBytesMax) {
      throw new TimbalaError('FRAGMENT_TOO_LARGE', `over ${fragmentBytesMax} bytes of groups; ask for samples instead`);
    }
  }
  return writer.copy();
}

function writeSeries(writer: ByteWriter, { labels, first, presence, columns }: PartialSeries): void {
  writeLabels(writer, labels);
  writeLabels(writer, first);
  const spanStart = presence.indexOf(1);
  const spanEnd = presence.lastIndexOf(1) + 1;
  const gapsCount = presence.subarray(spanStart, spanEnd).reduce((count, present) => count + 1 - present, 0);
  writer.uvarint(spanStart);
  writer.uvarint(spanEnd - spanStart);
  writer.uvarint(gapsCount);
  if (gapsCount > 0) writer.bytes(bitmapOf(presence.subarray(spanStart, spanEnd)));
  for (const column of columns) {
    const values = column.subarray(spanStart, spanEnd).filter((_, i) => presence[spanStart + i] === 1);
    const isConstant = values.every((value) => Object.is(value, values[0]));
    writer.u8(isConstant ? constantColumn : plainColumn);
    writer.bytes(new Uint8Array(values.buffer, 0, (isConstant ? 1 : values.length) * 8));
  }
}

function writeLabels(writer: ByteWriter, labels: Labels): void {
  const encoded = encodeLabels(labels);
  writer.uvarint(encoded.length);
  writer.bytes(encoded);
}

export interface ExpectedFragment {
  readonly firstStep: number;
  readonly stepsCount: number;
  readonly columnsCount: number;
}

/** Throws FRAGMENT_UNEXPECTED where it is of other steps, FRAGMENT_CORRUPT, DECODE_… and LABELS_CORRUPT. */
export function decodeFragment(bytes: Uint8Array, expected: ExpectedFragment, control: QueryControl): Fragment {
  const reader = new ByteReader(bytes);
  const found = [reader.u8(), reader.uvarint(), reader.uvarint()];
  const { firstStep, stepsCount } = expected;
  if (found[0] !== version || found[1] !== firstStep || found[2] !== stepsCount) {
    const wanted = [version, firstStep, stepsCount].join();
    throw new TimbalaError('FRAGMENT_UNEXPECTED', `version, first step and steps ${found.join()}, not ${wanted}`);
  }
  const samplesLoadedCount = reader.uvarint();
  const seriesLoadedCount = reader.uvarint();
  const namesTaken = reader.string();
  const annotations = readList(reader, () => readAnnotation(reader));
  const series = readList(reader, () => readSeries(reader, expected, control));
  if (reader.remaining > 0) throw corrupt(`${reader.remaining} bytes behind the last series`);
  return { firstStep, stepsCount, samplesLoadedCount, seriesLoadedCount, namesTaken, annotations, series };
}

/** No list has more items than bytes. */
function readList<T>(reader: ByteReader, read: () => T): T[] {
  const count = reader.uvarint();
  if (count > reader.remaining) throw corrupt(`${count} items in ${reader.remaining} bytes`);
  return Array.from({ length: count }, read);
}

function readAnnotation(reader: ByteReader): PlacedAnnotation {
  const kind = reader.u8() === 0 ? 'warning' : 'info';
  return { kind, site: reader.uvarint(), offset: reader.uvarint(), text: reader.string() };
}

function readSeries(reader: ByteReader, expected: ExpectedFragment, control: QueryControl): PartialSeries {
  const { stepsCount, columnsCount } = expected;
  control.check();
  control.addBytes(stepsCount * (1 + 8 * columnsCount));
  const labels = decodeLabels(reader.bytes(reader.uvarint()));
  const first = decodeLabels(reader.bytes(reader.uvarint()));
  const presence = readPresence(reader, stepsCount);
  const columns = Array.from({ length: columnsCount }, () => readColumn(reader, presence));
  return { labels, first, presence, columns };
}

function readPresence(reader: ByteReader, stepsCount: number): Uint8Array {
  const start = reader.uvarint();
  const length = reader.uvarint();
  const gapsCount = reader.uvarint();
  if (length === 0 || start + length > stepsCount || gapsCount >= length) {
    throw corrupt(`${length} steps from ${start} on with ${gapsCount} gaps, of ${stepsCount} steps`);
  }
  const presence = new Uint8Array(stepsCount);
  if (gapsCount === 0) return presence.fill(1, start, start + length);
  const bitmap = reader.bytes((length + 7) >> 3);
  let presentCount = 0;
  for (let i = 0; i < length; i++) {
    const present = ((bitmap[i >> 3] as number) >> (i & 7)) & 1;
    presence[start + i] = present;
    presentCount += present;
  }
  if (presentCount !== length - gapsCount) throw corrupt(`${presentCount} steps present, not ${length - gapsCount}`);
  return presence;
}

function readColumn(reader: ByteReader, presence: Uint8Array): Float64Array {
  const column = new Float64Array(presence.length);
  const encoding = reader.u8();
  if (encoding === constantColumn) {
    const value = readValues(reader, 1)[0] as number;
    return column.map((_, step) => (presence[step] === 1 ? value : 0));
  }
  if (encoding !== plainColumn) throw corrupt(`column of encoding ${encoding}`);
  const values = readValues(
    reader,
    presence.reduce((count, present) => count + present, 0),
  );
  let next = 0;
  for (let step = 0; step < presence.length; step++) if (presence[step] === 1) column[step] = values[next++] as number;
  return column;
}

/** Copied, because they may lie at any byte. */
function readValues(reader: ByteReader, count: number): Float64Array {
  const bytes = reader.bytes(8 * count);
  const values = new Float64Array(count);
  new Uint8Array(values.buffer).set(bytes);
  return values;
}

function bitmapOf(presence: Uint8Array): Uint8Array {
  const bitmap = new Uint8Array((presence.length + 7) >> 3);
  for (const [i, present] of presence.entries()) bitmap[i >> 3] = (bitmap[i >> 3] as number) | (present << (i & 7));
  return bitmap;
}

function corrupt(what: string): TimbalaError {
  return new TimbalaError('FRAGMENT_CORRUPT', `${what}; the samples are asked for instead`);
}
