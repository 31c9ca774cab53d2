// What the demo prints: a line each second and a line for each event, on a terminal and in a file alike (colours only where
// they are shown).
import { styleText } from 'node:util';

const figure = new Intl.NumberFormat('en-GB');

export interface NodeColumn {
  readonly label: string;
  readonly isUp: boolean;
  /** Marks that wait to be cleared; undefined where the node does not say. */
  readonly dueCount: number | undefined;
}

export interface SecondLine {
  readonly samplesPerSecond: number;
  readonly slowestWriteMs: number;
  readonly acknowledgedCount: number;
  readonly queriesRight: number;
  readonly queriesWrong: number;
  readonly nodes: readonly NodeColumn[];
}

export class Screen {
  readonly #print: (line: string) => void;
  readonly #startedMs = performance.now();

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  header(labels: readonly string[]): void {
    const columns = ['samples/s', 'slowest write', 'acknowledged', 'queries right', 'wrong'];
    const nodes = labels.map((label) => `${label} to mend`.padStart(11)).join('');
    this.#print(`  time${columns.map((column) => column.padStart(15)).join('')}  ${nodes}`);
  }

  second(line: SecondLine): void {
    const columns = [
      figure.format(line.samplesPerSecond),
      line.slowestWriteMs > 0 ? `${line.slowestWriteMs.toFixed(0)} ms` : '–',
      figure.format(line.acknowledgedCount),
      figure.format(line.queriesRight),
      figure.format(line.queriesWrong),
    ];
    const nodes = line.nodes.map(({ isUp, dueCount }) => {
      if (!isUp) return styleText('red', 'dead'.padStart(11));
      const text = (dueCount === undefined ? '–' : figure.format(dueCount)).padStart(11);
      return dueCount === 0 ? styleText('green', text) : text;
    });
    this.#print(`${this.#time()}${columns.map((column) => column.padStart(15)).join('')}  ${nodes.join('')}`);
  }

  event(text: string): void {
    this.#print(styleText('bold', `${this.#time()}  ${text}`));
  }

  text(line: string): void {
    this.#print(line);
  }

  #time(): string {
    const seconds = Math.floor((performance.now() - this.#startedMs) / 1000);
    return `${String(Math.floor(seconds / 60)).padStart(3)}:${String(seconds % 60).padStart(2, '0')}`;
  }
}

export const formatCount = (count: number): string => figure.format(count);
