// From the command line and the environment to the text of options. What is on the command line beats the environment.
// An unknown option is refused with the nearest name; of the environment only near misses are told, because others
// (Kubernetes, for one) set variables with our prefix too.
import { TimbalaError } from '../base/index.ts';
import { environmentName, type OptionName, optionNames, options } from '../server/index.ts';

export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | ClusterCommand
  | {
      readonly kind: 'serve';
      readonly given: Readonly<Partial<Record<OptionName, string>>>;
      /** Variables that look like misspelt options. */
      readonly doubtfulVariables: readonly string[];
    };

/** What an operator asks of a running node. */
export interface ClusterCommand {
  readonly kind: 'cluster';
  readonly action: (typeof clusterActions)[number];
  /** The node to remove. */
  readonly node: string;
  /** HOST:PORT of the node that is asked. */
  readonly httpAddress: string;
  readonly isForced: boolean;
}

const clusterActions = ['status', 'decommission', 'remove'] as const;
const clusterUsage = 'timbala cluster status|decommission|remove NODE [--http-addr=HOST:PORT] [--force]';

/** Throws COMMAND_INVALID. */
function parseClusterCommand(argv: readonly string[]): ClusterCommand | { readonly kind: 'help' } {
  const [actionText, ...rest] = argv;
  const words: string[] = [];
  let httpAddress = 'localhost:9080';
  let isForced = false;
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    const address = /^--http-addr(?:=(.*))?$/.exec(argument);
    if (argument === '--help' || argument === '-h') return { kind: 'help' };
    if (argument === '--force') isForced = true;
    else if (address) httpAddress = address[1] ?? rest.shift() ?? '';
    else words.push(argument);
  }
  if (actionText === '--help' || actionText === '-h') return { kind: 'help' };
  const action = clusterActions.find((each) => each === actionText);
  const [node = ''] = words;
  const wordsCount = action === 'remove' ? 1 : 0;
  const isWrong = words.length !== wordsCount || node.startsWith('-') || httpAddress === '';
  if (!action || isWrong || (isForced && action !== 'decommission')) {
    throw new TimbalaError('COMMAND_INVALID', `${argv.join(' ')}; expected ${clusterUsage}`);
  }
  return { kind: 'cluster', action, node, httpAddress, isForced };
}

/** Throws OPTION_UNKNOWN, OPTION_INCOMPLETE, ARGUMENT_UNEXPECTED, COMMAND_INVALID. */
export function parseArguments(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Command {
  if (argv[0] === 'cluster') return parseClusterCommand(argv.slice(1));
  const given: Partial<Record<OptionName, string>> = {};
  for (const name of optionNames) {
    const value = environment[environmentName(name)];
    if (value !== undefined) given[name] = value;
  }
  const rest = [...argv];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (argument === '--help' || argument === '-h') return { kind: 'help' };
    if (argument === '--version') return { kind: 'version' };
    const match = /^--?([^=]+)(?:=(.*))?$/s.exec(argument);
    if (!match) throw new TimbalaError('ARGUMENT_UNEXPECTED', `${argument}; options begin with --, see --help`);
    const name = optionNamed(match[1] ?? '');
    const value = match[2] ?? rest.shift();
    if (value === undefined) {
      throw new TimbalaError('OPTION_INCOMPLETE', `--${name} needs a value: --${name}=${options[name].placeholder}`);
    }
    given[name] = value;
  }
  return { kind: 'serve', given, doubtfulVariables: doubtfulVariables(environment) };
}

function optionNamed(text: string): OptionName {
  const name = optionNames.find((each) => each === text);
  if (name !== undefined) return name;
  const nearest = nearestOf(text, [...optionNames, 'help', 'version']);
  throw new TimbalaError('OPTION_UNKNOWN', `--${text}; did you mean --${nearest.name}? See --help`);
}

function doubtfulVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  const names = optionNames.map(environmentName);
  return Object.keys(environment).filter((variable) => {
    if (!variable.startsWith('TIMBALA_') || names.includes(variable)) return false;
    return nearestOf(variable, names).distance <= 2;
  });
}

function nearestOf(text: string, names: readonly string[]): { name: string; distance: number } {
  let nearest = { name: '', distance: Infinity };
  for (const name of names) {
    const distance = editDistance(text, name);
    if (distance < nearest.distance) nearest = { name, distance };
  }
  return nearest;
}

/** Levenshtein's distance: insertions, deletions and replacements of characters. */
export function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const current = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      current.push(Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, replaced));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}

export function helpText(): string {
  const rows = optionNames.map((name) => {
    const { placeholder, help, defaultText } = options[name];
    const byDefault = defaultText === '' ? '' : ` (default: ${defaultText})`;
    return `  --${name}=${placeholder}\n      ${help}${byDefault}\n`;
  });
  return [
    'Usage: timbala [options]\n',
    `       ${clusterUsage}\n\n`,
    'Runs a node: stores what Prometheus writes to it, and answers PromQL.\n\nOptions\n',
    ...rows,
    '  --help\n      shows this text\n  --version\n      shows the version\n\n',
    'Each option can also be set by an environment variable: --data-directory by TIMBALA_DATA_DIRECTORY.\n\n',
    'The cluster commands ask a running node, by default the one at localhost:9080:\n',
    '  status        who belongs to the cluster, what is under way, and what waits for whom\n',
    '  decommission  lets the node that is asked hand over what it holds and leave; below three copies only with --force\n',
    '  remove NODE   gives up a node that will not come back\n',
  ].join('');
}
