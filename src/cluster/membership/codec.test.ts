// The bytes on the wire: golden messages written by memberlist 0.7.0's own codec, round trips, and hostile input.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { crc32 } from 'node:zlib';
import { SeededRandom, TimbalaError } from '../../base/index.ts';
import { NodeAesGcm } from '../../node/index.ts';
import { addressText, hostOf, networkAddressOf, wireAddressOf } from './address.ts';
import { Keyring } from './keyring.ts';
import { compressLzw, decompressLzw } from './lzw.ts';
import {
  decodeMessage,
  encodeError,
  encodeMessage,
  encodePushPull,
  type Message,
  type NodeReport,
} from './messages.ts';
import { MessageWriter } from './msgpack.ts';
import { compressMessage, joinMessages, openPacket, sealPacket } from './packet.ts';
import { sealStream, StreamDecoder } from './stream.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const vsn = Uint8Array.of(1, 5, 2, 0, 0, 0);
const a = { address: { ip: Uint8Array.of(10, 0, 0, 1), port: 7946 }, name: 'a' };

/** By memberlist's structs and go-msgpack 2.1.5. */
const golden: Record<string, { readonly bytes: string; readonly message: Message }> = {
  ping: {
    bytes:
      '0085a44e6f6465a162a55365714e6f07aa536f7572636541646472a40a000001aa536f757263654e6f6465a161' +
      'aa536f75726365506f7274cd1f0a',
    message: { kind: 'ping', sequence: 7, node: 'b', source: a },
  },
  'ping without source': {
    bytes: '0082a44e6f6465a0a55365714e6fce00011170',
    message: { kind: 'ping', sequence: 70_000, node: '', source: undefined },
  },
  'indirect ping': {
    bytes:
      '0188a44e61636bc3a44e6f6465a162a4506f7274cd1f0aa55365714e6fcd012caa536f7572636541646472a40a000001' +
      'aa536f757263654e6f6465a161aa536f75726365506f7274cd1f0aa6546172676574a40a000002',
    message: {
      kind: 'indirectPing',
      sequence: 300,
      target: { ip: Uint8Array.of(10, 0, 0, 2), port: 7946 },
      node: 'b',
      wantsNack: true,
      source: a,
    },
  },
  ack: { bytes: '0282a75061796c6f6164c0a55365714e6f07', message: { kind: 'ack', sequence: 7 } },
  nack: { bytes: '0b81a55365714e6fceffffffff', message: { kind: 'nack', sequence: 4_294_967_295 } },
  suspect: {
    bytes: '0383a446726f6da161ab496e6361726e6174696f6eccc8a44e6f6465a162',
    message: { kind: 'suspect', incarnation: 200, node: 'b', from: 'a' },
  },
  dead: {
    bytes: '0583a446726f6da162ab496e6361726e6174696f6e03a44e6f6465a162',
    message: { kind: 'dead', incarnation: 3, node: 'b', from: 'b' },
  },
  alive: {
    bytes:
      '0486a441646472a40a000001ab496e6361726e6174696f6e01a44d657461da0026' +
      '6d65746164617461206f66206d6f7265207468616e207468697274792d6f6e65206279746573' +
      'a44e6f6465a161a4506f7274cd1f0aa356736ea6010502000000',
    message: {
      kind: 'alive',
      incarnation: 1,
      node: 'a',
      address: a.address,
      metadata: text('metadata of more than thirty-one bytes'),
      versions: vsn,
    },
  },
  'alive with IPv6 and no metadata': {
    bytes:
      '0486a441646472b0fefefefefefefefefefefefefefefefeab496e6361726e6174696f6e01a44d657461c0a44e6f6465a161' +
      'a4506f7274cd1f0aa356736ea6010502000000',
    message: {
      kind: 'alive',
      incarnation: 1,
      node: 'a',
      address: { ip: new Uint8Array(16).fill(0xfe), port: 7946 },
      metadata: new Uint8Array(),
      versions: vsn,
    },
  },
};

