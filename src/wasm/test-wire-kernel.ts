// Wire kernels for tests, a head that gives references to their series, and what a batch says in the form of the reference decoder.
import assert from 'node:assert/strict';
import { SeededRandom } from '../base/index.ts';
import { encodeWriteRequest, wrapSnappy, type WriteSeries } from '../wire/index.ts';
import { loadTestModule } from './test-modules.ts';
import { type ReferenceBatch, referenceSipHash } from './test-wire-reference.ts';
import { maxMs, minMs, nowMs } from './test-wire-requests.ts';
import { rejectedReference, unknownReference, type WireBatch, WireKernel, type WireLimits } from './wire.ts';

export function createKernel(limits: Partial<WireLimits> = {}, seed = 1): WireKernel {
  const random = new SeededRandom(seed);
  const fill = (target: Uint8Array): void => {
    for (let i = 0; i < target.length; i++) target[i] = random.below(256);
  };
  return new WireKernel(
    loadTestModule('wire'),
    { fill },
    { bodyBytesMax: 1 << 20, decompressedBytesMax: 1 << 20, ...limits },
  );
}

export function decodeBody(kernel: WireKernel, body: Uint8Array, from = minMs, to = maxMs): WireBatch {
  kernel.bodyBuffer(body.length).set(body);
  return kernel.decode(body.length, from, to);
}

export const decodeSeries = (kernel: WireKernel, ...series: readonly WriteSeries[]): WireBatch =>
  decodeBody(kernel, wrapSnappy(encodeWriteRequest(series)), -Infinity, Infinity);

export const oneSample = (...labels: readonly string[]): WriteSeries => ({
  labels,
  timestampsMs: [nowMs],
  values: new Float64Array([1]),
});

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** A head that gives each label set a reference, and knows it back. */
export class FakeHead {
  readonly #references = new Map<string, number>();
  readonly labels: string[] = [];

  register(labels: string): number {
    let reference = this.#references.get(labels);
    if (reference === undefined) {
      reference = this.labels.length;
      this.#references.set(labels, reference);
      this.labels.push(labels);
    }
    return reference;
  }
}

export const fingerprintKey = Buffer.from('timbala.series.1', 'ascii');

/** Registers what is new, checks its fingerprint, and gives the batch in the reference's form. */
export function readBatch(batch: WireBatch, head: FakeHead): ReferenceBatch {
  for (let i = 0; i < batch.newSeriesCount; i++) {
    const labels = batch.newSeriesLabels(i);
    const fingerprint = batch.newSeriesFingerprint(i);
    const row = batch.newSeriesRow(i);
    assert.equal(hex(fingerprint), referenceSipHash(labels, fingerprintKey));
    assert.equal(batch.references[row], unknownReference);
    batch.setReference(i, head.register(hex(labels)));
  }
  const { references, samplesEnd, partitions, timestampsMs, valueBits } = batch;
  const rows: ReferenceBatch['rows'][number][] = [];
  let first = 0;
  for (let row = 0; row < batch.rowsCount; row++) {
    const end = samplesEnd[row] ?? 0;
    const samples: [bigint, bigint][] = [];
    for (let i = first; i < end; i++) samples.push([timestampsMs[i] ?? 0n, valueBits[i] ?? 0n]);
    first = end;
    const reference = references[row] ?? 0;
    const labels = reference === rejectedReference ? undefined : head.labels[reference];
    rows.push({ labels, samples });
    if (labels === undefined) continue;
    const fingerprint = Buffer.from(referenceSipHash(Buffer.from(labels, 'hex'), fingerprintKey), 'hex');
    assert.equal(partitions[row], fingerprint.readUInt16LE(0));
  }
  assert.equal(first, batch.samplesCount);
  const rejections = new Map(
    batch.rejections.map((entry) => [entry.reason, [entry.seriesCount, entry.samplesCount] as const]),
  );
  return { rows, rejections, metadataCount: batch.metadata.length };
}

export const sorted = (batch: ReferenceBatch): object => ({ ...batch, rejections: [...batch.rejections].sort() });
