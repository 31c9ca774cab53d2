// From a function call that gives an instant vector to its operator.
import { TimbalaError } from '../../base/index.ts';
import { Labels } from '../../model/index.ts';
import {
  bucketFraction,
  bucketQuantile,
  type FloatFunction,
  floatFunctions,
  MonotonicityReport,
  type RangeFunction,
  rangeFunctions,
  smoothingProblem,
} from '../functions/index.ts';
import type { Grid } from '../plan/grid.ts';
import { type CallNode, isRange, type PlanNode, planType, type RangeNode } from '../plan/plan-node.ts';
import { AbsentOperator } from './absent.ts';
import { type BuildContext, buildRange, buildVector } from './build.ts';
import { evaluateScalar } from './build-scalar.ts';
import { ClassicHistogramOperator } from './classic-histogram.ts';
import { executionError } from './errors.ts';
import { FloatFunctionOperator, ReplacedValuesOperator } from './float-function.ts';
import { InstantSelectorOperator } from './instant-selector.ts';
import { joinLabels, replaceLabels } from './label-functions.ts';
import { type OutputSeries, Row, RowsOperator, type VectorOperator } from './operator.ts';
import { RangeFunctionOperator } from './range-function.ts';
import { rowFunction } from './row-functions.ts';
import { dropNames, renamed } from './series-naming.ts';
import { sortByLabels, sortByValue } from './sort.ts';

export function buildCall(node: CallNode, grid: Grid, context: BuildContext): VectorOperator {
  if (node.arguments.some(isRange)) return buildRangeCall(node, grid, context);
  const special = specialCalls.get(node.function);
  if (special) return special(node, grid, context);
  const compute = floatFunctions.get(node.function);
  if (!compute) {
    throw new TimbalaError(
      'PROMQL_NOT_SUPPORTED',
      `function ${node.function} is not supported; rewrite the query without it`,
    );
  }
  return buildFloatCall(node, compute, grid, context);
}

type BuildFunction = (node: CallNode, grid: Grid, context: BuildContext) => VectorOperator;

const specialCalls: ReadonlyMap<string, BuildFunction> = new Map<string, BuildFunction>([
  ['vector', buildConstantVector],
  ['timestamp', buildTimestamp],
  ['absent', (node, grid, context) => new AbsentOperator(vectorArgument(node, 0, grid, context), argumentOf(node, 0))],
  ['label_replace', buildLabelReplace],
  ['label_join', buildLabelJoin],
  ['histogram_quantile', buildHistogramQuantile],
  ['histogram_fraction', buildHistogramFraction],
  ['sort', (node, grid, context) => buildSort(node, grid, context, false)],
  ['sort_desc', (node, grid, context) => buildSort(node, grid, context, true)],
  ['sort_by_label', (node, grid, context) => buildSortByLabel(node, grid, context, false)],
  ['sort_by_label_desc', (node, grid, context) => buildSortByLabel(node, grid, context, true)],
]);

function argumentOf(node: CallNode, index: number): PlanNode {
  const argument = node.arguments[index];
  if (argument) return argument;
  throw new TimbalaError(
    'ASSERTION_FAILED',
    `argument ${index} of ${node.function} is missing; the type check should have refused it`,
  );
}

function vectorArgument(node: CallNode, index: number, grid: Grid, context: BuildContext): VectorOperator {
  return buildVector(argumentOf(node, index), grid, context);
}

function stringArgument(node: CallNode, index: number): string {
  const argument = argumentOf(node, index);
  return argument.kind === 'string' ? argument.value : '';
}

function scalarArguments(node: CallNode, grid: Grid, context: BuildContext): Float64Array[] {
  const scalars = node.arguments.filter((argument) => planType(argument) === 'scalar');
  return scalars.map((argument) => evaluateScalar(argument, grid, context));
}

function singleSeries(values: Float64Array): VectorOperator {
  const row = new Row(values.length);
  row.values.set(values);
  row.markFull();
  return new RowsOperator([{ labels: Labels.empty, dropsName: false }], [row]);
}

function buildConstantVector(node: CallNode, grid: Grid, context: BuildContext): VectorOperator {
  return singleSeries(evaluateScalar(argumentOf(node, 0), grid, context));
}

function evaluationTimes(grid: Grid): Float64Array {
  return grid.map((timeMs) => timeMs / 1000);
}

