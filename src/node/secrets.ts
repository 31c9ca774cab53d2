// Keys and certificates, from the files that options name. What is in them is never logged.
import { readFileSync } from 'node:fs';
import { errorMessage, TimbalaError } from '../base/index.ts';
import type { StreamSecurity } from './network.ts';

const base64Key = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
/** Of AES-128, AES-192 and AES-256. */
const keyLengths = [16, 24, 32];

function read(path: string, code: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new TimbalaError(code, `${path} can't be read: ${errorMessage(cause)}`, { cause });
  }
}

/** Keys of gossip, one in each line, in base64; empty lines are passed over. Throws GOSSIP_KEY. */
export function readGossipKeys(path: string): Uint8Array[] {
  const keys: Uint8Array[] = [];
  for (const [index, line] of read(path, 'GOSSIP_KEY').split('\n').entries()) {
    const text = line.trim();
    if (text === '') continue;
    const key = Buffer.from(text, 'base64');
    if (!base64Key.test(text) || !keyLengths.includes(key.length)) {
      const remedy = 'make one by `openssl rand -base64 32`';
      throw new TimbalaError('GOSSIP_KEY', `${path}, line ${index + 1}: no 16, 24 or 32 bytes in base64; ${remedy}`);
    }
    keys.push(new Uint8Array(key));
  }
  if (keys.length === 0) throw new TimbalaError('GOSSIP_KEY', `${path} holds no key; nothing would be encrypted`);
  return keys;
}

/** Paths of files in PEM. */
export interface StreamSecurityFiles {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

/** Throws PEER_TLS. Whether they fit together shows where they are used. */
export function readStreamSecurity({ certificate, key, authority }: StreamSecurityFiles): StreamSecurity {
  return {
    certificate: read(certificate, 'PEER_TLS'),
    key: read(key, 'PEER_TLS'),
    authority: read(authority, 'PEER_TLS'),
  };
}
