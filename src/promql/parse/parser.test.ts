// The parser against Prometheus's own answers (test/golden/promql/README.md), the shape of trees, and hostile input.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Expression,
  expressionToString,
  formatExpression,
  formatPosition,
  parseExpression,
  parseMetric,
  parseSelector,
  resolveDurations,
  toParseQueryJson,
  typeOf,
} from './index.ts';

interface Golden {
  query: string;
  error?: string;
  text?: string;
  formatted?: string;
}

const goldenFile = new URL('../../../test/golden/promql/parser.jsonl', import.meta.url);
const golden = readFileSync(goldenFile, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Golden);

function errorOf(run: () => unknown): { message: string; code: unknown } {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error, String(error));
    return { message: error.message, code: error.code };
  }
  return { message: '', code: undefined };
}

test('errors have Prometheus’s texts and positions', () => {
  for (const { query, error = '' } of golden) {
    const { message, code } = errorOf(() => parseExpression(query));
    if (code !== 'PROMQL_NOT_SUPPORTED') assert.equal(message, error, query);
  }
});

test('trees print as in Prometheus, on one line and over several', () => {
  let printedCount = 0;
  for (const { query, text, formatted } of golden) {
    if (text === undefined) continue;
    const expression = parseExpression(query);
    assert.equal(expressionToString(expression), text, query);
    assert.equal(formatExpression(expression), formatted ?? text, query);
    printedCount++;
  }
  assert.ok(printedCount > 100);
});

test('what is printed parses to what was printed', () => {
  for (const { text, formatted = '' } of golden) {
    if (text === undefined) continue;
    assert.equal(expressionToString(parseExpression(text)), text);
    if (formatted) assert.equal(formatExpression(parseExpression(formatted)), formatted);
  }
});

/** A tree with all its parentheses. */
function shape(expression: Expression): string {
  switch (expression.kind) {
    case 'binary':
      return `(${shape(expression.left)} ${expression.operator} ${shape(expression.right)})`;
    case 'unary':
      return `(${expression.operator}${shape(expression.expression)})`;
    case 'parentheses':
      return shape(expression.expression);
    default:
      return expressionToString(expression);
  }
}

test('operators bind as in Prometheus', () => {
  const shapes: [string, string][] = [
    ['a + b * c ^ d', '(a + (b * (c ^ d)))'],
    ['a - b - c', '((a - b) - c)'],
    ['2 ^ 3 ^ 4', '(2 ^ (3 ^ 4))'],
    ['-1 ^ 2', '(-(1 ^ 2))'],
    ['-a * b', '((-a) * b)'],
    ['-a ^ b * c', '((-(a ^ b)) * c)'],
    ['2 ^ -a ^ b', '(2 ^ (-(a ^ b)))'],
    ['a or b and c unless d', '(a or ((b and c) unless d))'],
    ['a == b + c > d', '((a == (b + c)) > d)'],
    ['a atan2 b % c', '((a atan2 b) % c)'],
    ['-a offset 5m', '(-a offset 5m)'],
    ['a + rate(b[5m:] offset 1m)', '(a + rate(b[5m:] offset 1m))'],
  ];
  for (const [query, wanted] of shapes) {
    assert.equal(shape(parseExpression(query)), wanted, query);
  }
});

test('literals have Go’s values', () => {
  const values: [string, unknown][] = [
    ['0x1F', 31],
    ['010', 8],
    ['1_000', 1000],
    ['-.5e1', -5],
    ['1h30m', 5400],
    ['-5m', -300],
    ['+Inf', Infinity],
    [String.raw`"a\n\x41\u00e9\101'"`, "a\nAéA'"],
    [String.raw`'\'"\U0001F600'`, '\'"😀'],
    ['`raw \\n`', 'raw \\n'],
    [String.raw`"\xc3\xa9"`, 'é'],
  ];
  for (const [query, wanted] of values) {
    const expression = parseExpression(query);
    assert.ok(expression.kind === 'number' || expression.kind === 'string');
    assert.deepEqual(expression.value, wanted, query);
  }
});

test('selectors keep names, matchers, times and positions', () => {
  const query = 'sum(up{a="b", "my label"!~"x|y"} @ 1.5 offset -1m) + {"my.metric"}';
  const sum = parseExpression(query);
  assert.ok(sum.kind === 'binary' && sum.left.kind === 'aggregation' && sum.right.kind === 'vector-selector');
  const up = sum.left.expression;
  assert.ok(up.kind === 'vector-selector');
  assert.equal(up.name, 'up');
  assert.deepEqual(
    up.matchers.map((matcher) => [matcher.name, matcher.operator, matcher.value]),
    [
      ['a', '=', 'b'],
      ['my label', '!~', 'x|y'],
      ['__name__', '=', 'up'],
    ],
  );
  assert.deepEqual(up.at, { at: 'time', timeMs: 1500 });
  assert.equal(up.offsetMs, -60_000);
  assert.equal(query.slice(up.position.start, up.position.end), 'up{a="b", "my label"!~"x|y"} @ 1.5 offset -1m');
  assert.equal(sum.right.name, '');
  assert.equal(sum.right.matchers[0]?.value, 'my.metric');
});

