// What a query wants of the cluster, as bytes that the protocols carry as they are: a byte for the kind, then JSON. Kind 2 is
// a fragment of an aggregation, which PromQL encodes (docs/formats/fragments.md); other kinds belong to later versions.
import { TimbalaError } from '../../base/index.ts';
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
  | { readonly kind: 'samples'; readonly requests: readonly WantedSamples[] }
  | { readonly kind: 'labels'; readonly request: WantedLabels }
  /** `encoded`: all of the bytes. */
  | { readonly kind: 'fragment'; readonly encoded: Uint8Array };

const kinds = ['samples', 'labels', 'fragment'] as const;
const facets: readonly string[] = ['series', 'names', 'values'] satisfies WantedLabels['of'][];

export function encodeWanted(wanted: Exclude<Wanted, { kind: 'fragment' }>): Uint8Array<ArrayBuffer> {
  const plain =
    wanted.kind === 'samples'
      ? wanted.requests.map(({ matchers, startMs, endMs }) => [selectorsToPlain([matchers]), startMs, endMs])
      : { ...wanted.request, selectors: selectorsToPlain(wanted.request.selectors) };
  const json = new TextEncoder().encode(JSON.stringify(plain));
  const bytes = new Uint8Array(1 + json.length);
  bytes[0] = kinds.indexOf(wanted.kind);
  bytes.set(json, 1);
  return bytes;
}

/** Throws WANTED_INVALID. */
export function decodeWanted(bytes: Uint8Array): Wanted {
  const kind = kinds[bytes[0] ?? kinds.length];
  if (kind === undefined)
    throw new TimbalaError('WANTED_INVALID', `this version answers no questions of kind ${bytes[0]}`);
  if (kind === 'fragment') return { kind, encoded: bytes };
  try {
    const plain: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(1)));
    return kind === 'samples'
      ? { kind, requests: listFrom(plain).map(samplesFrom) }
      : { kind, request: labelsFrom(plain as Readonly<Record<string, unknown>>) };
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
