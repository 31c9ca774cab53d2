// A second opinion: the grammar of Prometheus's own editor (@prometheus-io/lezer-promql) must accept the programs that we accept
// and refuse those that we call ungrammatical. It checks no types, no strings and no numbers; the other differences are listed.
// Also every expression of Prometheus's test scripts, where they lie beside the repository.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { parser as lezer } from '@prometheus-io/lezer-promql';
import fc from 'fast-check';
import { parseExpression, PromqlParseError } from './index.ts';

function lezerAccepts(query: string): boolean {
  let hasError = false;
  lezer.parse(query).iterate({
    enter: (node) => {
      if (node.type.isError) hasError = true;
    },
  });
  return !hasError;
}

/** Undefined where the query is accepted; null where it is refused as not supported. */
function ourError(query: string): string | undefined | null {
  try {
    parseExpression(query);
    return undefined;
  } catch (error) {
    return error instanceof PromqlParseError ? error.reason : null;
  }
}

const oneOf = (...values: string[]): fc.Arbitrary<string> => fc.constantFrom(...values);

const labelName = oneOf('job', 'instance', 'by', 'on', 'sum', '"a label"');
const matcher = oneOf('a="b"', `c!='d'`, 'e=~"f.*"', 'g!~`h`', '"x.y"="z"');
const matcherList = fc.array(matcher, { maxLength: 3 }).map((list) => `{${['z="not empty"', ...list].join(', ')}}`);
const duration = oneOf('5m', '1h30m', '90', '0x1F', '1d', '500ms');
const timing = oneOf('', '', ' offset 5m', ' offset -1h', ' @ 100', ' @ start()', ' @ end() offset 1d');
const space = oneOf(' ', '\n', ' # comment\n');

interface Generated {
  scalar: string;
  vector: string;
  matrix: string;
  labels: string;
}

/** Well-typed programs of every construct that both grammars know. */
const { vector, scalar } = fc.letrec<Generated>((tie) => ({
  labels: fc.array(labelName, { maxLength: 3 }).map((names) => `(${names.join(', ')})`),
  scalar: fc.oneof(
    { depthSize: 'small' },
    oneOf('1', '-2.5', '1e3', 'Inf', 'NaN', '5m', 'time()', 'pi()', '0x1f'),
    fc
      .tuple(tie('scalar'), oneOf('+', '-', '*', '/', '%', '^', 'atan2'), tie('scalar'))
      .map((parts) => parts.join(' ')),
    fc.tuple(tie('scalar'), oneOf('==', '!=', '<', '>='), tie('scalar')).map(([a, op, b]) => `(${a} ${op} bool ${b})`),
    tie('scalar').map((inner) => `(${inner})`),
    tie('vector').map((inner) => `scalar(${inner})`),
  ),
  matrix: fc.oneof(
    { depthSize: 'small' },
    fc
      .tuple(oneOf('up', 'job:x:rate5m', 'sum'), matcherList, duration, timing)
      .map(([a, b, c, d]) => `${a}${b}[${c}]${d}`),
    fc
      .tuple(tie('vector'), duration, oneOf('', '1m', '15'), timing)
      .map(([inner, range, step, time]) => `(${inner})[${range}:${step}]${time}`),
  ),
  vector: fc.oneof(
    { depthSize: 'small' },
    fc
      .tuple(oneOf('up', 'a:b', 'by', 'and', 'rate'), fc.option(matcherList, { nil: '' }), timing)
      .map((all) => all.join('')),
    fc.tuple(matcherList, timing).map((all) => all.join('')),
    fc
      .tuple(oneOf('sum', 'AVG', 'count', 'group', 'stddev'), oneOf(' by ', ' without '), tie('labels'), tie('vector'))
      .map(([operator, word, labels, inner]) => `${operator}${word}${labels} (${inner})`),
    fc
      .tuple(oneOf('topk', 'quantile', 'limitk'), tie('scalar'), tie('vector'), tie('labels'))
      .map(([operator, parameter, inner, labels]) => `${operator}(${parameter}, ${inner}) by ${labels}`),
    tie('vector').map((inner) => `count_values("version", ${inner})`),
    fc
      .tuple(oneOf('rate', 'increase', 'avg_over_time', 'deriv', 'changes'), tie('matrix'))
      .map(([f, a]) => `${f}(${a})`),
    fc.tuple(tie('scalar'), tie('matrix')).map(([q, a]) => `quantile_over_time(${q}, ${a})`),
    fc.tuple(oneOf('abs', 'ln', 'sgn', 'round', 'hour'), tie('vector')).map(([f, a]) => `${f}(${a})`),
    fc.tuple(tie('vector'), tie('scalar'), tie('scalar')).map((all) => `clamp(${all.join(', ')})`),
    tie('vector').map((inner) => `label_replace(${inner}, "a", "$1", "b", "(.*)")`),
    fc
      .tuple(tie('vector'), space, oneOf('+', '*', '==', '> bool', 'and', 'unless', 'or'), space, tie('vector'))
      .map((all) => all.join('')),
    fc
      .tuple(tie('vector'), oneOf('+', '/', '!='), oneOf(' on ', ' ignoring '), tie('labels'), tie('vector'))
      .map(([a, operator, word, labels, b]) => `(${a}) ${operator}${word}${labels} group_left () (${b})`),
    fc.tuple(tie('scalar'), oneOf('-', '^', '<'), tie('vector')).map((all) => `(${all.join(' ')})`),
    tie('vector').map((inner) => `-${inner}`),
    tie('vector').map((inner) => `(${inner})`),
  ),
}));