test('matching is present exactly between vectors', () => {
  const matchingOf = (query: string): unknown => {
    const expression = parseExpression(query);
    return expression.kind === 'binary' ? expression.matching : assert.fail(query);
  };
  assert.equal(matchingOf('1 + 2'), undefined);
  assert.equal(matchingOf('a + 2'), undefined);
  assert.deepEqual(matchingOf('a and b'), { cardinality: 'many-to-many', on: false, labels: [], include: [] });
  assert.deepEqual(matchingOf('a * on (x) group_left (y) b'), {
    cardinality: 'many-to-one',
    on: true,
    labels: ['x'],
    include: ['y'],
  });
});

test('types follow from operators and functions', () => {
  const types: [string, string][] = [
    ['1 + 2', 'scalar'],
    ['1 + a', 'vector'],
    ['a[5m]', 'matrix'],
    ['a[5m:]', 'matrix'],
    ['"a"', 'string'],
    ['-(time())', 'scalar'],
    ['scalar(a)', 'scalar'],
  ];
  for (const [query, wanted] of types) assert.equal(typeOf(parseExpression(query)), wanted, query);
});

test('what is known but not evaluated is refused by name', () => {
  const queries: [string, string][] = [
    ['info(up)', '1:1: function info() is'],
    ['histogram_sum(up)', '1:1: function histogram_sum() is'],
    ['a + fill (0) b', '1:5: modifier fill is'],
    ['rate(a[5m] smoothed)', '1:12: modifier smoothed is'],
    ['a </ 5', '1:3: operator </ (trimming of native histograms) is'],
  ];
  for (const [query, what] of queries) {
    const { message, code } = errorOf(() => parseExpression(query));
    assert.equal(code, 'PROMQL_NOT_SUPPORTED');
    assert.ok(message.includes(what), message);
  }
});

test('columns count bytes of UTF-8, lines begin at 1', () => {
  assert.equal(formatPosition('é + 1', 2), '1:4');
  assert.equal(formatPosition('a\n+ b', 4), '2:3');
  assert.equal(
    errorOf(() => parseExpression('"é" +\n  )')).message,
    "2:4: parse error: unexpected right parenthesis ')'",
  );
});

test('a selector and a metric are parsed on their own', () => {
  assert.equal(parseSelector('up{a="b"}').length, 2);
  assert.equal(parseSelector('{}').length, 0);
  assert.equal(errorOf(() => parseSelector('up offset 5m')).message, '1:4: parse error: unexpected <offset>');
  assert.deepEqual(parseMetric('up{a="b", "c.d"=\'e\'}').toObject(), { __name__: 'up', a: 'b', 'c.d': 'e' });
  assert.equal(parseMetric('{"a metric"}').metricName, 'a metric');
  assert.equal(
    errorOf(() => parseMetric('up{a}')).message,
    '1:5: parse error: unexpected "}" in label set, expected "="',
  );
});

test('duration expressions are worked out from the query’s step and range', () => {
  const resolved = (query: string): string => {
    const timing = { stepMs: 15_000, rangeMs: 3_600_000 };
    return expressionToString(resolveDurations(parseExpression(query), timing));
  };
  assert.equal(resolved('rate(a[5m + 30s])'), 'rate(a[5m30s])');
  assert.equal(resolved('a[step() * 4:step()] offset -(range() / 2)'), 'a[1m:15s] offset -30m');
  assert.equal(resolved('a[max_of(1m, min_of(2 ^ 3 ^ 0, 5m)) % 45s]'), 'a[15s]');
  assert.equal(resolved('topk(2, -(sum(a offset (2 * 1m)))) + 1'), 'topk(2, -(sum(a offset 2m))) + 1');
  assert.equal(resolved('(rate(a[5m] offset (30s)) + 1)[range():]'), '(rate(a[5m] offset 30s) + 1)[1h:]');
  assert.equal(resolved('(a offset (1s))[5m:] @ 5'), '(a offset 1s)[5m:] @ 5.000');
  const plain = parseExpression('topk(2, -(sum(rate(a[5m] offset 1m)))) / max_over_time(b[1h:])');
  assert.equal(resolveDurations(plain, { stepMs: 0, rangeMs: 0 }), plain);
  assert.equal(errorOf(() => resolved('a[1m - 5m]')).message, 'PROMQL_DURATION: 2:9: duration must be greater than 0');
  assert.equal(errorOf(() => resolved('a[5m / (1 - 1)]')).code, 'PROMQL_DURATION');
});

