// The set operators `and`, `or` and `unless`: a series of one side is kept, step by step, depending on whether the other side
// has any series of the same signature there. Values are never touched.
import type { VectorMatching } from '../parse/ast.ts';
import type { BinaryNode } from '../plan/plan-node.ts';
import { keepWhere } from './binary-combine.ts';
import { matchGroups } from './matching-signature.ts';
import { type Evaluation, type OutputSeries, readForEffects, Row, type VectorOperator } from './operator.ts';

/** How one series of the result comes about. `mask`: 1 where it is kept; undefined: kept everywhere. */
interface Kept {
  readonly side: VectorOperator;
  readonly index: number;
  readonly mask: Uint8Array | undefined;
  /** Where the series has been read already. */
  readonly row: Row | undefined;
}

export class SetOperationOperator implements VectorOperator {
  readonly series: readonly OutputSeries[];
  readonly hasEffects: boolean;
  readonly #kept: readonly Kept[];

  constructor(
    node: BinaryNode & { matching: VectorMatching },
    operands: { left: VectorOperator; right: VectorOperator },
    stepsCount: number,
    evaluation: Evaluation,
  ) {
    const { left, right } = operands;
    const groups = matchGroups(left.series, right.series, node.matching);
    const kept: Kept[] = [];
    for (const group of groups) {
      if (node.operator === 'or') {
        // What is read for its presence would be read again for the result: it is kept instead.
        const rows = group.right.length > 0 ? readRows(left, group.left, stepsCount, evaluation) : [];
        const mask = rows.length > 0 ? inverted(presenceIn(rows, stepsCount)) : undefined;
        for (const [position, index] of group.left.entries()) {
          kept.push({ side: left, index, mask: undefined, row: rows[position] });
        }
        for (const index of group.right) kept.push({ side: right, index, mask, row: undefined });
      } else if (group.left.length > 0) {
        if (node.operator === 'and' && group.right.length === 0) continue;
        const presence = presenceOf(right, group.right, stepsCount, evaluation);
        const mask = node.operator === 'and' ? presence : inverted(presence);
        for (const index of group.left) kept.push({ side: left, index, mask, row: undefined });
      }
    }
    // Prometheus's order: the left side's series, then the right side's.
    kept.sort((a, b) => (a.side === b.side ? a.index - b.index : a.side === left ? -1 : 1));
    this.#kept = kept;
    this.hasEffects = left.hasEffects || right.hasEffects;
    readUnneeded(kept, { left, right }, stepsCount);
    this.series = kept.map(({ side, index }) => side.series[index] as OutputSeries);
  }

  read(index: number, row: Row): void {
    const { side, index: sideIndex, mask, row: ready } = this.#kept[index] as Kept;
    if (ready) row.copyFrom(ready);
    else side.read(sideIndex, row);
    if (mask) keepWhere(mask, row);
  }
}

/** What is not kept has often been read already, for its presence; where reading has effects, once more does no harm. */
function readUnneeded(
  kept: readonly Kept[],
  sides: { left: VectorOperator; right: VectorOperator },
  stepsCount: number,
): void {
  for (const side of [sides.left, sides.right]) {
    const needed = new Set(kept.filter((each) => each.side === side).map(({ index }) => index));
    readForEffects(side, (index) => needed.has(index), new Row(stepsCount));
  }
}

/** 1 where any of these series has a value. */
function presenceOf(
  operator: VectorOperator,
  indexes: readonly number[],
  stepsCount: number,
  evaluation: Evaluation,
): Uint8Array {
  evaluation.control.addBytes(stepsCount);
  const presence = new Uint8Array(stepsCount);
  const row = new Row(stepsCount);
  for (const index of indexes) {
    operator.read(index, row);
    if (row.isFull) return presence.fill(1);
    addPresence(presence, row);
  }
  return presence;
}

function readRows(
  operator: VectorOperator,
  indexes: readonly number[],
  stepsCount: number,
  evaluation: Evaluation,
): Row[] {
  return indexes.map((index) => {
    evaluation.control.addBytes(Row.bytes(stepsCount));
    const row = new Row(stepsCount);
    operator.read(index, row);
    return row;
  });
}

function presenceIn(rows: readonly Row[], stepsCount: number): Uint8Array {
  const presence = new Uint8Array(stepsCount);
  for (const row of rows) addPresence(presence, row);
  return presence;
}

function addPresence(presence: Uint8Array, row: Row): void {
  for (let step = 0; step < presence.length; step++) {
    presence[step] = (presence[step] as number) | (row.presence[step] as number);
  }
}

function inverted(presence: Uint8Array): Uint8Array {
  return presence.map((present) => 1 - present);
}
