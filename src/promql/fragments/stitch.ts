// An aggregation whose steps were evaluated in parts: some by fragments, the rest here. Each part is an operator over steps of its
// own; series that have equal labels are one.
import { present } from '../../base/index.ts';
import { Labels } from '../../model/index.ts';
import { fold, type FoldedGroup, partialAccumulatorOf } from '../operators/aggregation.ts';
import type { BuildContext } from '../operators/build.ts';
import { evaluateScalar } from '../operators/build-scalar.ts';
import { Row, type SourcedSeries, type VectorOperator } from '../operators/operator.ts';
import { selectK } from '../operators/select-k.ts';
import { sortByFirst } from './partials.ts';
import type { PushedAggregation, RemainingPart } from './push-down.ts';
import { isFolding, sourcedInput } from './sourced-input.ts';

interface Part {
  readonly firstStep: number;
  readonly stepsCount: number;
  readonly operator: VectorOperator<SourcedSeries>;
}

export function stitch(pushed: PushedAggregation, context: BuildContext): VectorOperator {
  const { annotations } = context.evaluation;
  const firstSite = annotations.sitesCount;
  const evaluated = pushed.remaining.map((part) => ({
    firstStep: part.firstStep,
    stepsCount: part.grid.stepsCount,
    operator: evaluatePart(part, context),
  }));
  annotations.takeOver(pushed.annotations, firstSite);
  // A single part keeps its order, which at a single step is part of the answer.
  return evaluated.length === 0 ? pushed.operator : new StitchedOperator([pushed, ...evaluated]);
}

function evaluatePart(part: RemainingPart, context: BuildContext): VectorOperator<SourcedSeries> {
  const { aggregation, grid } = part;
  const { operator } = aggregation;
  const { evaluation } = context;
  if (!isFolding(operator)) {
    const limits = evaluateScalar(present(aggregation.parameter, 'parameter'), grid, context);
    return selectK({ ...aggregation, operator }, sourcedInput(part, grid, context), limits, evaluation);
  }
  const input = sourcedInput(part, grid, context);
  const make = (groupsCount: number) => partialAccumulatorOf(operator, groupsCount, grid.stepsCount);
  const { groups, accumulator } = fold(aggregation, input, make, grid.stepsCount, evaluation);
  return {
    series: groups.map(({ labels, firstSeries: { first } }) => ({ labels, first, dropsName: false })),
    hasEffects: false,
    read: (index, row) => accumulator.read((groups[index] as FoldedGroup<SourcedSeries>).group, row),
  };
}

class StitchedOperator implements VectorOperator<SourcedSeries> {
  readonly series: readonly SourcedSeries[];
  readonly hasEffects = false;
  readonly #parts: readonly {
    readonly part: Part;
    readonly indexByKey: ReadonlyMap<string, number>;
    readonly row: Row;
  }[];

  constructor(parts: readonly Part[]) {
    const byKey = new Map<string, SourcedSeries>();
    this.#parts = parts.map((part) => {
      const indexByKey = new Map<string, number>();
      for (const [index, series] of part.operator.series.entries()) {
        const key = series.labels.key();
        indexByKey.set(key, index);
        const held = byKey.get(key);
        if (!held || Labels.compare(series.first, held.first) < 0) byKey.set(key, series);
      }
      return { part, indexByKey, row: new Row(part.stepsCount) };
    });
    this.series = sortByFirst([...byKey.values()]);
  }

  read(index: number, into: Row): void {
    const key = (this.series[index] as SourcedSeries).labels.key();
    into.clear();
    for (const { part, indexByKey, row } of this.#parts) {
      const indexInPart = indexByKey.get(key);
      if (indexInPart === undefined) continue;
      part.operator.read(indexInPart, row);
      into.addSteps(row, part.firstStep);
    }
  }
}
