// Matchers over a head's registry: which series they select, and which names and values those have. Runs where the
// HeadReader lives (a query worker). Results for label scans are remembered per (label, matcher) up to the pairs seen then.
import { TimbalaError } from '../../base/index.ts';
import type { Labels, Matcher } from '../../model/index.ts';
import type { HeadReader } from '../../wasm/index.ts';

const missing = (): never => {
  throw new TimbalaError('NOT_BUILT', 'the head kernel is being built');
};

export class HeadIndex {
  constructor(_reader: HeadReader) {
    missing();
  }

  /**
   * References of the series that all matchers select, ascending; with `slots`, only those with samples in one of these
   * generations.
   */
  select(_matchers: readonly Matcher[], _slots?: readonly number[]): Uint32Array<ArrayBuffer> {
    return missing();
  }

  /** Cached by reference. */
  labels(_ref: number): Labels {
    return missing();
  }

  /** Names (in no order) among the series that any selector selects (none given: all). */
  labelNames(_selectors: readonly (readonly Matcher[])[], _slots?: readonly number[]): string[] {
    return missing();
  }

  /** Values (in no order) of a name among the series that any selector selects (none given: all). */
  labelValues(_name: string, _selectors: readonly (readonly Matcher[])[], _slots?: readonly number[]): string[] {
    return missing();
  }
}
