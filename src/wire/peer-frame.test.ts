// Peer frames: round trips in pieces of any size, golden bytes, and hostile input for every decoder.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { SeededRandom, TimbalaError } from '../base/index.ts';
import {
  decodePeerFailure,
  encodePeerFailure,
  encodePeerFrame,
  type PeerFrameHeader,
  PeerFrameReader,
  peerBodyBytesMax,
  peerFrameTypes,
  peerHeaderBytes,
  peerOpeningBytesMax,
} from './peer-frame.ts';
import { commonPeerVersion, decodePeerOpening, encodePeerOpening, type PeerOpening } from './peer-opening.ts';
import { decodePeerSamples, encodePeerSamples } from './peer-samples.ts';

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const join = (parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts));
const header = (fields: Partial<PeerFrameHeader> = {}): PeerFrameHeader => ({
  type: peerFrameTypes.request,
  kind: 1,
  hasSamples: false,
  id: 7,
  creditBytes: 0,
  patienceMs: 1_000,
  ...fields,
});
const opening: PeerOpening = {
  versionMin: 1,
  versionMax: 1,
  clusterId: '00112233445566778899aabbccddeeff',
  node: 'a',
  store: 'f'.repeat(32),
  recordHash: '0'.repeat(32),
  formats: new Map([
    ['samples', 1],
    ['definitions', 1],
  ]),
  to: 'b',
  connectionClass: 1,
  windowBytes: 8_388_608,
};
const samplesBody = {
  message: Uint8Array.of(1, 2, 3),
  definitions: Uint8Array.of(4, 5),
  edition: 9,
  samplesCount: 3,
  fingerprintSum: 0xfedc_ba98_7654_3210n,
  samples: Uint8Array.of(6, 7, 8, 9),
};

/** The code of the TimbalaError that `action` throws; undefined where it throws none. Other errors pass. */
function codeOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof TimbalaError) return error.code;
    throw error;
  }
}

type Taken = [PeerFrameHeader, Uint8Array];

function takeAll(reader: PeerFrameReader, pieces: Iterable<Uint8Array>): Taken[] {
  const taken: Taken[] = [];
  for (const piece of pieces) reader.push(piece, (frame, body) => taken.push([frame, body]));
  return taken;
}

suite('peer frames', () => {
  test('come out as they went in, however the stream is cut', () => {
    const frames = fc.array(
      fc.record({
        type: fc.constantFrom(...Object.values(peerFrameTypes)),
        kind: fc.nat(255),
        hasSamples: fc.boolean(),
        id: fc.nat(0xffff_ffff),
        creditBytes: fc.nat(0xffff_ffff),
        patienceMs: fc.nat(0xffff_ffff),
        parts: fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 3 }),
      }),
      { maxLength: 5 },
    );
    fc.assert(
      fc.property(frames, fc.integer({ min: 1, max: 300 }), (given, pieceBytes) => {
        const stream = join(given.map(({ parts, ...fields }) => encodePeerFrame(fields, parts)));
        const pieces = Array.from({ length: Math.ceil(stream.length / pieceBytes) }, (_, i) =>
          stream.subarray(i * pieceBytes, (i + 1) * pieceBytes),
        );
        const expected = given.map(({ parts, ...fields }) => [fields, join(parts)]);
        assert.deepEqual(takeAll(new PeerFrameReader(), pieces), expected);
      }),
      { numRuns: 300 },
    );
  });

  test('have bodies in buffers of their own', () => {
    const frame = encodePeerFrame(header(), [Uint8Array.of(1, 2)]);
    const [first, second] = takeAll(new PeerFrameReader(), [join([frame, frame])]);
    assert.ok(first && second && first[1].buffer !== second[1].buffer);
    assert.equal(first[1].buffer.byteLength, 2);
  });

  test('keep their bytes from version to version', () => {
    const frame = encodePeerFrame(header({ hasSamples: true, creditBytes: 5 }), encodePeerSamples(samplesBody));
    assert.equal(
      hexOf(frame),
      '21000000d4dc3f0c02010100070000000500000' +
        '0e8030000' +
        '0300000002000000090000000300000010325476' +
        '98badcfe010203040506070809',
    );
    assert.equal(
      hexOf(encodePeerOpening(opening)),
      '08544d424c50454552010101000080000011223344556677' +
        '8899aabbccddeeffffffffffffffffffffffffffffffffff0000000000000000000000000000000001610162' +
        '02' +
        '0773616d706c657301' +
        '0b646566696e6974696f6e7301',
    );
    assert.equal(hexOf(encodePeerFailure({ code: 'PEER_BUSY', text: 'é' })), '09504545525f4255535902c3a9');
  });

  test('are refused when any bit behind the length is damaged', () => {
    const frame = encodePeerFrame(header(), [Uint8Array.of(1, 2, 3)]);
    for (let bit = 32; bit < frame.length * 8; bit++) {
      const damaged = frame.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.equal(
        codeOf(() => takeAll(new PeerFrameReader(), [damaged])),
        'PEER_FRAME_CORRUPT',
      );
    }
  });

  test('are refused by their length before they have come, sooner before the opening', () => {
    const lengthOf = (bodyBytes: number): Uint8Array => {
      const bytes = new Uint8Array(peerHeaderBytes);
      new DataView(bytes.buffer).setUint32(0, bodyBytes, true);
      return bytes;
    };
    const reader = new PeerFrameReader();
    assert.equal(
      codeOf(() => takeAll(new PeerFrameReader(), [lengthOf(peerOpeningBytesMax + 1)])),
      'PEER_FRAME_TOO_LARGE',
    );
    reader.bodyBytesMax = peerBodyBytesMax;
    assert.equal(
      codeOf(() => takeAll(reader, [lengthOf(0xffff_ffff)])),
      'PEER_FRAME_TOO_LARGE',
    );
    assert.equal(
      codeOf(() => encodePeerFrame(header(), [new Uint8Array(peerBodyBytesMax), Uint8Array.of(1)])),
      'PEER_FRAME_TOO_LARGE',
    );
  });

  test('of unknown types or flags are refused, though their checksum is right', () => {
    const unknown = { ...header(), type: 99 } as unknown as PeerFrameHeader;
    assert.equal(
      codeOf(() => takeAll(new PeerFrameReader(), [encodePeerFrame(unknown, [])])),
      'PEER_FRAME_CORRUPT',
    );
  });

  test('any bytes give frames, a wait for more, or a typed error', () => {
    const random = new SeededRandom(1);
    const good = encodePeerFrame(header(), [new Uint8Array(50)]);
    for (let i = 0; i < 3_000; i++) {
      const bytes = join([good, good]);
      for (let flips = random.below(4); flips >= 0; flips--) bytes[random.below(bytes.length)] = random.below(256);
      const code = codeOf(() => takeAll(new PeerFrameReader(), [bytes]));
      assert.ok([undefined, 'PEER_FRAME_CORRUPT', 'PEER_FRAME_TOO_LARGE'].includes(code), code);
    }
  });
});