test('parse_query’s tree has Prometheus’s fields', () => {
  assert.deepEqual(toParseQueryJson(parseExpression('topk by (x) (2, a offset 1m) > bool 1e9')), {
    type: 'binaryExpr',
    op: '>',
    lhs: {
      type: 'aggregation',
      op: 'topk',
      expr: {
        type: 'vectorSelector',
        name: 'a',
        offset: 60_000,
        offsetExpr: null,
        matchers: [{ name: '__name__', value: 'a', type: '=' }],
        timestamp: null,
        startOrEnd: null,
        anchored: false,
        smoothed: false,
      },
      param: { type: 'numberLiteral', val: '2' },
      grouping: ['x'],
      without: false,
    },
    rhs: { type: 'numberLiteral', val: '1000000000' },
    matching: null,
    bool: true,
  });
});

test('parse_query’s tree has a node for everything', () => {
  const query = 'label_join(-(rate(a[5m:step()] @ 5 offset (1m))), "b", "") + on (c) group_right (d) e[1m + 2m]';
  const tree = JSON.stringify(
    toParseQueryJson(parseExpression(query.replace('e[1m + 2m]', 'deriv(e[1m + 2m] @ end())'))),
  );
  for (const type of 'binaryExpr call unaryExpr parenExpr subquery matrixSelector vectorSelector stringLiteral'.split(
    ' ',
  )) {
    assert.ok(tree.includes(`"type":"${type}"`), type);
  }
  for (const part of [
    '"stepExpr":{"type":"durationExpr","op":"step","lhs":null,"rhs":null,"wrapped":false},"timestamp":5000',
    '"offsetExpr":{"type":"durationExpr","op":"+","lhs":null,"rhs":{"type":"numberLiteral","val":"60","duration":true},"wrapped":true}',
    '"matching":{"card":"one-to-many","labels":["c"],"on":true,"include":["d"],"fillValues":{"lhs":null,"rhs":null}}',
    '"startOrEnd":"end"',
    '"func":{"name":"label_join","argTypes":["vector","string","string","string"],"variadic":-1,"returnType":"vector"}',
  ]) {
    assert.ok(tree.includes(part), `${part} in ${tree}`);
  }
});

test('any text gives a tree or a typed error', () => {
  const pieces =
    'sum rate by ( ) [ ] { } , + - ^ == and on bool offset @ 5m 1e3 "s" \' ` a:b é # \n : =~ ! step()'.split(' ');
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fc.constantFrom(...pieces)).map((parts) => parts.join(' ')),
  );
  fc.assert(
    fc.property(text, (query) => {
      errorOf(() => parseExpression(query));
      errorOf(() => parseSelector(query));
      errorOf(() => parseMetric(query));
    }),
    { numRuns: 2000 },
  );
});

test('depth and length are limited, and nothing runs out of stack below the limits', () => {
  const deep = [
    '('.repeat(1e5),
    '-'.repeat(1e5),
    'abs('.repeat(1e5),
    'a+'.repeat(1e5),
    `a[${'('.repeat(1e5)}`,
    '1^'.repeat(1e5),
  ];
  for (const query of [...deep, `a[${'1+'.repeat(1e5)}1]`, `1${' offset 1m'.repeat(1e5)}`]) {
    const { code } = errorOf(() => parseExpression(query));
    assert.ok(code === 'PROMQL_TOO_DEEP' || code === 'PROMQL_PARSE', `${query.slice(0, 10)}: ${String(code)}`);
  }
  assert.equal(errorOf(() => parseExpression(' '.repeat(1 << 21))).code, 'PROMQL_TOO_LONG');
  const nested = `${'abs('.repeat(990)}a${')'.repeat(990)}`;
  assert.equal(expressionToString(parseExpression(nested)), nested);
  const chain = Array.from({ length: 990 }, () => 'a').join(' or ');
  const expression = parseExpression(chain);
  assert.equal(expressionToString(expression), chain);
  assert.ok(formatExpression(expression).length > chain.length);
  assert.equal(resolveDurations(expression, { stepMs: 0, rangeMs: 0 }), expression);
  // Every argument on a line of its own, a thousand levels deep.
  const wide = `${'abs('.repeat(900)}label_join(a${',"b"'.repeat(2e4)})${')'.repeat(900)}`;
  assert.equal(errorOf(() => formatExpression(parseExpression(wide))).code, 'PROMQL_TOO_LONG');
});
