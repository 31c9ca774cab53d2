// From plan to operators. Making an operator may already evaluate parts of the query (aggregations, scalars), children first.
import { TimbalaError, unreachable } from '../../base/index.ts';
import type { VectorMatching } from '../parse/ast.ts';
import { type Grid, subqueryGrid } from '../plan/grid.ts';
import {
  type AggregationNode,
  type BinaryNode,
  type InstantSelectorNode,
  type PlanNode,
  planType,
  type RangeNode,
  type RangeSelectorNode,
} from '../plan/plan-node.ts';
import type { Selection } from '../queryable.ts';
import { aggregate, type FoldingOperator } from './aggregation.ts';
import { isSetOperator } from './binary-kernels.ts';
import { buildCall } from './build-call.ts';
import { evaluateScalar } from './build-scalar.ts';
import { countValues } from './count-values.ts';
import { executionError } from './errors.ts';
import { NegationOperator } from './float-function.ts';
import { InstantSelectorOperator } from './instant-selector.ts';
import { LimitRatioOperator } from './limit-ratio.ts';
import { type Evaluation, Row, RowsOperator, type VectorOperator } from './operator.ts';
import { type RangeSource, SelectorSource, SubquerySource } from './range-source.ts';
import { selectK } from './select-k.ts';
import { isLabelName, mergeDuplicates } from './series-naming.ts';
import { SetOperationOperator } from './set-operations.ts';
import { StepInvariantOperator } from './step-invariant.ts';
import { VectorMatchingOperator } from './vector-matching.ts';
import { VectorScalarOperator } from './vector-scalar.ts';

export interface BuildContext {
  /** The whole query. */
  readonly text: string;
  readonly evaluation: Evaluation;
  /** What the storage gave for a selector of the plan. */
  readonly selectionOf: (node: InstantSelectorNode | RangeSelectorNode) => Selection;
  /** What makes the operators of aggregations of which steps were evaluated by other nodes (fragments/stitch.ts). */
  readonly pushed: ReadonlyMap<AggregationNode, (context: BuildContext) => VectorOperator>;
}

/** No operator has more scratch rows, or as much in other columns, unless it counts them itself. */
const workingRowsMax = 2;

/** What a series takes beside its row: labels, names and keys, about. */
const seriesBytes = 256;

/** The operator of an expression that gives an instant vector. */
export function buildVector(node: PlanNode, grid: Grid, context: BuildContext): VectorOperator {
  const operator = buildUncounted(node, grid, context);
  context.evaluation.control.addBytes(seriesBytes * operator.series.length);
  return operator;
}

function buildUncounted(node: PlanNode, grid: Grid, context: BuildContext): VectorOperator {
  const { evaluation } = context;
  if (grid.stepsCount === 0) return new RowsOperator([], []);
  evaluation.control.check();
  // The rows that an operator works with. A subquery's grid may be so long that this is where it ends.
  evaluation.control.addBytes(workingRowsMax * Row.bytes(grid.stepsCount));
  switch (node.kind) {
    case 'instant-selector':
      return new InstantSelectorOperator(node, context.selectionOf(node), grid, evaluation);
    case 'step-invariant':
      return new StepInvariantOperator(buildVector(node.expression, grid.first(), context));
    case 'negation': {
      const input = buildVector(node.expression, grid, context);
      return mergeDuplicates(new NegationOperator(input, evaluation), grid.stepsCount);
    }
    case 'binary':
      return mergeDuplicates(buildBinary(node, grid, context), grid.stepsCount);
    case 'aggregation':
      return buildAggregation(node, grid, context);
    case 'call':
      return mergeDuplicates(buildCall(node, grid, context), grid.stepsCount);
    case 'number':
    case 'string':
    case 'range-selector':
    case 'subquery':
      throw new TimbalaError(
        'ASSERTION_FAILED',
        `${node.kind} is not an instant vector; the type check should have refused it`,
      );
    default:
      return unreachable(node);
  }
}

