// Posting lists as bytes (docs/formats/index.md, "Postings"): gaps between single positions, or gaps and lengths of runs,
// whichever is shorter. Lists of one position have no bytes: the position stands in the pair's entry.
import { type ByteReader, ByteWriter, TimbalaError } from '../../base/index.ts';
import { type Runs } from './runs.ts';

const modeSingles = 0;
const modeRuns = 1;

const scratch = new ByteWriter(1024);

/** Appends the list of `positions[from..to)`, ascending, to `target`. */
export function encodePostings(positions: Uint32Array, from: number, to: number, target: ByteWriter): void {
  scratch.clear();
  scratch.u8(modeRuns);
  let end = 0;
  for (let i = from; i < to;) {
    const start = positions[i] as number;
    let length = 1;
    while (i + length < to && positions[i + length] === start + length) length++;
    scratch.uvarint(start - end);
    scratch.uvarint(length - 1);
    end = start + length;
    i += length;
    // Already longer than singles can be: at least a byte each.
    if (scratch.length > 2 * (to - from) + 16) break;
  }
  const runsView = scratch.view();
  const singlesStart = target.length;
  target.u8(modeSingles);
  let previous = 0;
  for (let i = from; i < to; i++) {
    const position = positions[i] as number;
    target.uvarint(position - previous);
    previous = position;
  }
  if (end === (positions[to - 1] as number) + 1 && runsView.length < target.length - singlesStart) {
    target.truncate(singlesStart);
    target.bytes(runsView);
  }
}

/** Reads a list of `count` positions below `limit` as runs. Throws DECODE_POSTINGS for anything else. */
export function decodePostings(reader: ByteReader, count: number, limit: number): Runs {
  const mode = reader.u8();
  if (mode > modeRuns) throw new TimbalaError('DECODE_POSTINGS', `mode ${mode} is unknown`);
  const runs: number[] = [];
  let end = 0;
  for (let read = 0; read < count;) {
    // Singles count from the last position, runs from the one after it.
    const start = (mode === modeRuns ? end : Math.max(end - 1, 0)) + reader.uvarint();
    const length = mode === modeRuns ? reader.uvarint() + 1 : 1;
    if (start < end) throw new TimbalaError('DECODE_POSTINGS', 'positions do not ascend');
    const touching = runs.length > 0 && start === end;
    end = start + length;
    read += length;
    if (touching) runs[runs.length - 1] = end;
    else runs.push(start, end);
    if (end > limit || read > count) throw new TimbalaError('DECODE_POSTINGS', `positions beyond ${limit}`);
  }
  return Uint32Array.from(runs);
}
