// What a query wants of the cluster, as bytes that the protocols carry as they are: a byte for the kind, then JSON. Kind 2 is
// a fragment of an aggregation, which PromQL encodes (docs/formats/fragments.md); other kinds belong to later versions.
import { ByteReader, ByteWriter, TimbalaError } from '../../base/index.ts';
import type { Matcher } from '../../model/index.ts';
import { selectorsFromPlain, selectorsToPlain } from '../selectors.ts';

/** Series that all matchers match, with their samples in a closed range. */
export interface WantedSamples {
  readonly matchers: readonly Matcher[];
  readonly startMs: number;
  readonly endMs: number;
}

/** What there is, of series that may have a sample in a closed range and that all matchers of some selector match. */
export interface WantedLabels {
  readonly of: 'series' | 'names' | 'values';
  /** Of the label whose values are wanted; '' otherwise. */
  readonly name: string;
  /** Empty: every series. */
  readonly selectors: readonly (readonly Matcher[])[];
  readonly startMs: number;
  readonly endMs: number;
  /** So many, the first ones, are enough. */
  readonly limit: number | undefined;
}

export type Wanted =
  | {
      readonly kind: 'samples';
      readonly requests: readonly WantedSamples[];
      /** For each request what the asking node has (known-series.ts): series of which a node has the same are left out. */
      readonly known?: readonly Uint8Array[];
    }
  | { readonly kind: 'labels'; readonly request: WantedLabels }
  /** `encoded`: all of the bytes. */
  | { readonly kind: 'fragment'; readonly encoded: Uint8Array };

const kinds = ['samples', 'labels', 'fragment'] as const;
/** Samples, but for what is known: the length of the JSON, it, and for each request the known series behind their length. */
const kindOfKnown = 3;
const facets: readonly string[] = ['series', 'names', 'values'] satisfies WantedLabels['of'][];

export function encodeWanted(wanted: Exclude<Wanted, { kind: 'fragment' }>): Uint8Array<ArrayBuffer> {
  const plain =
    wanted.kind === 'samples'
      ? wanted.requests.map(({ matchers, startMs, endMs }) => [selectorsToPlain([matchers]), startMs, endMs])
      : { ...wanted.request, selectors: selectorsToPlain(wanted.request.selectors) };
  const json = new TextEncoder().encode(JSON.stringify(plain));
  const known = wanted.kind === 'samples' ? wanted.known : undefined;
  const writer = new ByteWriter(1 + json.length + (known?.reduce((sum, { length }) => sum + 8 + length, 8) ?? 0));
  writer.u8(known ? kindOfKnown : kinds.indexOf(wanted.kind));
  if (known) writer.u32(json.length);
  writer.bytes(json);
  for (const entries of known ?? []) {
    writer.u32(entries.length);
    writer.bytes(entries);
  }
  return writer.copy();
}

/** Throws WANTED_INVALID. */
export function decodeWanted(bytes: Uint8Array): Wanted {
  if (bytes[0] === kindOfKnown) return decodeKnown(bytes);
  const kind = kinds[bytes[0] ?? kinds.length];
  if (kind === undefined)
    throw new TimbalaError('WANTED_INVALID', `this version answers no questions of kind ${bytes[0]}`);
  if (kind === 'fragment') return { kind, encoded: bytes };
  return readable(() => {
    const plain = parse(bytes.subarray(1));
    return kind === 'samples'
      ? { kind, requests: listFrom(plain).map(samplesFrom) }
      : { kind, request: labelsFrom(plain as Readonly<Record<string, unknown>>) };
  });
}

function decodeKnown(bytes: Uint8Array): Wanted {
  return readable(() => {
    const reader = new ByteReader(bytes, 1);
    const requests = listFrom(parse(reader.bytes(reader.u32()))).map(samplesFrom);
    return { kind: 'samples', requests, known: requests.map(() => reader.bytes(reader.u32())) };
  });
}

function parse(json: Uint8Array): unknown {
  return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
}

function readable<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (cause) {
    throw new TimbalaError('WANTED_INVALID', 'what a query wants can not be decoded', { cause });
  }
}

function samplesFrom(plain: unknown): WantedSamples {
  const [selectors, startMs, endMs] = listFrom(plain);
  const [matchers = []] = selectorsFromPlain(selectors);
  return { matchers, startMs: numberFrom(startMs), endMs: numberFrom(endMs) };
}

function labelsFrom(plain: Readonly<Record<string, unknown>>): WantedLabels {
  const { of, name, limit } = plain;
  if (!facets.includes(String(of)) || typeof name !== 'string') throw new TypeError('neither series, names nor values');
  return {
    of: of as WantedLabels['of'],
    name,
    selectors: selectorsFromPlain(plain['selectors']),
    startMs: numberFrom(plain['startMs']),
    endMs: numberFrom(plain['endMs']),
    limit: limit === undefined ? undefined : numberFrom(limit),
  };
}

function listFrom(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError('a list is expected');
  return value;
}

function numberFrom(value: unknown): number {
  if (typeof value !== 'number') throw new TypeError('a number is expected');
  return value;
}
