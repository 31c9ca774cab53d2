// AES-GCM by OpenSSL, through node:crypto.
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { AesGcm } from '../ports/index.ts';

const tagBytes = 16;

const algorithmOf = (key: Uint8Array): 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' =>
  key.length === 16 ? 'aes-128-gcm' : key.length === 24 ? 'aes-192-gcm' : 'aes-256-gcm';

export class NodeAesGcm implements AesGcm {
  seal(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array, additional: Uint8Array): Uint8Array {
    const cipher = createCipheriv(algorithmOf(key), key, nonce, { authTagLength: tagBytes });
    cipher.setAAD(additional);
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, additional: Uint8Array): Uint8Array | undefined {
    if (sealed.length < tagBytes) return undefined;
    const decipher = createDecipheriv(algorithmOf(key), key, nonce, { authTagLength: tagBytes });
    decipher.setAAD(additional);
    decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
    const plain = decipher.update(sealed.subarray(0, sealed.length - tagBytes));
    try {
      return Buffer.concat([plain, decipher.final()]);
    } catch {
      return undefined; // `final` compares the tag and throws where it differs
    }
  }
}