/** The samples of a range vector, for windows that end at the steps of `grid`. */
export function buildRange(node: RangeNode, grid: Grid, context: BuildContext): RangeSource {
  if (node.kind === 'range-selector') return new SelectorSource(context.selectionOf(node), context.evaluation);
  const innerGrid = subqueryGrid(grid, node);
  return new SubquerySource(buildVector(node.expression, innerGrid, context), innerGrid, context.evaluation);
}

function buildBinary(node: BinaryNode, grid: Grid, context: BuildContext): VectorOperator {
  const { evaluation } = context;
  const { stepsCount } = grid;
  if (planType(node.left) === 'scalar') {
    const scalar = evaluateScalar(node.left, grid, context);
    const vector = buildVector(node.right, grid, context);
    return new VectorScalarOperator(node, { vector, scalar, scalarIsLeft: true }, evaluation);
  }
  if (planType(node.right) === 'scalar') {
    const vector = buildVector(node.left, grid, context);
    const scalar = evaluateScalar(node.right, grid, context);
    return new VectorScalarOperator(node, { vector, scalar, scalarIsLeft: false }, evaluation);
  }
  const left = buildVector(node.left, grid, context);
  const right = buildVector(node.right, grid, context);
  const matched = { ...node, matching: node.matching ?? matchOnAllLabels };
  if (isSetOperator(node.operator)) return new SetOperationOperator(matched, { left, right }, stepsCount, evaluation);
  return new VectorMatchingOperator(matched, { left, right }, stepsCount, evaluation);
}

const matchOnAllLabels: VectorMatching = { cardinality: 'one-to-one', on: false, labels: [], include: [] };

function buildAggregation(node: AggregationNode, grid: Grid, context: BuildContext): VectorOperator {
  const { evaluation } = context;
  const { stepsCount } = grid;
  const { operator, parameter } = node;
  const pushed = context.pushed.get(node);
  if (pushed) return pushed(context);
  const scalar = (): Float64Array => evaluateScalar(parameter as PlanNode, grid, context);
  const input = (): VectorOperator => buildVector(node.expression, grid, context);
  switch (operator) {
    case 'topk':
    case 'bottomk':
    case 'limitk':
      return selectK({ ...node, operator }, input(), scalar(), evaluation);
    case 'limit_ratio':
      return new LimitRatioOperator(input(), scalar(), (parameter as PlanNode).position.start, evaluation);
    case 'count_values': {
      const labelName = parameter?.kind === 'string' ? parameter.value : '';
      if (!isLabelName(labelName))
        throw executionError(`invalid label name ${sourceOf(parameter as PlanNode, context)}`);
      return countValues(node, input(), labelName, stepsCount, evaluation);
    }
    case 'quantile': {
      const quantiles = scalar();
      const values = input();
      warnOfQuantiles(quantiles, (parameter as PlanNode).position.start, evaluation);
      return aggregate({ ...node, operator }, values, quantiles, stepsCount, evaluation);
    }
    default:
      return aggregate(folding(node, operator), input(), undefined, stepsCount, evaluation);
  }
}

/** An expression as it was written. */
function sourceOf({ position }: PlanNode, { text }: BuildContext): string {
  return text.slice(position.start, position.end);
}

function folding(node: AggregationNode, operator: FoldingOperator): AggregationNode & { operator: FoldingOperator } {
  return { ...node, operator };
}

/** Of a φ that changes from step to step the extremes are named. */
function warnOfQuantiles(quantiles: Float64Array, offset: number, evaluation: Evaluation): void {
  const site = evaluation.annotations.siteAt(offset);
  if (quantiles.includes(NaN)) site.invalidQuantile(NaN);
  const quantileMax = quantiles.reduce((a, b) => Math.max(a, b), -Infinity);
  const quantileMin = quantiles.reduce((a, b) => Math.min(a, b), Infinity);
  if (quantileMax > 1) site.invalidQuantile(quantileMax);
  if (quantileMin < 0) site.invalidQuantile(quantileMin);
}
