// The keys of an encrypted cluster: the first encrypts, all decrypt. A key is changed without a pause in three steps, each
// on every node before the next: the new key behind the old one, before it, without it.
import { TimbalaError } from '../../base/index.ts';
import type { AesGcm, Random } from '../../ports/index.ts';

const nonceBytes = 12;
const tagBytes = 16;
const blockBytes = 16;
/** Version byte, nonce and tag: what sealing adds to a message (version 1). */
export const sealBytes = 1 + nonceBytes + tagBytes;

function requireKey({ length }: Uint8Array): void {
  if (![16, 24, 32].includes(length)) {
    throw new TimbalaError('GOSSIP_KEY', `a key of ${length} bytes; keys have 16, 24 or 32`);
  }
}

export class Keyring {
  readonly #cipher: AesGcm;
  readonly #random: Random;
  #keys: readonly Uint8Array[];

  /** Keys of 16, 24 or 32 bytes, the one to encrypt with first. Throws GOSSIP_KEY. */
  constructor(cipher: AesGcm, random: Random, keys: readonly Uint8Array[]) {
    this.#cipher = cipher;
    this.#random = random;
    this.#keys = [];
    this.replace(keys);
  }

  /** These keys from now on, the one to encrypt with first. Throws GOSSIP_KEY, and nothing has changed. */
  replace(keys: readonly Uint8Array[]): void {
    if (keys.length === 0) throw new TimbalaError('GOSSIP_KEY', 'a keyring needs a key; nothing would be encrypted');
    for (const key of keys) requireKey(key);
    this.#keys = keys.map((key) => key.slice());
  }

  /** A new buffer: version 1, nonce, ciphertext, tag. */
  seal(plain: Uint8Array, additional: Uint8Array): Uint8Array<ArrayBuffer> {
    const key = this.#keys[0] ?? new Uint8Array();
    const sealed = new Uint8Array(sealBytes + plain.length);
    sealed[0] = 1;
    const nonce = sealed.subarray(1, 1 + nonceBytes);
    this.#random.fill(nonce);
    sealed.set(this.#cipher.seal(key, nonce, plain, additional), 1 + nonceBytes);
    return sealed;
  }

  /** A new buffer with the plaintext, of version 0 (padded) or 1. Throws GOSSIP_DECRYPT. */
  open(sealed: Uint8Array, additional: Uint8Array): Uint8Array {
    const version = sealed[0];
    if (version === undefined || version > 1 || sealed.length < sealBytes) {
      throw new TimbalaError('GOSSIP_DECRYPT', 'the message is not encrypted, or damaged; it was dropped');
    }
    const nonce = sealed.subarray(1, 1 + nonceBytes);
    const body = sealed.subarray(1 + nonceBytes);
    for (const key of this.#keys) {
      const plain = this.#cipher.open(key, nonce, body, additional);
      if (plain) return version === 0 ? withoutPadding(plain) : plain;
    }
    throw new TimbalaError(
      'GOSSIP_DECRYPT',
      'none of our keys fits; the message was dropped. Do all nodes share a key?',
    );
  }
}

/** PKCS #7: the last byte says how many bytes to take away. */
function withoutPadding(plain: Uint8Array): Uint8Array {
  const count = plain.at(-1) ?? 0;
  if (count === 0 || count > blockBytes || count > plain.length) {
    throw new TimbalaError('GOSSIP_DECRYPT', 'damaged padding; the message was dropped');
  }
  return plain.subarray(0, plain.length - count);
}
