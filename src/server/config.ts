// What a node is started with, checked. The command line and the environment give text by option name; tests may give the
// same.
import type { z } from 'zod';
import { TimbalaError } from '../base/index.ts';
import { type HostPort, type OptionName, optionNames, options, type RetentionOption } from './options.ts';

export interface NodeConfig {
  readonly dataDirectory: string;
  readonly httpBind: HostPort;
  /** The `instance` label of the node's own metrics. */
  readonly httpAdvertise: HostPort;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  readonly retention: RetentionOption;
  /** What was given, as it was given, defaults left out: for /api/v1/status/flags. */
  readonly given: Readonly<Partial<Record<OptionName, string>>>;
}

/**
 * Throws OPTION_INVALID, naming the first bad option. `hostName` stands for this machine where no address to advertise is
 * given and every interface is bound.
 */
export function parseConfig(given: Readonly<Partial<Record<OptionName, string>>>, hostName: string): NodeConfig {
  const parse = <Name extends OptionName>(name: Name): z.output<(typeof options)[Name]['schema']> => {
    const { schema, defaultText } = options[name];
    const text = given[name] ?? defaultText;
    const parsed = schema.safeParse(text);
    if (!parsed.success) {
      const reason = parsed.error.issues[0]?.message ?? 'invalid';
      throw new TimbalaError('OPTION_INVALID', `--${name} ${JSON.stringify(text)}: ${reason}`);
    }
    return parsed.data as z.output<(typeof options)[Name]['schema']>;
  };
  // All are checked, also those that a single node does not use: a mistake should not wait for the cluster to show.
  for (const name of optionNames) parse(name);
  const httpBind = parse('http-bind-addr');
  return {
    dataDirectory: parse('data-directory'),
    httpBind,
    httpAdvertise: parse('http-advertise-addr') ?? { host: httpBind.host || hostName, port: httpBind.port },
    logLevel: parse('log-level'),
    retention: parse('retention'),
    given,
  };
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
