// A client of the Prometheus HTTP API for tests: the same for our node and for a real Prometheus, so that a test compares
// what users would see. Sample values stay text: text is what is compared.

export type Sample = readonly [timestampSeconds: number, value: string];

export interface VectorEntry {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: Sample;
}

export interface MatrixEntry {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly Sample[];
}

export type QueryData =
  | { readonly resultType: 'vector'; readonly result: readonly VectorEntry[] }
  | { readonly resultType: 'matrix'; readonly result: readonly MatrixEntry[] }
  | { readonly resultType: 'scalar' | 'string'; readonly result: Sample };

export interface ApiAnswer<Data> {
  /** The HTTP status code. */
  readonly httpStatus: number;
  readonly status: 'success' | 'error';
  readonly data?: Data;
  readonly errorType?: string;
  readonly error?: string;
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}

export interface InstantQuery {
  readonly query: string;
  readonly lookbackDelta?: string;
  readonly timeMs: number;
}

export interface RangeQuery {
  readonly query: string;
  readonly lookbackDelta?: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
}

const seconds = (ms: number): string => (ms / 1000).toFixed(3);

export class PrometheusApi {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  /** Posts a form to an API path; an answer that is not the API's envelope is an error of the test. */
  async call<Data>(path: string, form: Readonly<Record<string, string>>): Promise<ApiAnswer<Data>> {
    const response = await fetch(`${this.url}/api/v1/${path}`, { method: 'POST', body: new URLSearchParams(form) });
    return await envelope(response, path);
  }

  /** An API path that takes no form. */
  async get<Data>(path: string, parameters: Readonly<Record<string, string>>): Promise<ApiAnswer<Data>> {
    const response = await fetch(`${this.url}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`);
    return await envelope(response, path);
  }

  query({ query, timeMs, lookbackDelta = '' }: InstantQuery): Promise<ApiAnswer<QueryData>> {
    return this.call('query', { query, time: seconds(timeMs), lookback_delta: lookbackDelta });
  }

  queryRange({ query, startMs, endMs, stepMs, lookbackDelta = '' }: RangeQuery): Promise<ApiAnswer<QueryData>> {
    return this.call('query_range', {
      query,
      start: seconds(startMs),
      end: seconds(endMs),
      step: seconds(stepMs),
      lookback_delta: lookbackDelta,
    });
  }

  /** The raw samples of a range vector selector like `x[5m]`. */
  async raw(query: string, timeMs: number): Promise<readonly MatrixEntry[]> {
    const answer = await this.query({ query, timeMs });
    if (answer.data?.resultType !== 'matrix') {
      throw new Error(`${this.url}: ${query} answered ${answer.errorType}: ${answer.error}, not a matrix`);
    }
    return answer.data.result;
  }
}

async function envelope<Data>(response: Response, path: string): Promise<ApiAnswer<Data>> {
  const text = await response.text();
  try {
    return { httpStatus: response.status, ...(JSON.parse(text) as Omit<ApiAnswer<Data>, 'httpStatus'>) };
  } catch (cause) {
    throw new Error(`${path} was answered by ${response.status}: ${text.slice(0, 500)}`, { cause });
  }
}

/** A text that is equal exactly for equal label sets. */
export function metricKey(metric: Readonly<Record<string, string>>): string {
  const names = Object.keys(metric).sort();
  return JSON.stringify(names.map((name) => [name, metric[name]]));
}
