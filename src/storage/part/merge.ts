// Unites parts: series in label order, samples by time, two values at one timestamp by the merge order.
import { TimbalaError } from '../../base/index.ts';
import type { Part } from './part.ts';
import type { MergeOptions, SeriesSource } from './types.ts';

/**
 * The union of `inputs`, to be written by `writePart` or a PartWriter. Inputs may overlap in time. The series that it
 * yields are valid until the next call.
 */
export function mergeParts(_inputs: readonly Part[], _options: MergeOptions = {}): SeriesSource {
  throw new TimbalaError('NOT_IMPLEMENTED', 'parts');
}
