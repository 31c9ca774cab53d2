// Scalar expressions, evaluated at once: a number per step.
import { TimbalaError } from '../../base/index.ts';
import type { Grid } from '../plan/grid.ts';
import type { PlanNode } from '../plan/plan-node.ts';
import { arithmeticKernels, comparisonKernels, isComparison, isSetOperator } from './binary-kernels.ts';
import type { BuildContext } from './build.ts';
import { buildVector } from './build.ts';
import { Row } from './operator.ts';
import { scalarFunction } from './scalar-functions.ts';

export function evaluateScalar(node: PlanNode, grid: Grid, context: BuildContext): Float64Array {
  const { stepsCount } = grid;
  context.evaluation.control.addBytes(8 * stepsCount);
  switch (node.kind) {
    case 'number':
      return new Float64Array(stepsCount).fill(node.value);
    case 'negation':
      return evaluateScalar(node.expression, grid, context).map((value) => -value);
    case 'step-invariant':
      return new Float64Array(stepsCount).fill(evaluateScalar(node.expression, grid.first(), context)[0] ?? NaN);
    case 'binary': {
      const left = evaluateScalar(node.left, grid, context);
      const right = evaluateScalar(node.right, grid, context);
      if (isComparison(node.operator)) {
        const outcome = new Uint8Array(stepsCount);
        comparisonKernels[node.operator](left, right, outcome);
        left.set(outcome);
      } else if (!isSetOperator(node.operator)) {
        arithmeticKernels[node.operator](left, right, left);
      }
      return left;
    }
    case 'call': {
      if (node.function === 'time') return grid.map((timeMs) => timeMs / 1000);
      if (node.function === 'scalar') return singleValues(node.arguments[0] as PlanNode, grid, context);
      const compute = scalarFunction(node.function);
      if (!compute) break;
      const parameters = node.arguments.map((argument) => evaluateScalar(argument, grid, context));
      return grid.map((_, step) => compute(...parameters.map((values) => values[step] as number)));
    }
    default:
      break;
  }
  throw new TimbalaError(
    'ASSERTION_FAILED',
    `${node.kind} is not a scalar; the type check should have refused the query`,
  );
}

/** `scalar(vector)`: the value where there is exactly one, otherwise NaN. */
function singleValues(argument: PlanNode, grid: Grid, context: BuildContext): Float64Array {
  const input = buildVector(argument, grid, context);
  const values = new Float64Array(grid.stepsCount).fill(NaN);
  const counts = new Uint32Array(grid.stepsCount);
  const row = new Row(grid.stepsCount);
  for (const index of input.series.keys()) {
    input.read(index, row);
    for (let step = 0; step < grid.stepsCount; step++) {
      if (row.presence[step] === 0) continue;
      const count = (counts[step] as number) + 1;
      counts[step] = count;
      values[step] = count === 1 ? (row.values[step] as number) : NaN;
    }
  }
  return values;
}