suite('openings', () => {
  test('round-trip, and pass over fields of later programs', () => {
    const bytes = encodePeerOpening(opening);
    assert.deepEqual(decodePeerOpening(bytes), opening);
    assert.deepEqual(decodePeerOpening(join([bytes, Uint8Array.of(1, 2, 3)])), opening);
  });

  test('any prefix is refused, and any damage gives an opening or a typed error', () => {
    const bytes = encodePeerOpening(opening);
    const random = new SeededRandom(2);
    for (let length = 0; length < bytes.length; length++) {
      assert.equal(
        codeOf(() => decodePeerOpening(bytes.subarray(0, length))),
        'PEER_FRAME_CORRUPT',
      );
    }
    for (let i = 0; i < 3_000; i++) {
      const damaged = bytes.slice();
      for (let flips = random.below(4); flips >= 0; flips--) damaged[random.below(bytes.length)] = random.below(256);
      assert.ok([undefined, 'PEER_FRAME_CORRUPT'].includes(codeOf(() => decodePeerOpening(damaged))));
    }
  });

  test('agree on the highest version that both speak, or on none', () => {
    assert.equal(commonPeerVersion({ versionMin: 1, versionMax: 3 }), 1);
    assert.equal(commonPeerVersion({ versionMin: 2, versionMax: 3 }), undefined);
    assert.equal(commonPeerVersion({ versionMin: 0, versionMax: 0 }), undefined);
  });
});

suite('bodies', () => {
  test('with samples round-trip', () => {
    assert.deepEqual(decodePeerSamples(join(encodePeerSamples(samplesBody))), samplesBody);
  });

  test('with samples: any prefix and any bytes give a body or a typed error', () => {
    const bytes = join(encodePeerSamples(samplesBody));
    for (let length = 0; length < bytes.length - samplesBody.samples.length + samplesBody.samplesCount; length++) {
      assert.equal(
        codeOf(() => decodePeerSamples(bytes.subarray(0, length))),
        'PEER_FRAME_CORRUPT',
      );
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (any) => {
        assert.ok([undefined, 'PEER_FRAME_CORRUPT'].includes(codeOf(() => decodePeerSamples(any))));
      }),
      { numRuns: 2_000 },
    );
  });

  test('of failures keep code and text within bounds', () => {
    const failure = { code: 'STORE_FULL', text: 'no room on disk' };
    assert.deepEqual(decodePeerFailure(encodePeerFailure(failure)), failure);
    assert.equal(decodePeerFailure(encodePeerFailure({ code: 'X', text: 'x'.repeat(5_000) })).text.length, 1_000);
    // A code that could not be one of ours is not handed on as if it were.
    assert.equal(decodePeerFailure(encodePeerFailure({ code: '<b>', text: '' })).code, 'PEER_FAILED');
    for (const bytes of ['', 'ff', '0458', '0158', '01ff00']) {
      assert.equal(
        codeOf(() => decodePeerFailure(Uint8Array.from(Buffer.from(bytes, 'hex')))),
        'PEER_FRAME_CORRUPT',
      );
    }
  });
});
