// Cuts a query into tokens, one at a time, so that an error of the grammar before a bad character is reported first, as in
// Prometheus. Errors carry Prometheus's texts; some of the rules below (what is let through here and refused later, which
// character an error shows) only exist for their sake.
import type { Position } from './ast.ts';
import { PromqlParseError } from './parse-error.ts';
import { describeCharacter, quoteText } from './quote.ts';
import { keywords, type Token } from './tokens.ts';

const isSpace = (character: string): boolean => /^[ \t\n\r]$/.test(character);
const isDigit = (character: string): boolean => /^[0-9]$/.test(character);
const isNameStart = (character: string): boolean => /^[a-zA-Z_]$/.test(character);
const isNameContinue = (character: string): boolean => /^[a-zA-Z0-9_]$/.test(character);

const endOfInput = '';
const durationWords: ReadonlySet<string> = new Set(['step', 'range', 'max_of', 'min_of']);
const durationWordStart = /^[srmSRM]$/;
/** These words are keywords only before a parenthesis, so that metrics of these names stay usable. */
const wordsBeforeParenthesis: ReadonlySet<string> = new Set(['fill', 'fill_left', 'fill_right']);
const bracketOperators: ReadonlySet<string> = new Set(['+', '-', '*', '/', '%', '^', ',']);