const goldenPushPull = hex(
  '0683a44a6f696ec3a54e6f64657302ac5573657253746174654c656e03' +
    '87a441646472a40a000000ab496e6361726e6174696f6e09a44d657461c0a44e616d65a161a4506f7274cd1f0aa5537461746500' +
    'a356736ea601050200000087a441646472a40a000001ab496e6361726e6174696f6e09a44d657461c0a44e616d65a162' +
    'a4506f7274cd1f0aa5537461746501a356736ea6010502000000010203',
);

const report = (node: string, last: number, state: number): NodeReport => ({
  node,
  address: { ip: Uint8Array.of(10, 0, 0, last), port: 7946 },
  metadata: new Uint8Array(),
  versions: vsn,
  incarnation: 9,
  state,
});

const sealed0 = '006e6f6e6365206f66203132626c2c4eb0873b8820a6e85bfc989ee2e6f725a8cce7ca80314958489090acc83a';
const sealed1 = '016e6f6e6365206f66203132626c2c4eb0873b8820a632dc95a13e6593187473f10f503a5cba';
const keyA = text('0123456789abcdef');
const keyB = text('another key of 32 bytes, as long');
const seeded = { fill: (target: Uint8Array) => void target.fill(7), float: () => 0.5 };
const ringOf = (...keys: Uint8Array[]): Keyring => new Keyring(new NodeAesGcm(), seeded, keys);

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

const decodeCodes = [undefined, 'GOSSIP_DECODE', 'GOSSIP_SHORT', 'GOSSIP_TOO_LARGE', 'GOSSIP_CRC', 'GOSSIP_DECRYPT'];

suite('messages', () => {
  for (const [name, { bytes, message }] of Object.entries(golden)) {
    test(`decodes what memberlist writes: ${name}`, () => assert.deepEqual(decodeMessage(hex(bytes)), message));
    test(`decodes what it writes itself: ${name}`, () => {
      assert.notEqual(message.kind, 'user');
      if (message.kind !== 'user') assert.deepEqual(decodeMessage(encodeMessage(message)), message);
    });
  }

  test('steps over fields that it does not know', () => {
    const writer = new MessageWriter();
    writer.byte(11);
    writer.map({ Later: 'text', SeqNo: 5, More: true, Bytes: new Uint8Array(40_000) });
    assert.deepEqual(decodeMessage(writer.copy()), { kind: 'nack', sequence: 5 });
    // A map {Nested: [1, {a: nil}, -1.5 as float64, ext]} before SeqNo.
    const nested = hex('0b82a64e6573746564940181a161c0cbbff8000000000000d40102a55365714e6f05');
    assert.deepEqual(decodeMessage(nested), { kind: 'nack', sequence: 5 });
  });

  test('refuses values out of bounds', () => {
    const alive = {
      kind: 'alive',
      incarnation: 1,
      node: 'a',
      address: a.address,
      metadata: text(''),
      versions: vsn,
    } as const;
    const refused: Message[] = [
      { ...alive, node: '' },
      { ...alive, node: 'n'.repeat(256) },
      { ...alive, metadata: new Uint8Array(513) },
      { ...alive, versions: new Uint8Array(17) },
      { ...alive, address: { ip: Uint8Array.of(1, 2, 3), port: 1 } },
      { ...alive, address: { ip: Uint8Array.of(1, 2, 3, 4), port: 0 } },
      { ...alive, address: { ip: Uint8Array.of(1, 2, 3, 4), port: 65_536 } },
      { kind: 'dead', incarnation: 1, node: 'a', from: '' },
    ];
    for (const message of refused) {
      if (message.kind === 'user') continue;
      assert.equal(
        codeOf(() => decodeMessage(encodeMessage(message))),
        'GOSSIP_DECODE',
        JSON.stringify(message),
      );
    }
    assert.equal(decodeMessage(encodeMessage({ ...alive, node: 'ä'.repeat(127) })).kind, 'alive');
    assert.equal(
      codeOf(() => decodeMessage(encodeMessage({ ...alive, node: 'ä'.repeat(128) }))),
      'GOSSIP_DECODE',
    );
    // −1 and 2³² as a sequence; text that is not UTF-8.
    for (const bytes of [
      '0b81a55365714e6fff',
      '0b81a55365714e6fd3ffffffffffffffff',
      '0b81a55365714e6fcf0000000100000000',
    ]) {
      assert.equal(
        codeOf(() => decodeMessage(hex(bytes))),
        'GOSSIP_DECODE',
        bytes,
      );
    }
    assert.equal(
      codeOf(() => decodeMessage(hex('0082a44e6f6465a1ffa55365714e6f07'))),
      'GOSSIP_DECODE',
    );
  });
});

