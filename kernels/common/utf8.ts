// UTF-8 validation (RFC 3629, as Go's utf8.Valid): no overlong forms, no surrogates, nothing above U+10FFFF.

/** True where the bytes are valid UTF-8. Nothing is read beyond their end. */
export function isUtf8(source: usize, bytesCount: u32): bool {
  const end = source + bytesCount;
  let at = source;
  while (at < end) {
    // Nearly all labels are ASCII: eight bytes at a time.
    if (end - at >= 8 && (load<u64>(at) & 0x8080808080808080) == 0) {
      at += 8;
      continue;
    }
    const lead = load<u8>(at);
    if (lead < 0x80) {
      at++;
      continue;
    }
    const length = sequenceLength(lead);
    if (length == 0 || <usize>length > end - at || !isSequence(at, lead, length)) return false;
    at += length;
  }
  return true;
}

/** Bytes of the sequence that `lead` (0x80 or above) begins; 0 where it can't begin one. */
function sequenceLength(lead: u32): u32 {
  if (lead < 0xc2) return 0;
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) return 3;
  return lead < 0xf5 ? 4 : 0;
}

function isSequence(at: usize, lead: u32, length: u32): bool {
  // The second byte's range excludes overlong forms, surrogates and what lies above U+10FFFF.
  let lowest: u32 = 0x80;
  let highest: u32 = 0xbf;
  if (lead == 0xe0) lowest = 0xa0;
  else if (lead == 0xed) highest = 0x9f;
  else if (lead == 0xf0) lowest = 0x90;
  else if (lead == 0xf4) highest = 0x8f;
  const second = load<u8>(at, 1);
  if (second < lowest || second > highest) return false;
  for (let i: u32 = 2; i < length; i++) if ((load<u8>(at + i) & 0xc0) != 0x80) return false;
  return true;
}
