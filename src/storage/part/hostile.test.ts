// Blocks whose checksum is right but whose contents are not: what a faulty or hostile writer could leave. Decoders answer
// with an error of the DECODE family, or with something; in bounded time and memory.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SimDisk } from '../../../sim/disk.ts';
import { hourMs, TimbalaError } from '../../base/index.ts';
import { Labels, SampleBuffer } from '../../model/index.ts';
import { BlockFile, blockAlignment, blockHeaderBytes, blockKind, type BlockPointer } from '../index/block-file.ts';
import { decodeNamesLeaf, decodePairsLeaf, decodePostingsLeaf, decodeSeriesLeaf } from '../index/series-index.ts';
import { decodeDigestsLeaf } from './digests.ts';
import { Part, PartCaches } from './index.ts';
import { partFile, readFooter, readMeta } from './meta.ts';
import { decodePartitionsLeaf } from './partitions.ts';
import { bitsOf, kernel, sourceOf, writeTestPart } from './test-support.ts';
import { decodeTilesLeaf } from './tile-reader.ts';
import { decodeColumnsLeaf, decodeTimelinesLeaf } from './timeline-reader.ts';

const window = { startMs: 0, endMs: 24 * hourMs };
const decoders = new Map<number, (payload: Uint8Array) => unknown>([
  [blockKind.columns, (payload) => decodeColumnsLeaf(payload, 0)],
  [blockKind.timelines, (payload) => decodeTimelinesLeaf(payload, 0, 0, hourMs)],
  [blockKind.tiles, (payload) => decodeTilesLeaf(payload, 0)],
  [blockKind.series, (payload) => decodeSeriesLeaf(payload, 0)],
  [blockKind.pairs, (payload) => decodePairsLeaf(payload, 0)],
  [blockKind.names, (payload) => decodeNamesLeaf(payload, 0)],
  [blockKind.postings, (payload) => decodePostingsLeaf(payload, 0)],
  [blockKind.digests, (payload) => decodeDigestsLeaf(payload, 0)],
  [blockKind.partitions, (payload) => decodePartitionsLeaf(payload, 0)],
]);

interface Block {
  readonly path: string;
  readonly kind: number;
  readonly payload: Uint8Array;
}

function writeSample(disk: SimDisk): void {
  const series = Array.from({ length: 60 }, (_, n) => ({
    labels: Labels.of({ __name__: `m${n % 7}`, instance: `host-${n}`, job: n % 2 ? 'a' : 'b' }),
    samples: Array.from({ length: 300 }, (_, i) => [(n % 3) * 100 + i * 60_000, bitsOf(i * n)] as const),
  }));
  writeTestPart(disk, 'part', window, sourceOf(series));
}

/** The blocks of a file in their order: each begins where the one before ended, aligned. */
function readBlocks(disk: SimDisk, path: string): Block[] {
  const file = new BlockFile(disk, path, new PartCaches());
  const sizeBytes = file.sizeBytes();
  const blocks: Block[] = [];
  for (let offset = blockAlignment; offset + blockHeaderBytes <= sizeBytes;) {
    const header = file.readBytes(offset, blockHeaderBytes);
    const kind = header[0] as number;
    const bytesCount = blockHeaderBytes + new DataView(header.buffer).getUint32(4, true);
    // Behind the footer comes the trailer, which is no block.
    if (offset + bytesCount > sizeBytes) break;
    blocks.push({ path, kind, payload: Uint8Array.from(file.readBlock(kind, { offset, bytesCount })) });
    if (kind === blockKind.footer) break;
    offset = Math.ceil((offset + bytesCount) / blockAlignment) * blockAlignment;
  }
  return blocks;
}

const someDamage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });

function damaged(payload: Uint8Array, damage: readonly (readonly [number, number])[]): Uint8Array {
  const copy = payload.slice();
  for (const [at, byte] of damage) if (copy.length > 0) copy[at % copy.length] = byte;
  return copy;
}

test('decoders of leaves survive any contents', () => {
  const disk = new SimDisk();
  writeSample(disk);
  const blocks = [...readBlocks(disk, 'part/pages'), ...readBlocks(disk, 'part/index')];
  for (const kind of decoders.keys())
    assert.ok(
      blocks.some((block) => block.kind === kind),
      `kind ${kind}`,
    );
  const attempt = (kind: number, payload: Uint8Array): void => {
    try {
      decoders.get(kind)?.(payload);
    } catch (error) {
      assert.match(String(error instanceof TimbalaError ? error.code : error), /^DECODE_/);
    }
  };
  for (const { kind, payload } of blocks) {
    if (!decoders.has(kind)) continue;
    fc.assert(
      fc.property(someDamage, fc.nat(payload.length), (damage, length) => {
        attempt(kind, damaged(payload, damage));
        attempt(kind, payload.subarray(0, length));
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => attempt(kind, bytes)));
  }
});

/** Gives blocks of some kinds with other contents than were written, as if their checksums were right. */
class DamagedFile extends BlockFile {
  damage: readonly (readonly [number, number])[] = [];
  kinds: readonly number[] = [];

  override readBlock(kind: number, pointer: BlockPointer): Uint8Array {
    const payload = super.readBlock(kind, pointer);
    return this.kinds.includes(kind) ? damaged(Uint8Array.from(payload), this.damage) : payload;
  }
}

test('damaged frames, columns and rows with right checksums: PART_CORRUPT, or some samples', () => {
  const disk = new SimDisk();
  writeSample(disk);
  let corruptCount = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(blockKind.frame, blockKind.columns, blockKind.timelines, blockKind.tiles, blockKind.series),
      fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { minLength: 1, maxLength: 3 }),
      (kind, damage) => {
        const caches = new PartCaches();
        const files = {
          pages: new DamagedFile(disk, partFile.pages('part'), caches),
          index: new DamagedFile(disk, partFile.index('part'), caches),
        };
        const facts = { meta: readMeta(disk, 'part').meta, metaBytes: 0, footer: readFooter(files.index) };
        for (const file of [files.pages, files.index]) Object.assign(file, { damage, kinds: [kind] });
        const part = new Part('part', facts, files, kernel);
        const buffer = new SampleBuffer();
        for (let position = 0; position < part.meta.seriesCount; position++) {
          buffer.clear();
          try {
            part.read(position, -Infinity, Infinity, buffer);
          } catch (error) {
            corruptCount++;
            assert.match(String(error), /PART_CORRUPT: part\/(?:pages|index), offset/);
          }
        }
        part.close();
      },
    ),
    { numRuns: 300 },
  );
  assert.ok(corruptCount > 100, `${corruptCount} reads failed`);
});
