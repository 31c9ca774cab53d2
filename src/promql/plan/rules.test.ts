// What each optimizer rule makes of a query, shown by a short form of the plan.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseExpression } from '../parse/index.ts';
import { foldConstants } from './fold-constants.ts';
import { Grid } from './grid.ts';
import { markStepInvariant } from './mark-step-invariant.ts';
import type { PlanNode } from './plan-node.ts';
import { resolve } from './resolve.ts';
import { collectSelectors } from './selectors.ts';

const times = { startMs: 1000, endMs: 5000, stepMs: 500, subqueryStepMs: 60_000 };
const planOf = (text: string): PlanNode => resolve(parseExpression(text), times);

/** `#(…)` is step-invariant; selectors are their matchers. */
function shown(node: PlanNode): string {
  switch (node.kind) {
    case 'number':
      return String(node.value);
    case 'string':
      return JSON.stringify(node.value);
    case 'instant-selector':
      return `${node.matchers.map((each) => each.value).join()}${node.atMs === undefined ? '' : `@${node.atMs}`}`;
    case 'range-selector':
      return `${node.matchers.map((each) => each.value).join()}[${node.rangeMs}]${node.atMs === undefined ? '' : `@${node.atMs}`}`;
    case 'subquery':
      return `${shown(node.expression)}[${node.rangeMs}:${node.stepMs}]${node.atMs === undefined ? '' : `@${node.atMs}`}`;
    case 'negation':
      return `-${shown(node.expression)}`;
    case 'binary':
      return `(${shown(node.left)} ${node.operator} ${shown(node.right)})`;
    case 'aggregation':
      return `${node.operator}(${[...(node.parameter ? [node.parameter] : []), node.expression].map(shown).join(', ')})`;
    case 'call':
      return `${node.function}(${node.arguments.map(shown).join(', ')})`;
    case 'step-invariant':
      return `#(${shown(node.expression)})`;
  }
}

function check(rule: (node: PlanNode) => PlanNode, cases: Readonly<Record<string, string>>): void {
  for (const [text, expected] of Object.entries(cases)) assert.equal(shown(rule(planOf(text))), expected, text);
}

test('resolving takes the times of the query into the plan', () => {
  check((node) => node, {
    '(x @ start()) + (x @ end())': '(x@1000 + x@5000)',
    'x @ 3': 'x@3000',
    'max_over_time(x[1m:])': 'max_over_time(x[60000:60000])',
    '+x': 'x',
    'vector(start()) + end() - range() * step()': '((vector(1) + 5) - (4 * 0.5))',
  });
});

test('constants fold, and nothing else does', () => {
  check(foldConstants, {
    'x * (1 + 2 * 3)': '(x * 7)',
    'x > bool (2 > bool 1)': '(x > 1)',
    '-(2 ^ 3)': '-8',
    'pi() * 0': '0',
    'time() + (1 + 1)': '(time() + 2)',
    '1 + x + 2': '((1 + x) + 2)',
    'quantile(1 / 2, x)': 'quantile(0.5, x)',
  });
});

test('the largest pinned subtrees are step-invariant', () => {
  check(markStepInvariant, {
    'x @ 1': '#(x@1000)',
    'rate(x[1m] @ 1) + y': '(#(rate(x[60000]@1000)) + y)',
    'sum(x @ 1) / 2': '#((sum(x@1000) / 2))',
    'x + time()': '(x + time())',
    'vector(1)': '#(vector(1))',
    'timestamp(x @ 1)': '#(timestamp(x@1000))',
    'timestamp(abs(x @ 1))': 'timestamp(#(abs(x@1000)))',
    'predict_linear(x[1m] @ 1, 5)': 'predict_linear(x[60000]@1000, 5)',
    'topk(scalar(y), x @ 1)': '#(topk(scalar(y), x@1000))',
    'max_over_time((x @ 1)[1m:10s])': 'max_over_time(#(x@1000)[60000:10000])',
    'max_over_time((x @ 1)[1m:10s] @ 2)': '#(max_over_time(#(x@1000)[60000:10000]@2000))',
    'label_replace(x @ 1, "a", "b", "c", "d")': '#(label_replace(x@1000, "a", "b", "c", "d"))',
  });
});

test('selectors ask for exactly the samples that their steps can see', () => {
  const requestsOf = (text: string): (readonly [string, number, number])[] =>
    collectSelectors(planOf(text), new Grid(1_000_000, 1_600_000, 60_000), 300_000).requests.map(
      ({ matchers, startMs, endMs }) => [matchers.map(String).join(), startMs, endMs],
    );
  assert.deepEqual(requestsOf('x'), [['__name__="x"', 700_001, 1_600_000]]);
  assert.deepEqual(requestsOf('x offset 1m'), [['__name__="x"', 640_001, 1_540_000]]);
  assert.deepEqual(requestsOf('x offset -1m'), [['__name__="x"', 760_001, 1_660_000]]);
  assert.deepEqual(requestsOf('rate(x[10m])'), [['__name__="x"', 400_001, 1_600_000]]);
  assert.deepEqual(requestsOf('rate(x[10m] @ 500)'), [['__name__="x"', -99_999, 500_000]]);
  // The subquery's first step is the first multiple of 7 s after 700 s, which is one itself.
  assert.deepEqual(requestsOf('max_over_time(x[5m:7s])'), [['__name__="x"', 707_000 - 300_000 + 1, 1_596_000]]);
});

test('equal selectors are asked for once', () => {
  const planned = planOf('rate(x[5m]) / on () rate(x[5m]) + rate(x[5m] offset 1m)');
  const { requests, indexOf } = collectSelectors(planned, Grid.instant(1), 1);
  assert.equal(requests.length, 2);
  assert.deepEqual([...indexOf.values()], [0, 0, 1]);
});
