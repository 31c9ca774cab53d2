// String literals of PromQL (Go's, with single quotes as a second kind of double quotes), read and written.

/** What the character after a backslash stands for, as a byte. */
const simpleEscapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
/** How many digits follow, of which base; an octal escape has no letter. */
const codeEscapes: Readonly<Record<string, readonly [digitsCount: number, base: number]>> = {
  x: [2, 16],
  u: [4, 16],
  U: [8, 16],
};

const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * The value of a literal that the lexer has accepted, quotes included. Escapes of bytes (\xff, \377) that do not make up
 * UTF-8 become U+FFFD: labels are UTF-8, so that no label equals such a string in Prometheus either.
 */
export function unquoteText(literal: string): string {
  const inside = literal.slice(1, -1);
  if (literal.startsWith('`') || !inside.includes('\\')) return inside;
  // No escape is shorter than the bytes it stands for.
  const bytes = new Uint8Array(inside.length * 3);
  let length = 0;
  let at = 0;
  const append = (text: string): void => {
    length += utf8Encoder.encodeInto(text, bytes.subarray(length)).written;
  };
  while (at < inside.length) {
    const backslash = inside.indexOf('\\', at);
    const end = backslash < 0 ? inside.length : backslash;
    append(inside.slice(at, end));
    if (backslash < 0) break;
    const letter = inside.charAt(backslash + 1);
    const isOctal = letter >= '0' && letter <= '7';
    const code = isOctal ? ([3, 8] as const) : codeEscapes[letter];
    if (!code) {
      append(simpleEscapes[letter] ?? letter);
      at = backslash + 2;
      continue;
    }
    const digitsAt = backslash + (isOctal ? 1 : 2);
    at = digitsAt + code[0];
    const value = Number.parseInt(inside.slice(digitsAt, at), code[1]);
    if (isOctal || letter === 'x') bytes[length++] = value;
    else append(String.fromCodePoint(value));
  }
  return utf8Decoder.decode(bytes.subarray(0, length));
}

const printable = /[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;

const escapesWritten: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
};

/** As Go's %q: in the quotes given, with escapes for what does not print. */
export function quoteText(text: string, quote = '"'): string {
  let quoted = quote;
  for (const character of text) {
    if (character === quote) quoted += `\\${quote}`;
    else quoted += escapesWritten[character] ?? (printable.test(character) ? character : escapeCodePoint(character));
  }
  return quoted + quote;
}

function escapeCodePoint(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
}

/** As Go's %#U: `U+0041 'A'`, without the character where it does not print. */
export function describeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0xfffd;
  const hex = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
  return printable.test(character) ? `${hex} '${character}'` : hex;
}

const legacyLabelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** A label name as it stands in a query: bare where its characters allow, quoted otherwise. */
export function writeLabelName(name: string): string {
  return legacyLabelName.test(name) ? name : quoteText(name);
}
