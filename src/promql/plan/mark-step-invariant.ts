// Optimizer rule: the largest subtrees that give the same value at every step (their selectors are pinned by `@`, and no
// function in them asks for the time) are wrapped, to be evaluated once. This is more than speed: Prometheus defines the value of
// such a tree by its first step, which shows in `topk(scalar(changing), pinned @ 0)`.
import { isRange, mapChildren, type PlanNode } from './plan-node.ts';

/** Functions whose value follows the time of evaluation even where their arguments don't. */
const timeDependent: ReadonlySet<string> = new Set([
  'days_in_month',
  'day_of_month',
  'day_of_week',
  'day_of_year',
  'hour',
  'minute',
  'month',
  'year',
  'predict_linear',
  'time',
  'timestamp',
]);

export function markStepInvariant(root: PlanNode): PlanNode {
  return wrapIfInvariant(root);
}

function wrapIfInvariant(node: PlanNode): PlanNode {
  // Range selectors are evaluated by the function around them, which heeds `@` itself; literals are constant already.
  if (node.kind === 'number' || node.kind === 'string' || node.kind === 'range-selector') return node;
  if (!isRange(node) && isInvariant(node)) {
    return { kind: 'step-invariant', expression: markInSubqueries(node), position: node.position };
  }
  return mapChildren(node, wrapIfInvariant);
}

/** Inside a subtree that runs once, a subquery still has many steps of its own. */
function markInSubqueries(node: PlanNode): PlanNode {
  if (node.kind === 'subquery') return { ...node, expression: wrapIfInvariant(node.expression) };
  return mapChildren(node, markInSubqueries);
}

function isInvariant(node: PlanNode): boolean {
  switch (node.kind) {
    case 'number':
    case 'string':
    case 'step-invariant':
      return true;
    case 'instant-selector':
    case 'range-selector':
    case 'subquery':
      return node.atMs !== undefined;
    case 'negation':
      return isInvariant(node.expression);
    case 'aggregation':
      // The parameter does not count: see the head of this file.
      return isInvariant(node.expression);
    case 'binary':
      return isInvariant(node.left) && isInvariant(node.right);
    case 'call': {
      if (!node.arguments.every(isInvariant)) return false;
      const [argument] = node.arguments;
      // The timestamp of a pinned sample is as fixed as the sample.
      if (node.function === 'timestamp') return argument?.kind === 'instant-selector';
      return !timeDependent.has(node.function);
    }
  }
}
