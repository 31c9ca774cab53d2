// The one interface of evaluation. An operator knows its output series when it is made; a consumer then reads them one row at a
// time, in any order, into a row that the consumer owns. Nothing is computed for a series that nobody reads, and no
// operator keeps more than it must: selectors, functions and matched binary operators stream, aggregations keep their groups.
import { type Labels } from '../../model/index.ts';
import type { Annotations } from '../annotations.ts';
import type { QueryControl } from '../queryable.ts';
import type { QueryStats } from '../result.ts';

export interface OutputSeries {
  readonly labels: Labels;
  /** With delayed name removal: the metric name goes when the query ends. Otherwise false, the name being gone already. */
  readonly dropsName: boolean;
}

/** A series that comes of one series of the storage, or of several of which this is the first. */
export interface SourcedSeries extends OutputSeries {
  readonly first: Labels;
}

export interface VectorOperator<S extends OutputSeries = OutputSeries> {
  readonly series: readonly S[];
  /**
   * Reading may add annotations. Such series are read even where their values can't matter (no match on the other side),
   * because Prometheus evaluates everything. (Errors come when an operator is made, if they can't wait.)
   */
  readonly hasEffects: boolean;
  /** Replaces what `row` holds by series `index`. May be called again for the same series, at the same cost. */
  read(index: number, row: Row): void;
}

/**
 * One series over all steps of a grid. Where `presence` is 0 the value means nothing. `presentCount` is kept up by whoever
 * fills the row, so that full rows (the rule) are handled without looking at `presence`.
 */
export class Row {
  readonly stepsCount: number;
  readonly values: Float64Array<ArrayBuffer>;
  readonly presence: Uint8Array<ArrayBuffer>;
  presentCount = 0;

  constructor(stepsCount: number) {
    this.stepsCount = stepsCount;
    this.values = new Float64Array(stepsCount);
    this.presence = new Uint8Array(stepsCount);
  }

  get isFull(): boolean {
    return this.presentCount === this.stepsCount;
  }

  /** The first step with a value; -1 where there is none. */
  get firstPresent(): number {
    return this.presence.indexOf(1);
  }

  /** The step after the last one with a value. */
  get endPresent(): number {
    return this.presence.lastIndexOf(1) + 1;
  }

  clear(): void {
    this.presence.fill(0);
    this.presentCount = 0;
  }

  fill(value: number): void {
    this.values.fill(value);
    this.markFull();
  }

  /** Says that every step has a value. */
  markFull(): void {
    if (!this.isFull) this.presence.fill(1);
    this.presentCount = this.stepsCount;
  }

  /** Says that the steps from `first` to before `end` have a value, and no others. */
  markSpan(first: number, end: number): void {
    this.presence.fill(0, 0, first).fill(1, first, end).fill(0, end);
    this.presentCount = end - first;
  }

  /** Adds the steps that `other` has a value at, from `offset` on; they must be absent here. */
  addSteps(other: Row, offset: number): void {
    this.values.set(other.values, offset);
    this.presence.set(other.presence, offset);
    this.presentCount += other.presentCount;
  }

  copyFrom(other: Row): void {
    this.values.set(other.values);
    this.presence.set(other.presence);
    this.presentCount = other.presentCount;
  }

  /** Memory of a row, for QueryControl.addBytes. */
  static bytes(stepsCount: number): number {
    return 9 * stepsCount;
  }
}

/** What every operator of one query shares. */
export interface Evaluation {
  readonly lookbackDeltaMs: number;
  readonly delayedNameRemoval: boolean;
  readonly control: QueryControl;
  readonly annotations: Annotations;
  readonly stats: QueryStats;
}

/** An operator over rows that are there already. */
export class RowsOperator<S extends OutputSeries = OutputSeries> implements VectorOperator<S> {
  readonly series: readonly S[];
  readonly hasEffects = false;
  readonly #rows: readonly Row[];

  /** Takes the rows over. */
  constructor(series: readonly S[], rows: readonly Row[]) {
    this.series = series;
    this.#rows = rows;
  }

  read(index: number, row: Row): void {
    row.copyFrom(this.#rows[index] as Row);
  }
}

/** Reads the series that no result needs, where reading does more than give values. */
export function readForEffects(operator: VectorOperator, isNeeded: (index: number) => boolean, row: Row): void {
  if (!operator.hasEffects) return;
  for (const index of operator.series.keys()) if (!isNeeded(index)) operator.read(index, row);
}

/** All rows of an operator, kept; counted against the query's memory. */
export function readAll(operator: VectorOperator, stepsCount: number, evaluation: Evaluation): Row[] {
  return operator.series.map((_, index) => {
    evaluation.control.addBytes(Row.bytes(stepsCount));
    const row = new Row(stepsCount);
    operator.read(index, row);
    return row;
  });
}