test('programs of the common grammar are accepted by both', () => {
  fc.assert(
    fc.property(fc.oneof(vector, scalar), (query) => {
      assert.equal(ourError(query), undefined);
      assert.ok(lezerAccepts(query), 'refused by lezer-promql');
    }),
    { numRuns: 1000 },
  );
});

/** Shapes that lezer-promql refuses, or reads otherwise, although they are PromQL. */
const acceptedByUsAlone = [
  /\d\.(?!\d)/, // "5." is a number
  /0x_/i, // and so is "0x_1f"
  /\boffset\b/i, // a metric may be called so, and a number may follow without space
  /\b(?:min_of|max_of|step|range|start|end)\s*\(/i, // functions since 3.16
];

/** Errors of ours that are no matter of a context-free grammar, or that lezer-promql does not look for. */
const refusedByUsAlone = [
  /^expected /, // types and numbers of arguments
  /^(?:unary|binary|subquery|vector|set) /,
  /^(?:no|wrong number of) arguments/,
  /^(?:ranges|bool modifier|comparisons|vector matching) /,
  /^no (?:grouping|offset|@)/,
  /^(?:offset|@)/,
  /^(?:metric name|label|invalid label name|duration|timestamp|error parsing|unknown unit|not a valid duration)/,
  /^(?:division|modulo) by zero/,
  /escape sequence|unterminated|invalid UTF-8/,
  /^trailing commas/,
  /^bad number or duration syntax/, // "5moffset" is a duration and a word to lezer-promql
  /^unexpected character in duration expression: '#'/,
  /^unexpected (?:<without>|number ".*") in grouping opts/,
  /^unknown function/,
  /^unexpected "atan2"|^unexpected <op:atan2>|^unexpected identifier "(?:smoothed|anchored|fill\w*)"/,
];

const queries = readFileSync(new URL('../../../test/golden/promql/parser.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => (JSON.parse(line) as { query: string }).query);

test('ungrammatical programs are refused by both, but for the listed differences', () => {
  const splice = fc
    .tuple(fc.constantFrom(...queries), fc.constantFrom(...queries), fc.nat(), fc.nat())
    .map(([a, b, i, j]) => {
      const cut = i % (a.length + 1);
      return a.slice(0, cut) + b.slice(j % (b.length + 1));
    });
  fc.assert(
    fc.property(fc.oneof(fc.constantFrom(...queries), splice), (query) => {
      const error = ourError(query);
      if (error === null) return;
      const accepted = lezerAccepts(query);
      if (error === undefined) {
        const isListed = acceptedByUsAlone.some((pattern) => pattern.test(query));
        assert.ok(accepted || isListed, 'refused by lezer-promql alone');
      } else {
        const isListed = refusedByUsAlone.some((pattern) => pattern.test(error));
        assert.ok(!accepted || isListed, `refused by us alone: ${error}`);
      }
    }),
    { numRuns: 2000 },
  );
});

const scripts = fileURLToPath(new URL('../../../../shared/promqltest', import.meta.url));

test(
  'every expression of Prometheus’s test scripts parses, unless its case expects to fail',
  { skip: existsSync(scripts) ? false : `SKIPPED: no test scripts of Prometheus at ${scripts}` },
  () => {
    const command =
      /^\s*eval(_fail|_warn|_info|_ordered)?\s+(?:instant(?:\s+at\s+\S+)?|range\s+from\s+\S+\s+to\s+\S+\s+step\s+\S+)\s+(.*)$/;
    let parsedCount = 0;
    for (const name of readdirSync(scripts).filter((name) => name.endsWith('.test'))) {
      const lines = readFileSync(`${scripts}/${name}`, 'utf8').split('\n');
      for (const [index, line] of lines.entries()) {
        const [, kind, query = ''] = command.exec(line) ?? [];
        if (query === '') continue;
        parsedCount++;
        const error = ourError(query);
        const mayFail = kind === '_fail' || /^\s*expect fail/.test(lines[index + 1] ?? '');
        assert.ok(typeof error !== 'string' || mayFail, `${name}:${index + 1}: ${query}: ${String(error)}`);
      }
    }
    assert.ok(parsedCount > 1000);
  },
);
