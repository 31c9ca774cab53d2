// Arithmetic and comparison between two vectors. Series are matched by signature once. Where a signature has one series on the
// "one" side, and the results can't collide, a result is two reads and one pass over the steps, on demand. Signatures with
// more series are legal as long as no two of them have a value at the same step: these groups are evaluated ahead, step by
// step, with Prometheus's errors.
import type { Labels } from '../../model/index.ts';
import type { VectorMatching } from '../parse/ast.ts';
import type { BinaryNode } from '../plan/plan-node.ts';
import { type Combine, combiner } from './binary-combine.ts';
import { isComparison } from './binary-kernels.ts';
import { executionError } from './errors.ts';
import { type MatchGroup, matchedLabels, matchGroups } from './matching-signature.ts';
import { type Evaluation, type OutputSeries, readForEffects, Row, type VectorOperator } from './operator.ts';
import { metadataLabels } from './series-naming.ts';

/** A result of two series, or (where its group was evaluated ahead) a row that is there already. */
interface Result {
  readonly manyIndex: number;
  readonly oneIndex: number;
  readonly row: Row | undefined;
}

/** The sides by role: the series of "many" give the labels, each signature of "one" has a single series at a step. */
interface Sides {
  readonly many: VectorOperator;
  readonly one: VectorOperator;
  readonly oneIsLeft: boolean;
}

export class VectorMatchingOperator implements VectorOperator {
  readonly series: readonly OutputSeries[];
  readonly hasEffects: boolean;
  readonly #results: readonly Result[];
  readonly #sides: Sides;
  readonly #combine: Combine;
  readonly #oneRow: Row;
  /** Rows of "one" series with several results, by their index: read once and kept. Undefined until then. */
  readonly #sharedRows: Map<number, Row | undefined>;
  readonly #evaluation: Evaluation;

