// The parameters of an API call: the query string, and for POST the form in the body, whose values come first.
import { mib } from '../base/index.ts';
import type { HttpRequest } from '../ports/index.ts';
import { ApiError, invalidParameter } from './errors.ts';

/** Longest form in the body of a call; Go's own limit. */
const formBytesMax = 10 * mib;
/** Go's largest int; further ones are refused as Go does. */
const goIntMax = 2n ** 63n - 1n;

/** Go's form parser, and so Prometheus, drops pairs with a semicolon. */
const withoutSemicolons = (text: string): string =>
  text.includes(';')
    ? text
        .split('&')
        .filter((pair) => !pair.includes(';'))
        .join('&')
    : text;

export class Parameters {
  readonly #sources: readonly URLSearchParams[];

  /** Each text is application/x-www-form-urlencoded; of a parameter in several, the first source counts. */
  constructor(...texts: readonly string[]) {
    this.#sources = texts.map((text) => new URLSearchParams(withoutSemicolons(text)));
  }

  /** The first value, or '' where there is none: Prometheus does not tell the two apart. */
  get(name: string): string {
    for (const source of this.#sources) {
      const value = source.get(name);
      if (value !== null) return value;
    }
    return '';
  }

  all(name: string): string[] {
    return this.#sources.flatMap((source) => source.getAll(name));
  }

  /** `limit`: undefined where none is set (0 means none, too). */
  limit(): number | undefined {
    const text = this.get('limit');
    if (text === '') return undefined;
    if (!/^[+-]?\d+$/.test(text)) {
      throw invalidParameter('limit', `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
    }
    const limit = Number(text);
    if (BigInt(text.replace(/^[+-]/, '')) > goIntMax) {
      throw invalidParameter('limit', `strconv.Atoi: parsing ${JSON.stringify(text)}: value out of range`);
    }
    if (limit < 0) throw invalidParameter('limit', 'limit must be non-negative');
    return limit === 0 ? undefined : limit;
  }

  /** An integer of the status pages and metadata, or `fallback` where it is not set. */
  integer(name: string, fallback: number, errorText: string): number {
    const text = this.get(name);
    if (text === '') return fallback;
    if (!/^[+-]?\d+$/.test(text)) throw new ApiError('bad_data', errorText);
    return Number(text);
  }
}

/** Urlencoded texts of a call's parameters: the form in the body first, then the query string. */
export async function readParameterTexts(request: HttpRequest): Promise<string[]> {
  const isForm = request.header('content-type')?.startsWith('application/x-www-form-urlencoded');
  if (request.method !== 'POST' || !isForm) return [request.queryText];
  const form = await request.readBody(formBytesMax, (lengthBytes) => new Uint8Array(lengthBytes));
  return [new TextDecoder().decode(form), request.queryText];
}

export async function readParameters(request: HttpRequest): Promise<Parameters> {
  return new Parameters(...(await readParameterTexts(request)));
}
