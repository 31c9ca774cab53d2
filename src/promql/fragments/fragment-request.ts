// What one node asks of others: a query, and which aggregation of it they are to evaluate (docs/formats/fragments.md). They plan the
// query anew, so that everything that depends on its text and times comes out alike, positions in annotations included.
import { ByteReader, ByteWriter, TimbalaError } from '../../base/index.ts';
import type { TimedQuery } from '../plan/planner.ts';
import type { StepReach } from '../queryable.ts';

export interface EvaluationRequest {
  readonly query: TimedQuery;
  readonly lookbackDeltaMs: number;
  /** Of the aggregation in the text. */
  readonly positionStart: number;
  readonly positionEnd: number;
  /** As the asking node made it out; whoever makes it out differently refuses. */
  readonly reach: StepReach;
}

/** The first byte: what else nodes read of each other begins with another one (storage's answer frames). */
export const fragmentRequestKind = 2;
const version = 1;

export function encodeFragmentRequest(request: EvaluationRequest): Uint8Array<ArrayBuffer> {
  const { query, lookbackDeltaMs, positionStart, positionEnd, reach } = request;
  const writer = new ByteWriter();
  writer.u8(fragmentRequestKind);
  writer.u8(version);
  writer.string(query.text);
  const times = [query.startMs, query.endMs, query.stepMs, query.subqueryStepMs, lookbackDeltaMs];
  for (const timeMs of times) writer.i64(timeMs);
  writer.uvarint(positionStart);
  writer.uvarint(positionEnd);
  for (const timeMs of [reach.startMs, reach.stepMs, reach.beforeMs, reach.afterMs]) writer.i64(timeMs);
  writer.uvarint(reach.stepsCount);
  return writer.copy();
}

/** Throws FRAGMENT_UNKNOWN for another version, DECODE_… for damaged bytes. */
export function decodeFragmentRequest(bytes: Uint8Array): EvaluationRequest {
  const reader = new ByteReader(bytes);
  const found = [reader.u8(), reader.u8()];
  if (found[0] !== fragmentRequestKind || found[1] !== version) {
    throw new TimbalaError('FRAGMENT_UNKNOWN', `request of kind and version ${found.join()}; ask for samples instead`);
  }
  const query = {
    text: reader.string(),
    startMs: reader.i64(),
    endMs: reader.i64(),
    stepMs: reader.i64(),
    subqueryStepMs: reader.i64(),
  };
  const lookbackDeltaMs = reader.i64();
  const positionStart = reader.uvarint();
  const positionEnd = reader.uvarint();
  const reach = {
    startMs: reader.i64(),
    stepMs: reader.i64(),
    beforeMs: reader.i64(),
    afterMs: reader.i64(),
    stepsCount: reader.uvarint(),
  };
  if (reader.remaining > 0) throw new TimbalaError('DECODE_OVERLONG', `${reader.remaining} bytes after the request`);
  return { query, lookbackDeltaMs, positionStart, positionEnd, reach };
}
