import assert from 'node:assert/strict';
import { test } from 'node:test';
import { optionNames } from '../server/index.ts';
import { editDistance, helpText, parseArguments } from './arguments.ts';

test('options come from the command line, with = or a space, before the environment', () => {
  const command = parseArguments(['--retention', '5y', '--zone=a=b'], {
    TIMBALA_RETENTION: '1y',
    TIMBALA_DATA_DIRECTORY: '/d',
  });
  assert.deepEqual(command, {
    kind: 'serve',
    given: { retention: '5y', zone: 'a=b', 'data-directory': '/d' },
    doubtfulVariables: [],
  });
});

test('an unknown option is refused with the nearest name', () => {
  assert.throws(() => parseArguments(['--retenton=1y'], {}), /OPTION_UNKNOWN: --retenton; did you mean --retention\?/);
  assert.throws(() => parseArguments(['--data-dir', 'x'], {}), /did you mean --data-directory\?/);
  assert.throws(() => parseArguments(['--hlep'], {}), /did you mean --help\?/);
});

test('an option without a value and a bare argument are refused', () => {
  assert.throws(() => parseArguments(['--zone'], {}), /OPTION_INCOMPLETE: --zone needs a value: --zone=NAME/);
  assert.throws(() => parseArguments(['serve'], {}), /ARGUMENT_UNEXPECTED: serve/);
});

test('variables that look like misspelt options are named, others with the prefix are not', () => {
  const command = parseArguments([], { TIMBALA_RETENTON: '1y', TIMBALA_SERVICE_HOST: '10.0.0.1', PATH: '' });
  assert.deepEqual(command.kind === 'serve' && command.doubtfulVariables, ['TIMBALA_RETENTON']);
});

test('cluster commands name what to do, to whom, and whom to ask', () => {
  const parse = (text: string) => parseArguments(text.split(' '), {});
  assert.deepEqual(parse('cluster status'), {
    kind: 'cluster',
    action: 'status',
    node: '',
    httpAddress: 'localhost:9080',
    isForced: false,
  });
  assert.deepEqual(parse('cluster remove a:7946 --http-addr b:9080'), {
    kind: 'cluster',
    action: 'remove',
    node: 'a:7946',
    httpAddress: 'b:9080',
    isForced: false,
  });
  const forced = parse('cluster decommission --force --http-addr=b:1');
  assert.deepEqual(
    [forced.kind === 'cluster' && forced.isForced, forced.kind === 'cluster' && forced.httpAddress],
    [true, 'b:1'],
  );
  assert.equal(parse('cluster --help').kind, 'help');
  const wrong = [
    'cluster',
    'cluster stop',
    'cluster remove',
    'cluster status a',
    'cluster remove a --force',
    'cluster remove --frce',
  ];
  for (const text of wrong) assert.throws(() => parse(text), /COMMAND_INVALID: .*timbala cluster status\|/, text);
});

test('help and version are asked for anywhere', () => {
  assert.equal(parseArguments(['--zone=a', '-h'], {}).kind, 'help');
  assert.equal(parseArguments(['--version'], {}).kind, 'version');
});

test('the help names every option', () => {
  const text = helpText();
  for (const name of optionNames) assert.match(text, new RegExp(`--${name}=`));
});

test('edit distance', () => {
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.equal(editDistance('', 'abc'), 3);
});
