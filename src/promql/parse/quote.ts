// String literals of PromQL (Go's, with single quotes as a second kind of double quotes), read and written.

const simpleEscapes: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  '\\': 92,
  "'": 39,
  '"': 34,
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
  const parts: Uint8Array[] = [];
  const pattern = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))|[^\\]+/gs;
  for (const [whole, byte, short, long, octal, simple] of inside.matchAll(pattern)) {
    const codePoint = short ?? long;
    if (byte !== undefined) parts.push(Uint8Array.of(Number.parseInt(byte, 16)));
    else if (octal !== undefined) parts.push(Uint8Array.of(Number.parseInt(octal, 8)));
    else if (codePoint !== undefined)
      parts.push(utf8Encoder.encode(String.fromCodePoint(Number.parseInt(codePoint, 16))));
    else if (simple !== undefined) parts.push(Uint8Array.of(simpleEscapes[simple] ?? 0));
    else parts.push(utf8Encoder.encode(whole));
  }
  return utf8Decoder.decode(Buffer.concat(parts));
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
