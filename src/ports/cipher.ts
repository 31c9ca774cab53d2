/** AES in Galois/Counter Mode (NIST SP 800-38D) with nonces of 12 bytes and tags of 16. */
export interface AesGcm {
  /** A new buffer: ciphertext, then tag. `key`: 16, 24 or 32 bytes. `additional` is authenticated, not encrypted. */
  seal(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array, additional: Uint8Array): Uint8Array;
  /** A new buffer with the plaintext; undefined where key, nonce, additional data or bytes do not fit the tag. */
  open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, additional: Uint8Array): Uint8Array | undefined;
}