suite('LZW', () => {
  /** Lengths and checksums of what Go's compress/lzw makes of random bytes, and of random bytes of two bits. */
  const goldenLengths: [bytes: number, number, number, number, number][] = [
    [0, 3, 979561469, 3, 979561469],
    [1, 4, 857553398, 4, 1132966966],
    [5, 8, 2820075445, 8, 2976760986],
    [3000, 4037, 3130875133, 1008, 795528431],
    [3837, 5249, 900441082, 1269, 458006466],
    [3838, 5251, 3592330999, 1269, 1330122548],
    [3839, 5252, 1704930518, 1269, 2673952049],
    [3840, 5254, 1045396227, 1271, 3613620228],
    [3841, 5255, 1378778630, 1271, 41388255],
    [20000, 27330, 1871492739, 6050, 76213288],
    [70000, 95792, 3935313983, 20881, 1520108477],
  ];
  test('compresses byte for byte as Go does, through full tables too, and back', () => {
    for (const [bytesCount, length, crc, shortLength, shortCrc] of goldenLengths) {
      let x = 1;
      const input = Uint8Array.from({ length: bytesCount }, () => {
        x ^= x << 13;
        x ^= x >>> 17;
        x ^= x << 5;
        return x >>> 8;
      });
      const compressed = compressLzw(input);
      assert.deepEqual([compressed.length, crc32(compressed)], [length, crc], `${bytesCount} bytes`);
      assert.deepEqual(decompressLzw(compressed, bytesCount), input);
      const short = compressLzw(input.map((byte) => byte & 3));
      assert.deepEqual([short.length, crc32(short)], [shortLength, shortCrc], `${bytesCount} bytes of two bits`);
      assert.deepEqual(
        decompressLzw(short, bytesCount),
        input.map((byte) => byte & 3),
      );
    }
  });

  test('gives back any input', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3_000, max: 20 }), (input) => {
        assert.deepEqual([...decompressLzw(compressLzw(input), input.length)], [...input]);
      }),
      { numRuns: 200 },
    );
  });

  test('stops at the limit, however small the bomb', () => {
    const bomb = compressLzw(new Uint8Array(5_000_000));
    assert.ok(bomb.length < 20_000);
    assert.equal(
      codeOf(() => decompressLzw(bomb, 4_999_999)),
      'GOSSIP_TOO_LARGE',
    );
    assert.equal(decompressLzw(bomb, 5_000_000).length, 5_000_000);
  });

  test('takes a table that stays full', () => {
    // 5,000 codes of 12 bits after the table has filled: the decoder must keep its last entry as it is.
    let bits = 0n;
    let count = 0n;
    const put = (code: number, width: number): void => {
      bits |= BigInt(code) << count;
      count += BigInt(width);
    };
    put(256, 9);
    let last = 257;
    let width = 9;
    for (let i = 0; i < 5_000; i++) {
      put(i & 255, width);
      last = Math.min(last + 1, 4_096);
      if (last >= 1 << width && width < 12) width++;
    }
    put(257, width);
    const bytes = Uint8Array.from({ length: Number(count / 8n) + 1 }, (_, i) => Number((bits >> BigInt(i * 8)) & 255n));
    const expected = Uint8Array.from({ length: 5_000 }, (_, i) => i & 255);
    assert.deepEqual(decompressLzw(bytes, 10_000), expected);
  });
});

