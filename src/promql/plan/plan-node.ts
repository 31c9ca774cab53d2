// The plan: a typed tree like the syntax tree, with parentheses gone, `@ start()` and `@ end()` resolved to times, default
// steps filled in, and one node that the syntax lacks (step-invariant). Optimizer rules map plan to plan; nodes are immutable.
import type { Matcher } from '../../model/index.ts';
import type { AggregationOperator, BinaryOperator, Position, ValueType, VectorMatching } from '../parse/ast.ts';
import { functionSignatures } from '../functions/index.ts';
import type { Reference } from './grid.ts';

export type PlanNode =
  | NumberNode
  | StringNode
  | InstantSelectorNode
  | RangeNode
  | UnaryNode
  | BinaryNode
  | AggregationNode
  | CallNode
  | StepInvariantNode;

/** What gives range vectors. */
export type RangeNode = RangeSelectorNode | SubqueryNode;

interface Node {
  /** Of the expression in the query text, for annotations. */
  readonly position: Position;
}

export interface NumberNode extends Node {
  readonly kind: 'number';
  readonly value: number;
}

export interface StringNode extends Node {
  readonly kind: 'string';
  readonly value: string;
}

export interface InstantSelectorNode extends Node, Reference {
  readonly kind: 'instant-selector';
  readonly matchers: readonly Matcher[];
}

export interface RangeSelectorNode extends Node, Reference {
  readonly kind: 'range-selector';
  readonly matchers: readonly Matcher[];
  readonly rangeMs: number;
}

export interface SubqueryNode extends Node, Reference {
  readonly kind: 'subquery';
  readonly expression: PlanNode;
  readonly rangeMs: number;
  readonly stepMs: number;
}

/** Negation; unary plus is gone. */
export interface UnaryNode extends Node {
  readonly kind: 'negation';
  readonly expression: PlanNode;
}

export interface BinaryNode extends Node {
  readonly kind: 'binary';
  readonly operator: BinaryOperator;
  readonly left: PlanNode;
  readonly right: PlanNode;
  readonly returnsBool: boolean;
  readonly matching: VectorMatching | undefined;
}

export interface AggregationNode extends Node {
  readonly kind: 'aggregation';
  readonly operator: AggregationOperator;
  readonly expression: PlanNode;
  readonly parameter: PlanNode | undefined;
  readonly grouping: readonly string[];
  readonly without: boolean;
}

export interface CallNode extends Node {
  readonly kind: 'call';
  readonly function: string;
  readonly arguments: readonly PlanNode[];
}

/** A subtree whose value is the same at every step: it is evaluated at the first one and repeated. */
export interface StepInvariantNode extends Node {
  readonly kind: 'step-invariant';
  readonly expression: PlanNode;
}

export function planType(node: PlanNode): ValueType {
  switch (node.kind) {
    case 'number':
      return 'scalar';
    case 'string':
      return 'string';
    case 'instant-selector':
    case 'aggregation':
      return 'vector';
    case 'range-selector':
    case 'subquery':
      return 'matrix';
    case 'negation':
    case 'step-invariant':
      return planType(node.expression);
    case 'binary':
      return planType(node.left) === 'scalar' && planType(node.right) === 'scalar' ? 'scalar' : 'vector';
    case 'call':
      return functionSignatures.get(node.function)?.returnType ?? 'vector';
  }
}

export function isRange(node: PlanNode): node is RangeNode {
  return node.kind === 'range-selector' || node.kind === 'subquery';
}

/** The node with every child replaced; the same node where no child changed. */
export function mapChildren(node: PlanNode, map: (child: PlanNode) => PlanNode): PlanNode {
  switch (node.kind) {
    case 'number':
    case 'string':
    case 'instant-selector':
    case 'range-selector':
      return node;
    case 'subquery':
    case 'negation':
    case 'step-invariant': {
      const expression = map(node.expression);
      return expression === node.expression ? node : { ...node, expression };
    }
    case 'binary': {
      const left = map(node.left);
      const right = map(node.right);
      return left === node.left && right === node.right ? node : { ...node, left, right };
    }
    case 'aggregation': {
      const expression = map(node.expression);
      const parameter = node.parameter && map(node.parameter);
      if (expression === node.expression && parameter === node.parameter) return node;
      return { ...node, expression, parameter };
    }
    case 'call': {
      const mapped = node.arguments.map(map);
      return mapped.every((child, i) => child === node.arguments[i]) ? node : { ...node, arguments: mapped };
    }
  }
}
