// Label matchers. Regexes are RE2's (linear time), fully anchored, with `.` matching newlines, as Prometheus has them:
// ^(?s:…)$. A missing label is an empty value.
import { RE2JS } from 're2js';
import { TimbalaError } from '../base/index.ts';
import { type Labels, metricNameLabel } from './labels.ts';

export type MatchOperator = '=' | '!=' | '=~' | '!~';

export class Matcher {
  readonly name: string;
  readonly operator: MatchOperator;
  /** The literal value or the regex, as written. */
  readonly value: string;
  /**
   * For `=~` and `!~` whose language is a small finite set of strings ("a|b|c"): those strings; lets an index look each
   * of them up. Undefined where the regex is more than that, and for `=` and `!=`.
   */
  readonly alternatives: readonly string[] | undefined;
  /** A literal that every matching value starts with ('' if none is known); lets an index narrow a scan. */
  readonly prefix: string;
  readonly #test: (value: string) => boolean;

  /** Throws REGEX_INVALID. */
  constructor(name: string, operator: MatchOperator, value: string) {
    this.name = name;
    this.operator = operator;
    this.value = value;
    const isRegex = operator === '=~' || operator === '!~';
    this.alternatives = isRegex ? finiteAlternatives(value) : undefined;
    this.prefix = isRegex && this.alternatives === undefined ? literalPrefix(value) : '';
    this.#test = isRegex ? this.#compileRegex() : (other) => other === value;
  }

  #compileRegex(): (value: string) => boolean {
    const { alternatives, prefix, value } = this;
    if (alternatives !== undefined) {
      const set = new Set(alternatives);
      return (other) => set.has(other);
    }
    if (value === '.*') return () => true;
    if (value === '.+') return (other) => other !== '';
    const compiled = compileRegex(value);
    if (/^\.[*+]$/.test(value.slice(prefix.length))) {
      const lengthMin = prefix.length + (value.endsWith('+') ? 1 : 0);
      return (other) => other.length >= lengthMin && other.startsWith(prefix);
    }
    return (other) => other.startsWith(prefix) && compiled.testExact(other);
  }

  /** True where a label with this value (or none: '') satisfies the matcher. */
  matches(value: string): boolean {
    const positive = this.operator === '=' || this.operator === '=~';
    return this.#test(value) === positive;
  }

  matchesLabels(labels: Labels): boolean {
    return this.matches(labels.get(this.name));
  }

  /** True where series without this label match too. */
  get matchesEmpty(): boolean {
    return this.matches('');
  }

  toString(): string {
    const name = /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(this.name) ? this.name : JSON.stringify(this.name);
    return `${name}${this.operator}${JSON.stringify(this.value)}`;
  }
}

/** Compiles an RE2 regex (unanchored syntax; callers anchor by `matches`). Throws REGEX_INVALID with RE2's reason. */
export function compileRegex(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern, RE2JS.DOTALL);
  } catch (cause) {
    // The library writes its flag into the pattern that it quotes.
    const reason = (cause instanceof Error ? cause.message : String(cause)).replace('`(?s)', '`');
    throw new TimbalaError('REGEX_INVALID', reason, { cause });
  }
}

const specialCharacters = /[\\.+*?()|[\]{}^$]/;

function finiteAlternatives(pattern: string): string[] | undefined {
  const inner = /^\((?:\?:)?([^()]*)\)$/.exec(pattern)?.[1] ?? pattern;
  const branches = inner.split('|');
  return branches.some((branch) => specialCharacters.test(branch)) ? undefined : branches;
}

function literalPrefix(pattern: string): string {
  // An alternation anywhere may bypass the prefix; a quantifier takes the character before it with it.
  if (pattern.includes('|')) return '';
  const end = pattern.search(specialCharacters);
  if (end <= 0) return '';
  const optional = /[*?{]/.test(pattern[end] ?? '');
  return optional ? Array.from(pattern.slice(0, end)).slice(0, -1).join('') : pattern.slice(0, end);
}

/** The matcher for a metric name. */
export function nameMatcher(name: string): Matcher {
  return new Matcher(metricNameLabel, '=', name);
}
