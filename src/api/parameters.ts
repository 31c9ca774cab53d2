// The parameters of an API call: the query string, and for POST the form in the body, whose values come first.
import { ApiError, invalidParameter } from './errors.ts';

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