export class Lexer {
  readonly #text: string;
  #position = 0;
  /** Where the token that is being read begins. */
  #start = 0;
  #parenthesesOpen = 0;
  #braceOpen = false;
  #bracketOpen = false;
  #gotColon = false;
  #gotDuration = false;
  /** Between "[" and the end of the first number after it, only what belongs to a duration is allowed. */
  #inDuration = false;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next token; after the last, 'end-of-input' again and again. Throws PromqlParseError. */
  next(): Token {
    for (;;) {
      this.#start = this.#position;
      if (this.#inDuration) {
        const token = this.#durationToken();
        if (token) return token;
        continue;
      }
      if (this.#skipComment()) continue;
      if (isSpace(this.#peek())) {
        this.#position++;
        continue;
      }
      return this.#braceOpen ? this.#tokenInsideBraces() : this.#token();
    }
  }

  #skipComment(): boolean {
    if (this.#peek() !== '#') return false;
    while (this.#position < this.#text.length && !/[\r\n]/.test(this.#peek())) this.#position++;
    return true;
  }

  /** The character (code point) at the position, '' at the end. */
  #peek(): string {
    const code = this.#text.codePointAt(this.#position);
    return code === undefined ? endOfInput : String.fromCodePoint(code);
  }

  #take(): string {
    const character = this.#peek();
    this.#position += character.length;
    return character;
  }

  #accept(pattern: RegExp): boolean {
    if (!pattern.test(this.#peek())) return false;
    this.#take();
    return true;
  }

  #emit(kind: string): Token {
    const start = this.#start;
    const end = this.#position;
    return { kind, text: this.#text.slice(start, end), start, end };
  }

  #fail(reason: string, start = this.#start): PromqlParseError {
    const position: Position = { start, end: this.#text.length };
    return new PromqlParseError(this.#text, position, reason);
  }

  #token(): Token {
    const character = this.#take();
    switch (character) {
      case endOfInput:
        if (this.#parenthesesOpen !== 0) throw this.#fail('unclosed left parenthesis');
        if (this.#bracketOpen) throw this.#fail('unclosed left bracket');
        return this.#emit('end-of-input');
      case ',':
      case '*':
      case '/':
      case '%':
      case '+':
      case '-':
      case '^':
      case '@':
        return this.#emit(character);
      case '=':
        if (this.#peek() === '~') throw this.#fail(`unexpected character after '=': ${quoteCharacter('~')}`);
        return this.#emit(this.#accept(/^=$/) ? '==' : '=');
      case '!': {
        const next = this.#take();
        if (next !== '=') throw this.#fail(`unexpected character after '!': ${quoteCharacter(next)}`);
        return this.#emit('!=');
      }
      case '<':
      case '>':
        if (this.#accept(/^=$/)) return this.#emit(`${character}=`);
        if (this.#accept(/^\/$/)) return this.#emit(character === '<' ? '</' : '>/');
        return this.#emit(character);
      case '"':
      case "'":
        return this.#string(character);
      case '`':
        return this.#rawString();
      case '(':
        this.#parenthesesOpen++;
        return this.#emit('(');
      case ')':
        return this.#closeParenthesis();
      case '{':
        this.#braceOpen = true;
        return this.#emit('{');
      case '[':
        return this.#openBracket();
      case ']':
        if (!this.#bracketOpen) throw this.#fail(`unexpected right bracket ${quoteCharacter(character)}`);
        this.#bracketOpen = false;
        return this.#emit(']');
    }
    if (isDigit(character) || (character === '.' && isDigit(this.#peek()))) {
      this.#position = this.#start;
      return this.#numberOrDuration();
    }
    if (!isNameStart(character) && character !== ':') {
      throw this.#fail(`unexpected character: ${quoteCharacter(character)}`);
    }
    return this.#bracketOpen ? this.#wordInsideBrackets(character) : this.#word();
  }

  #closeParenthesis(): Token {
    this.#parenthesesOpen--;
    if (this.#parenthesesOpen < 0) {
      throw this.#fail(`unexpected right parenthesis ${quoteCharacter(')')}`, this.#position);
    }
    return this.#emit(')');
  }

  #openBracket(): Token {
    if (this.#bracketOpen) throw this.#fail(`unexpected left bracket ${quoteCharacter('[')}`);
    this.#bracketOpen = true;
    this.#inDuration = true;
    this.#gotColon = false;
    this.#gotDuration = false;
    return this.#emit('[');
  }

  #wordInsideBrackets(character: string): Token {
    if (character === ':') {
      if (this.#gotColon) throw this.#fail(`unexpected colon ${quoteCharacter(':')}`);
      this.#gotColon = true;
      return this.#emit(':');
    }
    const word = durationWordStart.test(character) ? this.#durationWord() : undefined;
    if (word) return word;
    throw this.#fail(`unexpected character: ${quoteCharacter(character)}, expected ${quoteCharacter(':')}`);
  }

  #durationWord(): Token | undefined {
    while (/^[a-zA-Z_]$/.test(this.#peek())) this.#position++;
    const word = this.#text.slice(this.#start, this.#position).toLowerCase();
    return durationWords.has(word) ? this.#emit(word) : undefined;
  }

  /** A token between "[" and the first number; undefined where only spaces were read. */
  #durationToken(): Token | undefined {
    const character = this.#take();
    if (character === endOfInput) throw this.#fail('unexpected end of input in duration expression');
    if (isSpace(character)) return undefined;
    if (bracketOperators.has(character)) return this.#emit(character);
    switch (character) {
      case ']':
        this.#bracketOpen = false;
        this.#inDuration = false;
        return this.#emit(']');
      case ':':
        if (!this.#gotDuration) {
          throw this.#fail('unexpected colon before duration in duration expression', this.#position);
        }
        if (this.#gotColon) throw this.#fail('unexpected repeated colon in duration expression', this.#position);
        this.#gotColon = true;
        return this.#emit(':');
      case '(':
        this.#parenthesesOpen++;
        return this.#emit('(');
      case ')':
        return this.#closeParenthesis();
    }
    if (durationWordStart.test(character)) {
      const word = this.#durationWord();
      if (word) {
        this.#gotDuration = true;
        return word;
      }
    }
    if (isDigit(character) || (character === '.' && isDigit(this.#peek()))) {
      this.#position = this.#start;
      this.#gotDuration = true;
      this.#inDuration = false;
      return this.#numberOrDuration();
    }
    throw this.#fail(`unexpected character in duration expression: ${quoteCharacter(character)}`);
  }

  #tokenInsideBraces(): Token {
    const character = this.#take();
    if (isNameStart(character)) {
      while (isNameContinue(this.#peek())) this.#position++;
      return this.#emit('identifier');
    }
    switch (character) {
      case endOfInput:
        throw this.#fail('unexpected end of input inside braces');
      case ',':
        return this.#emit(',');
      case '"':
      case "'":
        return this.#string(character);
      case '`':
        return this.#rawString();
      case '=':
        return this.#emit(this.#accept(/^~$/) ? '=~' : '=');
      case '!': {
        const next = this.#take();
        if (next === '~') return this.#emit('!~');
        if (next === '=') return this.#emit('!=');
        throw this.#fail(`unexpected character after '!' inside braces: ${quoteCharacter(next)}`);
      }
      case '{':
        throw this.#fail(`unexpected left brace ${quoteCharacter(character)}`);
      case '}':
        this.#braceOpen = false;
        return this.#emit('}');
    }
    throw this.#fail(`unexpected character inside braces: ${quoteCharacter(character)}`);
  }

  #word(): Token {
    while (isNameContinue(this.#peek()) || this.#peek() === ':') this.#position++;
    const text = this.#text.slice(this.#start, this.#position);
    const word = text.toLowerCase();
    if (word === 'inf' || word === 'nan') return this.#emit('number');
    if (keywords.has(word) && !(wordsBeforeParenthesis.has(word) && !this.#parenthesisFollows()))
      return this.#emit(word);
    return this.#emit(text.includes(':') ? 'metric-identifier' : 'identifier');
  }

  #parenthesisFollows(): boolean {
    let at = this.#position;
    while (isSpace(this.#text.charAt(at))) at++;
    return this.#text.charAt(at) === '(';
  }

  #string(quote: string): Token {
    for (;;) {
      const character = this.#take();
      if (character === '\\') this.#escape(quote);
      else if (character === '\ufffd') throw this.#fail('invalid UTF-8 rune');
      else if (character === endOfInput || character === '\n') throw this.#fail('unterminated quoted string');
      else if (character === quote) return this.#emit('string');
    }
  }

  #rawString(): Token {
    for (;;) {
      const character = this.#take();
      if (character === '\ufffd') throw this.#fail('invalid UTF-8 rune');
      if (character === endOfInput) throw this.#fail('unterminated raw string');
      if (character === '`') return this.#emit('string');
    }
  }

  #escape(quote: string): void {
    const character = this.#take();
    if (character === quote || /^[abfnrtv\\]$/.test(character)) return;
    if (/^[0-7]$/.test(character)) this.#escapedCode(character, 3, 8, 255);
    else if (character === 'x') this.#escapedCode(this.#take(), 2, 16, 255);
    else if (character === 'u') this.#escapedCode(this.#take(), 4, 16, 0x10ffff);
    else if (character === 'U') this.#escapedCode(this.#take(), 8, 16, 0x10ffff);
    else if (character === endOfInput) throw this.#fail('escape sequence not terminated');
    else throw this.#fail(`unknown escape sequence ${describeCharacter(character)}`);
  }

  #escapedCode(first: string, digitsCount: number, base: number, codeMax: number): void {
    let code = 0;
    let character = first;
    for (let i = 0; i < digitsCount; i++) {
      if (i > 0) character = this.#take();
      if (character === endOfInput) throw this.#fail('escape sequence not terminated');
      const digit = /^[0-9a-fA-F]$/.test(character) ? Number.parseInt(character, 16) : 16;
      if (digit >= base) throw this.#fail(`illegal character ${describeCharacter(character)} in escape sequence`);
      code = code * base + digit;
    }
    if (code > codeMax || (code >= 0xd800 && code < 0xe000)) {
      throw this.#fail('escape sequence is an invalid Unicode code point');
    }
  }

  #numberOrDuration(): Token {
    if (this.#scanNumber()) return this.#emit('number');
    if (this.#scanDuration()) return this.#emit('duration');
    const read = this.#text.slice(this.#start, this.#position);
    throw this.#fail(`bad number or duration syntax: ${quoteText(read)}`);
  }

  /** After digits: the first unit and whatever pairs of digits and unit follow. Their order is checked by parseDuration. */
  #scanDuration(): boolean {
    if (!this.#accept(/^[smhdwy]$/)) return false;
    this.#accept(/^s$/);
    while (this.#accept(/^[0-9]$/)) {
      while (this.#accept(/^[0-9]$/));
      if (!this.#accept(/^[smhdw]$/)) return false;
      this.#accept(/^s$/);
    }
    const end = this.#position;
    if (isNameContinue(this.#take())) return false;
    this.#position = end;
    return true;
  }

  /**
   * Prometheus's shape of numbers: [.][digit][digits . _ e]*, where none of the last may repeat or end the number. Whether it
   * is a number is decided by parseNumber. Stops inside what may yet be a duration.
   */
  #scanNumber(): boolean {
    const first = this.#position;
    const isHexadecimal = this.#accept(/^0$/) && this.#accept(/^[xX]$/);
    if (isHexadecimal) this.#accept(/^_$/);
    const digit = isHexadecimal ? /^[0-9a-fA-F]$/ : /^[0-9]$/;
    this.#accept(/^\.$/);
    this.#accept(digit);
    let dotRead = false;
    let exponentRead = false;
    for (;;) {
      const character = this.#peek();
      if (character === '.') {
        this.#take();
        if (dotRead || this.#accept(/^[_.]$/) || isHexadecimal) return false;
        dotRead = true;
      } else if (/^[eE]$/.test(character)) {
        this.#take();
        if (exponentRead) return false;
        exponentRead = true;
        this.#accept(/^[+-]$/);
        if (this.#accept(/^[._eE]$/) || this.#peek() === endOfInput) return false;
      } else if (character === '_') {
        this.#take();
        if (this.#accept(/^[._eE]$/) || this.#peek() === endOfInput) return false;
      } else if (digit.test(character)) {
        while (this.#accept(digit));
      } else {
        break;
      }
    }
    return this.#position > first && !isNameContinue(this.#peek());
  }
}

function quoteCharacter(character: string): string {
  return quoteText(character === endOfInput ? '\ufffd' : character, "'");
}
