// The PromQL engine: text → typed tree → plan → operators → result. It holds no state between queries, so one engine serves
// any number of them. Everything asynchronous happens in one `Queryable.select` before evaluation; evaluation itself is
// synchronous and asks `QueryControl` for leave at every series.
import { minuteMs, present } from '../base/index.ts';
import { Annotations } from './annotations.ts';
import { type BuildContext, buildRange, buildVector } from './operators/build.ts';
import { evaluateScalar } from './operators/build-scalar.ts';
import { pushDown } from './fragments/push-down.ts';
import { stitch } from './fragments/stitch.ts';
import type { Evaluation } from './operators/operator.ts';
import { removeMarkedNames } from './operators/series-naming.ts';
import { formatPosition } from './parse/index.ts';
import { type Grid, subqueryGrid } from './plan/grid.ts';
import { isRange, type PlanNode, planType, type RangeNode } from './plan/plan-node.ts';
import { type Plan, planQuery, type TimedQuery } from './plan/planner.ts';
import { collectSelectors } from './plan/selectors.ts';
import type { QueryControl, Queryable } from './queryable.ts';
import type { MatrixSeries, QueryResult, QueryStats, QueryValue } from './result.ts';
import { collectGridMatrix, collectRangeMatrix, collectVector } from './result-collector.ts';

export interface EngineOptions {
  /** How far an instant vector looks back for a sample; default 5 minutes. */
  readonly lookbackDeltaMs?: number;
  /** The step of subqueries that name none (`[1h:]`); Prometheus's evaluation interval, default 1 minute. */
  readonly subqueryStepMs?: number;
  /** Prometheus's feature flag promql-delayed-name-removal; off by default there and here. */
  readonly delayedNameRemoval?: boolean;
}

export interface InstantQuery {
  readonly text: string;
  readonly timeMs: number;
  /** Above 0; undefined: the engine's own. */
  readonly lookbackDeltaMs?: number | undefined;
}

export interface RangeQuery {
  readonly text: string;
  readonly startMs: number;
  /** Inclusive. */
  readonly endMs: number;
  readonly stepMs: number;
  readonly lookbackDeltaMs?: number | undefined;
}

export class PromqlEngine {
  readonly #lookbackDeltaMs: number;
  readonly #subqueryStepMs: number;
  readonly #delayedNameRemoval: boolean;

  constructor(options: EngineOptions = {}) {
    this.#lookbackDeltaMs = options.lookbackDeltaMs ?? 5 * minuteMs;
    this.#subqueryStepMs = options.subqueryStepMs ?? minuteMs;
    this.#delayedNameRemoval = options.delayedNameRemoval ?? false;
  }

  /**
   * Answers at one time. Throws PROMQL_PARSE and PROMQL_INVALID (bad_data), PROMQL_NOT_SUPPORTED and PROMQL_EXECUTION (execution),
   * and what `control` and the storage throw; the message after the code and colon is Prometheus's.
   */
  async instantQuery(query: InstantQuery, queryable: Queryable, control: QueryControl): Promise<QueryResult> {
    const { text, timeMs } = query;
    const timed = { text, startMs: timeMs, endMs: timeMs, stepMs: 0, subqueryStepMs: this.#subqueryStepMs };
    const planned = planQuery(timed);
    const lookbackDeltaMs = query.lookbackDeltaMs ?? this.#lookbackDeltaMs;
    return this.#execute(timed, planned, lookbackDeltaMs, queryable, control, (context) =>
      instantValue(planned, timeMs, context),
    );
  }

  /** Answers at startMs, startMs + stepMs, … up to endMs. Errors as in `instantQuery`. */
  async rangeQuery(query: RangeQuery, queryable: Queryable, control: QueryControl): Promise<QueryResult> {
    const { text, startMs, endMs, stepMs } = query;
    const timed = { text, startMs, endMs, stepMs, subqueryStepMs: this.#subqueryStepMs };
    const planned = planQuery(timed);
    const lookbackDeltaMs = query.lookbackDeltaMs ?? this.#lookbackDeltaMs;
    return this.#execute(timed, planned, lookbackDeltaMs, queryable, control, (context) =>
      steppedValue(planned, context),
    );
  }

  async #execute(
    query: TimedQuery,
    plan: Plan,
    lookbackDeltaMs: number,
    queryable: Queryable,
    control: QueryControl,
    evaluate: (context: BuildContext) => QueryValue,
  ): Promise<QueryResult> {
    const { text } = query;
    const stats: QueryStats = { samplesLoadedCount: 0, seriesLoadedCount: 0, samplesReturnedCount: 0 };
    const annotations = new Annotations();
    const delayedNameRemoval = this.#delayedNameRemoval;
    const evaluation: Evaluation = { lookbackDeltaMs, delayedNameRemoval, control, annotations, stats };
    const pushed = await pushDown(query, plan, queryable, evaluation);
    const remaining = new Map(Array.from(pushed, ([node, { remaining: parts }]) => [node, parts]));
    const { requests, indexOf } = collectSelectors(plan.root, plan.grid, lookbackDeltaMs, remaining);
    const selections = requests.length > 0 ? await queryable.select(requests, control) : [];
    for (const index of indexOf.values()) stats.seriesLoadedCount += selections[index]?.series.length ?? 0;
    const selectionOf: BuildContext['selectionOf'] = (node) =>
      present(selections[present(indexOf.get(node), 'request')], 'selection');
    const stitched: BuildContext['pushed'] = new Map(
      Array.from(pushed, ([node, aggregation]) => [node, (context) => stitch(aggregation, context)]),
    );
    const value = evaluate({ text, evaluation, pushed: stitched, selectionOf });
    const position = (offset: number): string => formatPosition(text, offset);
    return { value, warnings: annotations.warnings(position), infos: annotations.infos(position), stats };
  }
}

function instantValue({ root, grid }: Plan, timeMs: number, context: BuildContext): QueryValue {
  if (root.kind === 'string') return { kind: 'string', timeMs, value: root.value };
  if (isRange(root)) return { kind: 'matrix', series: rangeVector(root, grid, context) };
  if (planType(root) === 'scalar') {
    const value = evaluateScalar(root, grid, context)[0] ?? NaN;
    return { kind: 'scalar', timeMs, value };
  }
  const operator = removeMarkedNames(buildVector(root, grid, context), grid.stepsCount);
  return collectVector(operator, timeMs, context.evaluation);
}

/** The samples of `x[5m]`; of a subquery, the steps of its inner expression. */
function rangeVector(node: RangeNode, grid: Grid, context: BuildContext): MatrixSeries[] {
  if (node.kind === 'range-selector') {
    return collectRangeMatrix(buildRange(node, grid, context), node, grid, context.evaluation);
  }
  const inner = subqueryGrid(grid, node);
  const operator = removeMarkedNames(buildVector(node.expression, inner, context), inner.stepsCount);
  return collectGridMatrix(operator, inner, context.evaluation);
}

function steppedValue({ root, grid }: Plan, context: BuildContext): QueryValue {
  const operator = buildVector(asVector(root), grid, context);
  const named = removeMarkedNames(operator, grid.stepsCount);
  return { kind: 'matrix', series: collectGridMatrix(named, grid, context.evaluation) };
}

/** A scalar over many steps is answered as a series without labels. */
function asVector(root: PlanNode): PlanNode {
  if (planType(root) !== 'scalar') return root;
  return { kind: 'call', function: 'vector', arguments: [root], position: root.position };
}