suite('packets', () => {
  const messages = Object.values(golden).map(({ bytes }) => hex(bytes));
  const expected = Object.values(golden).map(({ message }) => message);

  test('carry one message or many, with and without checksum', () => {
    for (const withCrc of [false, true]) {
      assert.deepEqual(openPacket(sealPacket(messages, undefined, withCrc), undefined), expected);
      assert.deepEqual(
        openPacket(sealPacket(messages.slice(0, 1), undefined, withCrc), undefined),
        expected.slice(0, 1),
      );
    }
  });

  test('decompresses what memberlist compressed', () => {
    const compressed =
      '0982a4416c676f00a3427566da002400070c226544ce9b36a1c2ac4ae2664c18396ec2d049f3c60d3364a49cbc215326949880';
    assert.deepEqual(openPacket(hex(compressed), undefined), [golden['suspect']?.message]);
  });

  test('passes over messages of the application', () => {
    const packet = joinMessages([Uint8Array.of(8, 1, 2, 3), hex(golden['nack']?.bytes ?? '')]);
    assert.deepEqual(openPacket(packet, undefined), [{ kind: 'user' }, golden['nack']?.message]);
  });

  test('are refused when damaged, for every bit under the checksum', () => {
    const packet = sealPacket(messages.slice(0, 1), undefined, true);
    for (let bit = 8; bit < packet.length * 8; bit++) {
      const damaged = packet.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.equal(
        codeOf(() => openPacket(damaged, undefined)),
        'GOSSIP_CRC',
      );
    }
  });

  test('any prefix and any flip gives messages or a typed error', () => {
    const random = new SeededRandom(1);
    for (const packet of [joinMessages(messages), compressMessage(joinMessages(messages)), ...messages]) {
      for (let length = 0; length < packet.length; length++) {
        const code = codeOf(() => openPacket(packet.subarray(0, length), undefined));
        assert.ok(decodeCodes.includes(code) && code !== undefined, `${length} bytes of ${packet.length}: ${code}`);
      }
      for (let i = 0; i < 2_000; i++) {
        const damaged = packet.slice();
        for (let flips = random.below(4); flips >= 0; flips--)
          damaged[random.below(damaged.length)] = random.below(256);
        assert.ok(decodeCodes.includes(codeOf(() => openPacket(damaged, undefined))));
      }
    }
  });

  test('any bytes give messages or a typed error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(13), (bytes, type) => {
        assert.ok(decodeCodes.includes(codeOf(() => openPacket(Uint8Array.of(type, ...bytes), undefined))));
      }),
      { numRuns: 3_000 },
    );
  });

  test('nest only so deep, hold only so many messages, and decompress to only so much', () => {
    let packet: Uint8Array = hex(golden['nack']?.bytes ?? '');
    for (let depth = 0; depth < 4; depth++)
      packet = Uint8Array.of(7, 1, packet.length >> 8, packet.length & 255, ...packet);
    assert.equal(openPacket(packet, undefined).length, 1);
    packet = Uint8Array.of(7, 1, packet.length >> 8, packet.length & 255, ...packet);
    assert.equal(
      codeOf(() => openPacket(packet, undefined)),
      'GOSSIP_DECODE',
    );

    const full = joinMessages(Array.from({ length: 255 }, () => Uint8Array.of(8)));
    assert.equal(
      codeOf(() => openPacket(joinMessages(Array.from({ length: 5 }, () => full)), undefined)),
      'GOSSIP_TOO_LARGE',
    );

    const bomb = compressMessage(new Uint8Array(100_000));
    assert.equal(
      codeOf(() => openPacket(bomb, undefined)),
      'GOSSIP_TOO_LARGE',
    );
    // A byte string of 4 GB, a map of 65,535 entries and an array of 4 billion items, of which nothing is there.
    for (const bytes of ['0b81a55365714e6fdbffffffff', '0bdeffff', '0b81a178ddffffffff']) {
      assert.ok(['GOSSIP_SHORT', 'GOSSIP_DECODE'].includes(codeOf(() => openPacket(hex(bytes), undefined)) ?? ''));
    }
    // Containers in containers: 0x91 is an array of one item.
    assert.equal(
      codeOf(() => openPacket(hex(`0b81a178${'91'.repeat(1_000)}`), undefined)),
      'GOSSIP_DECODE',
    );
  });
});

