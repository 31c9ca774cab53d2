// What a delete of the cluster selects, as bytes: matchers in JSON (docs/formats/manifest.md). Whoever takes the delete from a
// client encodes them; the protocols carry them as they are.
import { TimbalaError } from '../base/index.ts';
import { type Labels, type MatchOperator, Matcher } from '../model/index.ts';

/** A series is selected by all matchers of one list. */
export function encodeSelectors(selectors: readonly (readonly Matcher[])[]): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(selectorsToPlain(selectors)));
}

/** Throws SELECTORS_INVALID. */
export function decodeSelectors(bytes: Uint8Array): Matcher[][] {
  try {
    return selectorsFromPlain(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (cause) {
    throw new TimbalaError('SELECTORS_INVALID', 'the selectors of a delete can not be decoded', { cause });
  }
}

/** For JSON. */
export function selectorsToPlain(selectors: readonly (readonly Matcher[])[]): unknown {
  return selectors.map((matchers) => matchers.map(({ name, operator, value }) => [name, operator, value]));
}

const operators: readonly string[] = ['=', '!=', '=~', '!~'] satisfies MatchOperator[];

/** From parsed JSON. Throws TypeError. */
export function selectorsFromPlain(plain: unknown): Matcher[][] {
  return asList(plain).map((matchers) =>
    asList(matchers).map((matcher) => {
      const [name, operator, value] = asList(matcher);
      if (typeof name !== 'string' || typeof value !== 'string' || !operators.includes(String(operator))) {
        throw new TypeError('a matcher is [name, operator, value]');
      }
      return new Matcher(name, operator as MatchOperator, value);
    }),
  );
}

function asList(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError('a list is expected');
  return value;
}

export function isSelected(selectors: readonly (readonly Matcher[])[], labels: Labels): boolean {
  return selectors.some((matchers) => matchers.every((matcher) => matcher.matchesLabels(labels)));
}