function buildFloatCall(node: CallNode, compute: FloatFunction, grid: Grid, context: BuildContext): VectorOperator {
  const { evaluation } = context;
  // Only the date functions can do without a vector: they take the time of evaluation.
  const input =
    node.arguments.length === 0 ? singleSeries(evaluationTimes(grid)) : vectorArgument(node, 0, grid, context);
  const parameters = scalarArguments(node, grid, context);
  const mask = node.function === 'clamp' ? orderedBounds(parameters) : undefined;
  return new FloatFunctionOperator(input, { compute, parameters, mask }, evaluation);
}

/** `clamp` has no result where its bounds are the wrong way round; undefined where that never happens. */
function orderedBounds([minima, maxima]: readonly Float64Array[]): Uint8Array | undefined {
  if (!minima || !maxima) return undefined;
  const isOrdered = Uint8Array.from(minima, (min, step) => ((maxima[step] as number) < min ? 0 : 1));
  return isOrdered.includes(0) ? isOrdered : undefined;
}

/** The samples' own timestamps for a selector; the time of evaluation for anything else. */
function buildTimestamp(node: CallNode, grid: Grid, context: BuildContext): VectorOperator {
  const { evaluation } = context;
  const argument = argumentOf(node, 0);
  if (argument.kind !== 'instant-selector') {
    return new ReplacedValuesOperator(buildVector(argument, grid, context), evaluationTimes(grid), evaluation);
  }
  const timestamps = new InstantSelectorOperator(argument, context.selectionOf(argument), grid, evaluation, true);
  return renamed(timestamps, dropNames(timestamps.series, evaluation));
}

function buildLabelReplace(node: CallNode, grid: Grid, context: BuildContext): VectorOperator {
  const options = {
    destination: stringArgument(node, 1),
    replacement: stringArgument(node, 2),
    source: stringArgument(node, 3),
    pattern: stringArgument(node, 4),
  };
  return replaceLabels(vectorArgument(node, 0, grid, context), options, grid.stepsCount);
}

function buildLabelJoin(node: CallNode, grid: Grid, context: BuildContext): VectorOperator {
  const sources = node.arguments.slice(3).map((_, index) => stringArgument(node, 3 + index));
  const options = { destination: stringArgument(node, 1), separator: stringArgument(node, 2), sources };
  return joinLabels(vectorArgument(node, 0, grid, context), options, grid.stepsCount);
}

function buildSort(node: CallNode, grid: Grid, context: BuildContext, descending: boolean): VectorOperator {
  const input = vectorArgument(node, 0, grid, context);
  if (grid.isInstant) return sortByValue(input, descending, context.evaluation);
  context.evaluation.annotations.siteAt(node.position.start).sortInRangeQuery();
  return input;
}

function buildSortByLabel(node: CallNode, grid: Grid, context: BuildContext, descending: boolean): VectorOperator {
  const input = vectorArgument(node, 0, grid, context);
  const names = node.arguments.slice(1).map((_, index) => stringArgument(node, 1 + index));
  if (!grid.isInstant) context.evaluation.annotations.siteAt(node.position.start).sortInRangeQuery();
  return sortByLabels(input, names, descending);
}

function buildHistogramQuantile(node: CallNode, grid: Grid, context: BuildContext): VectorOperator {
  const { evaluation } = context;
  const quantiles = evaluateScalar(argumentOf(node, 0), grid, context);
  const input = vectorArgument(node, 1, grid, context);
  warnOfEachQuantile(quantiles, argumentOf(node, 0), context);
  const site = evaluation.annotations.siteAt(argumentOf(node, 1).position.start);
  const report = new MonotonicityReport();
  return new ClassicHistogramOperator(
    input,
    ({ upperBounds, counts, count, step, metricName }) => {
      const value = bucketQuantile(quantiles[step] as number, upperBounds, counts, count, report);
      if (report.forced) site.mendedBuckets(metricName, report, grid.timeMs(step));
      return value;
    },
    { stepsCount: grid.stepsCount, site },
    evaluation,
  );
}

function buildHistogramFraction(node: CallNode, grid: Grid, context: BuildContext): VectorOperator {
  const lowers = evaluateScalar(argumentOf(node, 0), grid, context);
  const uppers = evaluateScalar(argumentOf(node, 1), grid, context);
  const input = vectorArgument(node, 2, grid, context);
  const site = context.evaluation.annotations.siteAt(argumentOf(node, 2).position.start);
  return new ClassicHistogramOperator(
    input,
    ({ upperBounds, counts, count, step }) =>
      bucketFraction(lowers[step] as number, uppers[step] as number, upperBounds, counts, count),
    { stepsCount: grid.stepsCount, site },
    context.evaluation,
  );
}