  constructor(
    node: BinaryNode & { matching: VectorMatching },
    operands: { left: VectorOperator; right: VectorOperator },
    stepsCount: number,
    evaluation: Evaluation,
  ) {
    const oneIsLeft = node.matching.cardinality === 'one-to-many';
    this.#sides = {
      many: oneIsLeft ? operands.right : operands.left,
      one: oneIsLeft ? operands.left : operands.right,
      oneIsLeft,
    };
    this.#combine = combiner(node, stepsCount);
    this.#oneRow = new Row(stepsCount);
    this.#evaluation = evaluation;
    const groups = matchGroups(this.#sides.many.series, this.#sides.one.series, node.matching);
    const labelsOf = resultLabels(node, this.#sides, evaluation);
    const ahead = new GroupEvaluator(node.matching, this.#sides, this.#combine, labelsOf, stepsCount, evaluation);
    const [simple, others] = partition(groups, (group) => isSimple(group, node.matching, labelsOf));
    // Prometheus's order of results is that of the "many" side.
    const results = [...simple.flatMap(pairs), ...ahead.evaluate(others)].sort((a, b) => a.manyIndex - b.manyIndex);
    this.#results = results;
    this.#readUnmatched(results);
    this.hasEffects = this.#sides.many.hasEffects || this.#sides.one.hasEffects;
    this.#sharedRows = sharedIndexes(results);
    const dropsName = node.returnsBool && evaluation.delayedNameRemoval;
    this.series = results.map(({ manyIndex, oneIndex }) => ({ labels: labelsOf(manyIndex, oneIndex), dropsName }));
  }

  read(index: number, row: Row): void {
    const { manyIndex, oneIndex, row: ready } = this.#results[index] as Result;
    if (ready) {
      row.copyFrom(ready);
      return;
    }
    const oneRow = this.#readOne(oneIndex);
    this.#sides.many.read(manyIndex, row);
    if (this.#sides.oneIsLeft) this.#combine(oneRow, row, row, 'left');
    else this.#combine(row, oneRow, row, 'left');
  }

  #readOne(index: number): Row {
    const kept = this.#sharedRows.get(index);
    if (kept) return kept;
    let row = this.#oneRow;
    if (this.#sharedRows.has(index)) {
      this.#evaluation.control.addBytes(Row.bytes(row.stepsCount));
      row = new Row(row.stepsCount);
      this.#sharedRows.set(index, row);
    }
    this.#sides.one.read(index, row);
    return row;
  }

  #readUnmatched(results: readonly Result[]): void {
    const many = new Set(results.map(({ manyIndex }) => manyIndex));
    const one = new Set(results.map(({ oneIndex }) => oneIndex));
    readForEffects(this.#sides.many, (index) => many.has(index), this.#oneRow);
    readForEffects(this.#sides.one, (index) => one.has(index), this.#oneRow);
  }
}

function partition<Item>(items: readonly Item[], isFirst: (item: Item) => boolean): [Item[], Item[]] {
  const first: Item[] = [];
  const second: Item[] = [];
  for (const item of items) (isFirst(item) ? first : second).push(item);
  return [first, second];
}

function sharedIndexes(results: readonly Result[]): Map<number, Row | undefined> {
  const seen = new Set<number>();
  const shared = new Map<number, Row | undefined>();
  for (const { oneIndex, row } of results) {
    if (row) continue;
    if (seen.has(oneIndex)) shared.set(oneIndex, undefined);
    seen.add(oneIndex);
  }
  return shared;
}

type LabelsOf = (manyIndex: number, oneIndex: number) => Labels;

function resultLabels(node: BinaryNode & { matching: VectorMatching }, sides: Sides, evaluation: Evaluation): LabelsOf {
  const { cardinality, on, labels, include } = node.matching;
  const changesMeaning = !isComparison(node.operator) || (node.returnsBool && !evaluation.delayedNameRemoval);
  const dropped = new Set([...(changesMeaning ? metadataLabels : []), ...include]);
  const matched = new Set(labels);
  const oneToOne = cardinality === 'one-to-one';
  return (manyIndex, oneIndex) => {
    const many = (sides.many.series[manyIndex] as OutputSeries).labels;
    let result = many.filter((name) => !dropped.has(name) && (!oneToOne || matched.has(name) === on));
    if (include.length === 0) return result;
    const one = (sides.one.series[oneIndex] as OutputSeries).labels;
    for (const name of include) result = result.with(name, one.get(name));
    return result;
  };
}

function isSimple(group: MatchGroup, matching: VectorMatching, labelsOf: LabelsOf): boolean {
  const { left: many, right: one } = group;
  if (one.length !== 1) return one.length === 0;
  if (many.length <= 1) return true;
  if (matching.cardinality === 'one-to-one') return false;
  return new Set(many.map((index) => labelsOf(index, one[0] as number).key())).size === many.length;
}

function pairs({ left: many, right: one }: MatchGroup): Result[] {
  const [oneIndex] = one;
  if (oneIndex === undefined) return [];
  return many.map((manyIndex) => ({ manyIndex, oneIndex, row: undefined }));
}

interface Failure {
  readonly step: number;
  /** Of failures at one step the lowest is reported: duplicates, in the order of series, before matches. */
  readonly rank: number;
  readonly makeError: () => Error;
}

/** Evaluates groups whose series have to be told apart step by step. */
class GroupEvaluator {
  readonly #matching: VectorMatching;
  readonly #sides: Sides;
  readonly #combine: Combine;
  readonly #labelsOf: LabelsOf;
  readonly #stepsCount: number;
  readonly #evaluation: Evaluation;
  #manySidePresence: Uint8Array | undefined;
  #failure: Failure | undefined;

  constructor(
    matching: VectorMatching,
    sides: Sides,
    combine: Combine,
    labelsOf: LabelsOf,
    stepsCount: number,
    evaluation: Evaluation,
  ) {
    this.#matching = matching;
    this.#sides = sides;
    this.#combine = combine;
    this.#labelsOf = labelsOf;
    this.#stepsCount = stepsCount;
    this.#evaluation = evaluation;
  }

  /** Of several things wrong, the one at the first step is reported: Prometheus goes step by step. */
  evaluate(groups: readonly MatchGroup[]): Result[] {
    const results = groups.flatMap((group) => this.#evaluateGroup(group));
    if (this.#failure) throw this.#failure.makeError();
    return results;
  }

  #fail(failure: Failure): void {
    const earlier = this.#failure;
    if (!earlier || failure.step < earlier.step || (failure.step === earlier.step && failure.rank < earlier.rank)) {
      this.#failure = failure;
    }
  }

  #evaluateGroup({ left: many, right: one }: MatchGroup): Result[] {
    const oneRows = one.map((index) => this.#readRow(this.#sides.one, index));
    this.#findDuplicates(one, oneRows);
    const results: Result[] = [];
    const matchedByResult = new Map<string, Uint8Array>();
    for (const manyIndex of many) {
      const manyRow = this.#readRow(this.#sides.many, manyIndex);
      for (const [position, oneRow] of oneRows.entries()) {
        const oneIndex = one[position] as number;
        this.#findSecondMatch(matchedByResult, this.#labelsOf(manyIndex, oneIndex), manyRow, oneRow);
        const row = new Row(this.#stepsCount);
        if (this.#sides.oneIsLeft) this.#combine(oneRow, manyRow, row, 'left');
        else this.#combine(manyRow, oneRow, row, 'left');
        if (row.presentCount === 0) continue;
        this.#evaluation.control.addBytes(Row.bytes(this.#stepsCount));
        results.push({ manyIndex, oneIndex, row });
      }
    }
    return results;
  }

  #readRow(operator: VectorOperator, index: number): Row {
    this.#evaluation.control.addBytes(Row.bytes(this.#stepsCount));
    const row = new Row(this.#stepsCount);
    operator.read(index, row);
    return row;
  }

  /** Two series of one signature on the "one" side at a step where the other side has anything at all. */
  #findDuplicates(one: readonly number[], rows: readonly Row[]): void {
    if (one.length < 2) return;
    const owner = new Int32Array(this.#stepsCount).fill(-1);
    for (const [position, row] of rows.entries()) {
      for (let step = 0; step < this.#stepsCount; step++) {
        if (row.presence[step] === 0) continue;
        const earlier = owner[step] as number;
        if (earlier < 0) owner[step] = position;
        else if (this.#manyPresence()[step] === 1) {
          const [first, second] = [one[earlier] as number, one[position] as number];
          this.#fail({ step, rank: second, makeError: () => this.#duplicateError(first, second) });
        }
      }
    }
  }

  #manyPresence(): Uint8Array {
    if (this.#manySidePresence) return this.#manySidePresence;
    const presence = new Uint8Array(this.#stepsCount);
    const row = new Row(this.#stepsCount);
    for (const index of this.#sides.many.series.keys()) {
      this.#sides.many.read(index, row);
      for (let step = 0; step < this.#stepsCount; step++) {
        presence[step] = (presence[step] as number) | (row.presence[step] as number);
      }
    }
    this.#manySidePresence = presence;
    return presence;
  }

  #findSecondMatch(matchedByResult: Map<string, Uint8Array>, labels: Labels, manyRow: Row, oneRow: Row): void {
    const oneToOne = this.#matching.cardinality === 'one-to-one';
    const key = oneToOne ? '' : labels.key();
    let matched = matchedByResult.get(key);
    if (!matched) {
      matched = new Uint8Array(this.#stepsCount);
      matchedByResult.set(key, matched);
    }
    for (let step = 0; step < this.#stepsCount; step++) {
      if (manyRow.presence[step] === 0 || oneRow.presence[step] === 0) continue;
      if (matched[step] === 1) {
        const remedy = oneToOne
          ? 'many-to-one matching must be explicit (group_left/group_right)'
          : 'grouping labels must ensure unique matches';
        const makeError = (): Error => executionError(`multiple matches for labels: ${remedy}`);
        this.#fail({ step, rank: Infinity, makeError });
      }
      matched[step] = 1;
    }
  }

  #duplicateError(first: number, second: number): Error {
    const { series } = this.#sides.one;
    const labels = (series[second] as OutputSeries).labels;
    const group = bracedLabels(matchedLabels(this.#matching).of(labels));
    const side = this.#sides.oneIsLeft ? 'left' : 'right';
    const duplicates = [bracedLabels((series[first] as OutputSeries).labels), bracedLabels(labels)].sort().join(', ');
    return executionError(
      `found duplicate series for the match group ${group} on the ${side} hand-side of the operation: [${duplicates}]` +
        ';many-to-many matching not allowed: matching labels must be unique on one side',
    );
  }
}

/** Labels as Prometheus prints them in errors: the name is one of them. */
function bracedLabels(labels: Labels): string {
  const printed = labels.entries().map(([name, value]) => {
    const printedName = /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) ? name : JSON.stringify(name);
    return `${printedName}=${JSON.stringify(value)}`;
  });
  return `{${printed.join(', ')}}`;
}
