// `absent` and `absent_over_time`: one series, 1 at the steps where the input has nothing. Its labels are those that the
// selector pins down.
import { Labels } from '../../model/index.ts';
import type { PlanNode } from '../plan/plan-node.ts';
import { type OutputSeries, Row, type VectorOperator } from './operator.ts';
import { metadataLabels } from './series-naming.ts';

export class AbsentOperator implements VectorOperator {
  readonly series: readonly OutputSeries[];
  readonly hasEffects: boolean;
  readonly #input: VectorOperator;

  /** `argument`: the expression that `input` was made of. */
  constructor(input: VectorOperator, argument: PlanNode) {
    this.series = [{ labels: pinnedLabels(argument), dropsName: false }];
    this.hasEffects = input.hasEffects;
    this.#input = input;
  }

  read(_index: number, row: Row): void {
    const absent = new Uint8Array(row.stepsCount).fill(1);
    for (const index of this.#input.series.keys()) {
      this.#input.read(index, row);
      if (row.isFull && !this.hasEffects) {
        row.clear();
        return;
      }
      for (let step = 0; step < row.stepsCount; step++) if (row.presence[step] === 1) absent[step] = 0;
    }
    row.fill(1);
    row.presence.set(absent);
    row.presentCount = absent.reduce((count, present) => count + present, 0);
  }
}

/** Labels with one equality matcher; a second matcher on a label, of whatever kind, takes it away again. */
function pinnedLabels(argument: PlanNode): Labels {
  if (argument.kind !== 'instant-selector' && argument.kind !== 'range-selector') return Labels.empty;
  const pinned = new Map<string, string>();
  const seen = new Set<string>();
  for (const { name, operator, value } of argument.matchers) {
    if (metadataLabels.includes(name)) continue;
    if (operator === '=' && !seen.has(name)) {
      pinned.set(name, value);
      seen.add(name);
    } else {
      pinned.delete(name);
    }
  }
  return Labels.of(pinned);
}