function warnOfEachQuantile(quantiles: Float64Array, argument: PlanNode, { evaluation }: BuildContext): void {
  const site = evaluation.annotations.siteAt(argument.position.start);
  for (const quantile of new Set(quantiles)) {
    if (!isQuantile(quantile)) site.invalidQuantile(quantile);
  }
}

function isQuantile(quantile: number): boolean {
  return quantile >= 0 && quantile <= 1;
}

/** Functions that hand a sample on as it is, and so keep the metric name. */
const keepsName: ReadonlySet<string> = new Set(['last_over_time', 'first_over_time']);

function buildRangeCall(node: CallNode, grid: Grid, context: BuildContext): VectorOperator {
  const { evaluation } = context;
  const argument = node.arguments.find(isRange) as RangeNode;
  const source = buildRange(argument, grid, context);
  const series = keepsName.has(node.function) ? source.series : dropNames(source.series, evaluation);
  const isAbsent = node.function === 'absent_over_time';
  const parameters = scalarArguments(node, grid, context);
  const operator = new RangeFunctionOperator({
    source,
    series,
    reference: argument,
    rangeMs: argument.rangeMs,
    grid,
    control: evaluation.control,
    compute: isAbsent ? anySample : rangeFunction(node.function),
    computeRow: rowFunction(node.function, parameters, evaluation.control),
    parameters,
    ...onResult(node, argument, source.series, parameters, context),
  });
  if (node.function === checkedFunction) failAtOnce(operator, parameters, grid.stepsCount);
  return isAbsent ? new AbsentOperator(operator, argument) : operator;
}

const anySample: RangeFunction = () => 1;

function rangeFunction(name: string): RangeFunction {
  const compute = rangeFunctions.get(name);
  if (compute && name === checkedFunction) return withCheckedFactors(compute);
  if (compute) return compute;
  throw new TimbalaError('PROMQL_NOT_SUPPORTED', `function ${name} is not supported; rewrite the query without it`);
}

/** The one function that refuses parameters, once it meets a sample. */
const checkedFunction = 'double_exponential_smoothing';

/** Errors come in Prometheus's order: those of an operand before anything that its operator finds. */
function failAtOnce(operator: VectorOperator, parameters: readonly Float64Array[], stepsCount: number): void {
  const row = new Row(stepsCount);
  for (let step = 0; step < stepsCount; step++) {
    if (smoothingProblem(Float64Array.from(parameters, (values) => values[step] as number)) === undefined) continue;
    for (const index of operator.series.keys()) operator.read(index, row);
    return;
  }
}

function withCheckedFactors(compute: RangeFunction): RangeFunction {
  return (window, parameters) => {
    const problem = smoothingProblem(parameters);
    if (problem !== undefined) throw executionError(problem);
    return compute(window, parameters);
  };
}

function isSuspiciousCounter(metricName: string): boolean {
  return metricName !== '' && !/_(?:total|sum|count|bucket)$/.test(metricName);
}

/** The annotations of range functions depend on there being a result. */
function onResult(
  node: CallNode,
  argument: RangeNode,
  series: readonly OutputSeries[],
  parameters: readonly Float64Array[],
  { evaluation }: BuildContext,
): { onResult?: (index: number, row: Row) => void } {
  const { annotations } = evaluation;
  if (node.function === 'rate' || node.function === 'increase') {
    const names = new Set(series.map(({ labels }) => labels.metricName));
    if (![...names].some(isSuspiciousCounter)) return {};
    // Prometheus forgets where a subquery stands and points to the start of the query.
    const site = annotations.siteAt(argument.kind === 'subquery' ? 0 : argument.position.start);
    return {
      onResult: (index) => {
        const { metricName } = (series[index] as OutputSeries).labels;
        if (isSuspiciousCounter(metricName)) site.possibleNonCounter(metricName);
      },
    };
  }
  const [quantiles] = parameters;
  if (node.function !== 'quantile_over_time' || !quantiles || quantiles.every(isQuantile)) return {};
  const site = annotations.siteAt(argumentOf(node, 0).position.start);
  return {
    onResult: (_index, row) => {
      for (let step = 0; step < row.stepsCount; step++) {
        const quantile = quantiles[step] as number;
        if (row.presence[step] === 1 && !isQuantile(quantile)) site.invalidQuantile(quantile);
      }
    },
  };
}
