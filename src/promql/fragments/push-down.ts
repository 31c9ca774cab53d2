// Asks the queryable to aggregate where the series lie, for every aggregation of a plan that allows it, and puts together what
// comes back. Whatever is wrong with an answer, it is dropped whole, and the engine reads samples as if nobody had been asked.
import { present, TimbalaError } from '../../base/index.ts';
import type { PlacedAnnotation } from '../annotations.ts';
import type { BuildContext } from '../operators/build.ts';
import { evaluateScalar } from '../operators/build-scalar.ts';
import type { Evaluation, SourcedSeries, VectorOperator } from '../operators/operator.ts';
import { selectK } from '../operators/select-k.ts';
import type { Grid } from '../plan/grid.ts';
import { type AggregationNode, mapChildren, type PlanNode } from '../plan/plan-node.ts';
import type { Plan, TimedQuery } from '../plan/planner.ts';
import { CountedControl } from '../query-control.ts';
import type { FragmentAnswer, Queryable } from '../queryable.ts';
import { candidatesOf, demandUntied } from './candidates.ts';
import { decodeFragment, type Fragment } from './fragment-frame.ts';
import { encodeFragmentRequest } from './fragment-request.ts';
import { columnsCount, mergePartials, PartialsOperator } from './partials.ts';
import { findPushable, type Pushable, selectorBelow, stepsWithin } from './pushable.ts';
import { isFolding } from './sourced-input.ts';

/** Steps that remain to be evaluated from samples, as an aggregation of their own. */
export interface RemainingPart extends Pushable {
  readonly firstStep: number;
}

export interface PushedAggregation {
  readonly firstStep: number;
  readonly stepsCount: number;
  /** Over the steps from `firstStep` on. */
  readonly operator: VectorOperator<SourcedSeries>;
  readonly annotations: readonly PlacedAnnotation[];
  readonly remaining: readonly RemainingPart[];
}

export type PushedAggregations = ReadonlyMap<AggregationNode, PushedAggregation>;

/** Aggregations of one query: nodes bound what they answer at a time. */
const askedAtOnceMax = 4;

/** Throws what `control` throws, and nothing else. */
export async function pushDown(
  query: TimedQuery,
  { root, grid }: Plan,
  queryable: Queryable,
  evaluation: Evaluation,
): Promise<PushedAggregations> {
  const pushed = new Map<AggregationNode, PushedAggregation>();
  // With delayed name removal the marks on names would have to travel too.
  if (!queryable.fragments || evaluation.delayedNameRemoval) return pushed;
  // Shared by those who ask side by side.
  const pushables = findPushable(root, grid, evaluation.lookbackDeltaMs).values();
  const ask = async (): Promise<void> => {
    for (const pushable of pushables) {
      const answered = await pushOne(query, pushable, queryable, evaluation);
      if (answered) pushed.set(pushable.aggregation, answered);
    }
  };
  await Promise.all(Array.from({ length: askedAtOnceMax }, ask));
  evaluation.control.check();
  return pushed;
}

async function pushOne(
  query: TimedQuery,
  pushable: Pushable,
  queryable: Queryable,
  evaluation: Evaluation,
): Promise<PushedAggregation | undefined> {
  const { reach, aggregation } = pushable;
  const { start, end } = aggregation.position;
  const { lookbackDeltaMs, control } = evaluation;
  const counted = new CountedControl(control);
  try {
    const encoded = encodeFragmentRequest({ query, lookbackDeltaMs, positionStart: start, positionEnd: end, reach });
    const answer = await queryable.fragments?.({ encoded, reach }, counted);
    return answer && unite(pushable, answer, { ...evaluation, control: counted });
  } catch (error) {
    // Reading samples will tell what is wrong, if it is the query's.
    if (!(error instanceof TimbalaError) || error.code === 'ASSERTION_FAILED') throw error;
    counted.giveBack();
    return undefined;
  }
}

function unite(pushable: Pushable, answer: FragmentAnswer, evaluation: Evaluation): PushedAggregation | undefined {
  const { aggregation, grid, reach } = pushable;
  const { first, end } = stepsWithin(reach, answer.fromMs, answer.toMs);
  if (first === end) return undefined;
  const expected = { firstStep: first, stepsCount: end - first, columnsCount: columnsCount(aggregation.operator) };
  const fragments = answer.frames.map((frame) => decodeFragment(frame, expected, evaluation.control));
  demandSameNames(fragments);
  const operator = uniteSeries(pushable, fragments, grid.slice(first, end), evaluation);
  for (const { samplesLoadedCount, seriesLoadedCount } of fragments) {
    evaluation.control.addSamples(samplesLoadedCount);
    evaluation.stats.samplesLoadedCount += samplesLoadedCount;
    evaluation.stats.seriesLoadedCount += seriesLoadedCount;
  }
  return {
    firstStep: first,
    stepsCount: end - first,
    operator,
    annotations: fragments.flatMap(({ annotations }) => annotations),
    remaining: [remainingPart(pushable, 0, first), remainingPart(pushable, end, grid.stepsCount)].flat(),
  };
}

function demandSameNames(fragments: readonly Fragment[]): void {
  const taken = new Set(
    fragments.filter(({ seriesLoadedCount }) => seriesLoadedCount > 0).map(({ namesTaken }) => namesTaken),
  );
  if (taken.size > 1) {
    throw new TimbalaError('PARTIAL_INEXACT', 'series of several metrics may be equal without their names');
  }
}

function uniteSeries(
  { aggregation }: Pushable,
  fragments: readonly Fragment[],
  grid: Grid,
  evaluation: Evaluation,
): VectorOperator<SourcedSeries> {
  const { operator } = aggregation;
  const partials = fragments.map(({ series }) => series);
  if (isFolding(operator)) return new PartialsOperator(operator, mergePartials(operator, partials));
  const candidates = candidatesOf(partials);
  const limits = evaluateScalar(present(aggregation.parameter, 'parameter'), grid, withoutSeries(evaluation));
  demandUntied(aggregation, candidates, limits);
  return selectK({ ...aggregation, operator }, candidates, limits, evaluation);
}

/** For scalars that ask no series, as parameters of what is pushed are. */
function withoutSeries(evaluation: Evaluation): BuildContext {
  return {
    text: '',
    evaluation,
    pushed: new Map(),
    selectionOf: () => {
      throw new TimbalaError('ASSERTION_FAILED', 'a parameter that asks series is not pushed down');
    },
  };
}

/** With nodes of its own, since what they select is another range than that of the other part. */
function remainingPart(pushable: Pushable, first: number, end: number): RemainingPart[] {
  if (first === end) return [];
  const aggregation = copyOf(pushable.aggregation);
  const selector = present(selectorBelow(aggregation.expression), 'the selector of a copy');
  return [{ ...pushable, aggregation, selector, grid: pushable.grid.slice(first, end), firstStep: first }];
}

function copyOf<Node extends PlanNode>(node: Node): Node {
  return { ...(mapChildren(node, copyOf) as Node) };
}