suite('encryption', () => {
  test('opens what memberlist sealed, padded (version 0) and not (version 1)', () => {
    for (const sealed of [sealed0, sealed1]) {
      assert.deepEqual(openPacket(hex(sealed), ringOf(keyA)), [{ kind: 'nack', sequence: 7 }]);
      const plain = ringOf(keyA).open(hex(sealed), new Uint8Array());
      assert.deepEqual([...plain], [...encodeMessage({ kind: 'nack', sequence: 7 })], 'without padding');
    }
  });

  test('takes any key of the ring, and seals with the first', () => {
    const nack = encodeMessage({ kind: 'nack', sequence: 7 });
    const both = ringOf(keyB, keyA);
    assert.equal(openPacket(hex(sealed1), both).length, 1);
    assert.equal(
      codeOf(() => openPacket(sealPacket([nack], both, false), ringOf(keyA))),
      'GOSSIP_DECRYPT',
    );
    both.replace([keyA, keyB]);
    assert.equal(openPacket(sealPacket([nack], both, false), ringOf(keyA)).length, 1);
    both.replace([keyA]);
    assert.equal(
      codeOf(() => openPacket(sealPacket([nack], ringOf(keyB), false), both)),
      'GOSSIP_DECRYPT',
    );
  });

  test('guards the keyring against what would lock nodes out', () => {
    const ring = ringOf(keyA);
    for (const keys of [[], [text('short')], [keyB, text('short')]]) {
      assert.equal(
        codeOf(() => ring.replace(keys)),
        'GOSSIP_KEY',
      );
    }
    assert.equal(openPacket(hex(sealed1), ring).length, 1, 'nothing has changed');
    assert.equal(
      codeOf(() => ringOf()),
      'GOSSIP_KEY',
    );
  });

  test('refuses every damaged bit, every prefix and plain packets', () => {
    const ring = ringOf(keyA);
    for (const sealed of [hex(sealed0), hex(sealed1)]) {
      for (let bit = 8; bit < sealed.length * 8; bit++) {
        const damaged = sealed.slice();
        damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        assert.equal(
          codeOf(() => openPacket(damaged, ring)),
          'GOSSIP_DECRYPT',
        );
      }
      for (let length = 0; length < sealed.length; length++) {
        assert.equal(
          codeOf(() => openPacket(sealed.subarray(0, length), ring)),
          'GOSSIP_DECRYPT',
        );
      }
    }
    assert.equal(
      codeOf(() => openPacket(hex(golden['alive']?.bytes ?? ''), ring)),
      'GOSSIP_DECRYPT',
    );
  });
});

