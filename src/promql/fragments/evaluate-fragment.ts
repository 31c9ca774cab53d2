// A node's share of an aggregation: over the series that its queryable shows, at the steps whose reach lies in a range. An error
// here is never the query's: whoever asked reads samples instead, and meets what is wrong with the query then.
import { present, TimbalaError } from '../../base/index.ts';
import { Annotations } from '../annotations.ts';
import { Folding, partialAccumulatorOf } from '../operators/aggregation.ts';
import type { BuildContext } from '../operators/build.ts';
import { evaluateScalar } from '../operators/build-scalar.ts';
import { type Evaluation, Row, type SourcedSeries, type VectorOperator } from '../operators/operator.ts';
import { KSelection } from '../operators/select-k.ts';
import { metadataLabels } from '../operators/series-naming.ts';
import type { Grid } from '../plan/grid.ts';
import { planQuery } from '../plan/planner.ts';
import { collectSelectors } from '../plan/selectors.ts';
import type { Queryable, QueryControl, SelectedSeries } from '../queryable.ts';
import { encodeFragment } from './fragment-frame.ts';
import { decodeFragmentRequest, type EvaluationRequest } from './fragment-request.ts';
import type { PartialSeries } from './partials.ts';
import { findPushable, type Pushable, stepsWithin } from './pushable.ts';
import { isFolding, sourcedInput } from './sourced-input.ts';

/**
 * Answers what `encodeFragmentRequest` asked, as `decodeFragment` reads it. `pause` is asked after every series whether others
 * are to have the thread for a while. Throws FRAGMENT_UNKNOWN where this version would not evaluate it, PARTIAL_INEXACT where
 * the parts could not be put together, FRAGMENT_TOO_LARGE, and all that queries do.
 */
export async function evaluateFragment(
  encoded: Uint8Array,
  range: { readonly fromMs: number; readonly toMs: number },
  queryable: Pick<Queryable, 'select'>,
  control: QueryControl,
  pause: () => Promise<void> | undefined = () => undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const request = decodeFragmentRequest(encoded);
  const pushable = locate(request);
  const { first, end } = stepsWithin(pushable.reach, range.fromMs, range.toMs);
  if (first === end) throw new TimbalaError('FRAGMENT_UNKNOWN', 'no step reads in the range alone that was asked for');
  const { query, lookbackDeltaMs } = request;
  const grid = pushable.grid.slice(first, end);
  const { requests } = collectSelectors(pushable.aggregation, grid, lookbackDeltaMs);
  const [selection] = await queryable.select(requests, control);
  const { series } = present(selection, 'selection');
  const stats = { samplesLoadedCount: 0, seriesLoadedCount: series.length, samplesReturnedCount: 0 };
  const annotations = new Annotations();
  const evaluation: Evaluation = { lookbackDeltaMs, delayedNameRemoval: false, control, annotations, stats };
  const context: BuildContext = { text: query.text, evaluation, selectionOf: () => ({ series }), pushed: new Map() };
  const input = sourcedInput(pushable, grid, context);
  const namesTaken = namesTakenFrom(series, input);
  const partials = await partialsOf(pushable, input, grid, context, pause);
  return encodeFragment({
    firstStep: first,
    stepsCount: end - first,
    samplesLoadedCount: stats.samplesLoadedCount,
    seriesLoadedCount: stats.seriesLoadedCount,
    namesTaken,
    annotations: annotations.placed(),
    series: partials,
  });
}

function locate({ query, lookbackDeltaMs, positionStart, positionEnd, reach }: EvaluationRequest): Pushable {
  const { root, grid } = planQuery(query);
  const found = findPushable(root, grid, lookbackDeltaMs).find(
    ({ aggregation: { position } }) => position.start === positionStart && position.end === positionEnd,
  );
  const isSame =
    found &&
    found.reach.startMs === reach.startMs &&
    found.reach.stepMs === reach.stepMs &&
    found.reach.stepsCount === reach.stepsCount &&
    found.reach.beforeMs === reach.beforeMs &&
    found.reach.afterMs === reach.afterMs;
  if (found && isSame) return found;
  throw new TimbalaError('FRAGMENT_UNKNOWN', `no such aggregation at ${positionStart} to ${positionEnd} of the query`);
}

/**
 * Without their names two series may be equal, which is an error of the query where they have values at one step. That can
 * only be ruled out where all series lose the same name (and type and unit).
 */
function namesTakenFrom(stored: readonly SelectedSeries[], input: VectorOperator<SourcedSeries>): string {
  const isPlain = input.series.every(({ labels, first }) => labels.size === first.size);
  if (isPlain && input.series.length === stored.length) return '';
  const taken = metadataLabels.map((name) => stored[0]?.labels.get(name));
  const isCommon = stored.every(({ labels }) => metadataLabels.every((name, i) => labels.get(name) === taken[i]));
  if (isCommon) return JSON.stringify(taken);
  throw new TimbalaError('PARTIAL_INEXACT', 'series of several metrics may be equal without their names');
}

async function partialsOf(
  { aggregation }: Pushable,
  input: VectorOperator<SourcedSeries>,
  grid: Grid,
  context: BuildContext,
  pause: () => Promise<void> | undefined,
): Promise<PartialSeries[]> {
  const { stepsCount } = grid;
  const { evaluation } = context;
  const { operator } = aggregation;
  const addAll = async (to: { add(index: number): void }): Promise<void> => {
    for (const index of input.series.keys()) {
      to.add(index);
      const paused = pause();
      if (paused) await paused;
    }
  };
  if (isFolding(operator)) {
    const make = (groupsCount: number) => partialAccumulatorOf(operator, groupsCount, stepsCount);
    const folding = new Folding(aggregation, input, make, stepsCount, evaluation);
    await addAll(folding);
    const { groups, accumulator } = folding.finish();
    return groups.map(({ labels, group, firstSeries: { first } }) => ({
      labels,
      first,
      ...accumulator.partial(group),
    }));
  }
  // One more than wanted, to see whether the last one is clearly better than the next.
  const limits = evaluateScalar(present(aggregation.parameter, 'parameter'), grid, context).map((limit) => limit + 1);
  const selection = new KSelection({ ...aggregation, operator }, input, limits, evaluation);
  await addAll(selection);
  const candidates = selection.finish();
  return candidates.series.map(({ labels, first }, index) => {
    const row = new Row(stepsCount);
    candidates.read(index, row);
    return { labels, first, presence: row.presence, columns: [row.values] };
  });
}