suite('streams', () => {
  const nodes = Array.from({ length: 300 }, (_, i) => report(`node-${i}`, i & 255, i & 3));
  const pushPull = { kind: 'pushPull', isJoin: false, nodes } as const;
  const pieces = (bytes: Uint8Array, size: number): Uint8Array[] =>
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));

  test('decodes a push/pull of memberlist, its user state passed over', () => {
    const expected = { kind: 'pushPull', isJoin: true, nodes: [report('a', 0, 0), report('b', 1, 1)] };
    assert.deepEqual(new StreamDecoder(undefined).push(goldenPushPull), expected);
    const decoder = new StreamDecoder(undefined);
    for (const piece of pieces(goldenPushPull.subarray(0, -1), 1)) assert.equal(decoder.push(piece), undefined);
    assert.deepEqual(decoder.push(goldenPushPull.subarray(-1)), expected);
  });

  test('takes messages in pieces of any size: plain, compressed, encrypted', () => {
    const plain = encodePushPull(false, nodes);
    const ring = ringOf(keyA);
    const compressed = sealStream(plain, undefined);
    assert.ok(compressed.length < plain.length / 2);
    for (const [bytes, keyring] of [
      [plain, undefined],
      [compressed, undefined],
      [sealStream(plain, ring), ring],
    ] as const) {
      for (const size of [1, 100, 4_096, bytes.length]) {
        const decoder = new StreamDecoder(keyring);
        const answers = pieces(bytes, size).map((piece) => decoder.push(piece));
        assert.deepEqual(answers.at(-1), pushPull);
        assert.ok(answers.slice(0, -1).every((answer) => answer === undefined));
      }
    }
  });

  test('carries pings, acks and errors', () => {
    for (const name of ['ping', 'ack']) {
      const { bytes, message } = golden[name] ?? { bytes: '', message: undefined };
      assert.deepEqual(new StreamDecoder(undefined).push(hex(bytes)), message);
    }
    assert.deepEqual(new StreamDecoder(undefined).push(hex('0d81a54572726f72a26e6f')), { kind: 'error', text: 'no' });
    assert.deepEqual(new StreamDecoder(undefined).push(encodeError('no')), { kind: 'error', text: 'no' });
  });

  test('refuses what is too large before it has come, and plain streams where there is a key', () => {
    const push = (bytes: string, keyring?: Keyring) => codeOf(() => new StreamDecoder(keyring).push(hex(bytes)));
    assert.equal(push('0a01400001', ringOf(keyA)), 'GOSSIP_TOO_LARGE');
    assert.equal(push('0a00000010'), 'GOSSIP_DECRYPT');
    assert.equal(push('0683', ringOf(keyA)), 'GOSSIP_DECRYPT');
    // A push/pull of 2³² − 1 nodes.
    assert.equal(push('0681a54e6f646573ceffffffff'), 'GOSSIP_TOO_LARGE');
    assert.equal(push('0681ac5573657253746174654c656eceffffffff'), 'GOSSIP_TOO_LARGE');
    const whole = encodePushPull(false, nodes.slice(0, 40));
    const truncated = compressMessage(whole.slice(0, -1));
    assert.equal(
      codeOf(() => new StreamDecoder(undefined).push(truncated)),
      'GOSSIP_DECODE',
    );
    assert.equal(
      codeOf(() => new StreamDecoder(ringOf(keyA)).push(sealStream(whole.slice(0, -1), ringOf(keyA)))),
      'GOSSIP_DECODE',
    );
  });

  test('flipped bytes give a message, a wait for more or a typed error', () => {
    const random = new SeededRandom(2);
    for (const bytes of [goldenPushPull, sealStream(encodePushPull(true, nodes.slice(0, 20)), undefined)]) {
      for (let i = 0; i < 3_000; i++) {
        const damaged = bytes.slice();
        for (let flips = random.below(3); flips >= 0; flips--)
          damaged[random.below(damaged.length)] = random.below(256);
        assert.ok(decodeCodes.includes(codeOf(() => new StreamDecoder(undefined).push(damaged))));
      }
    }
  });
});

test('addresses keep their meaning between bytes and text', () => {
  for (const [host, text] of [
    ['127.0.0.1', '127.0.0.1:1'],
    ['0:0:0:0:0:0:0:1', '[0:0:0:0:0:0:0:1]:1'],
    ['fe80:0:0:0:1:2:3:abcd', '[fe80:0:0:0:1:2:3:abcd]:1'],
  ] as const) {
    const address = networkAddressOf(wireAddressOf({ host, port: 1 }));
    assert.deepEqual([address.host, addressText(address)], [host, text]);
  }
  assert.equal(hostOf(wireAddressOf({ host: '::1', port: 1 }).ip), '0:0:0:0:0:0:0:1');
  assert.equal(hostOf(wireAddressOf({ host: 'fe80::', port: 1 }).ip), 'fe80:0:0:0:0:0:0:0');
  assert.equal(hostOf(hex('00000000000000000000ffff0a000001')), '10.0.0.1');
  for (const host of ['', 'localhost', '1.2.3', '1.2.3.256', '::1::', '1:2:3:4:5:6:7:8:9', ':::', '12345::']) {
    assert.equal(
      codeOf(() => wireAddressOf({ host, port: 1 })),
      'GOSSIP_ADDRESS',
      host,
    );
  }
  for (const port of [0, 65_536, -1, Number.NaN]) {
    assert.equal(
      codeOf(() => wireAddressOf({ host: '1.2.3.4', port })),
      'GOSSIP_ADDRESS',
      String(port),
    );
  }
});
