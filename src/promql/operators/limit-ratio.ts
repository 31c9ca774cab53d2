// `limit_ratio`: a share of the series, chosen by the hash of their labels, so that the same series are chosen every time and
// `limit_ratio(r, v)` and `limit_ratio(r - 1, v)` complete each other. The hash is Prometheus's (XXH64 over its packed
// label form), so the choice is the same one.
import type { Labels } from '../../model/index.ts';
import type { Evaluation, OutputSeries, Row, VectorOperator } from './operator.ts';
import { executionError } from './errors.ts';
import { keepWhere } from './binary-combine.ts';

export class LimitRatioOperator implements VectorOperator {
  readonly series: readonly OutputSeries[];
  readonly hasEffects: boolean;
  readonly #input: VectorOperator;
  readonly #ratios: Float64Array;
  readonly #chosen: Uint8Array;

  /** `ratios`: at each step; beyond ±1 they count as ±1, with a warning. */
  constructor(input: VectorOperator, ratios: Float64Array, offset: number, evaluation: Evaluation) {
    this.series = input.series;
    this.hasEffects = input.hasEffects;
    this.#input = input;
    this.#ratios = ratios;
    this.#chosen = new Uint8Array(ratios.length);
    if (ratios.includes(NaN)) throw executionError('Ratio value is NaN');
    const ratioMax = ratios.reduce((a, b) => Math.max(a, b), -Infinity);
    const ratioMin = ratios.reduce((a, b) => Math.min(a, b), Infinity);
    const site = evaluation.annotations.siteAt(offset);
    if (ratioMax > 1) site.invalidRatio(ratioMax, 1);
    if (ratioMin < -1) site.invalidRatio(ratioMin, -1);
  }

  read(index: number, row: Row): void {
    this.#input.read(index, row);
    const position = samplePosition((this.series[index] as OutputSeries).labels);
    for (let step = 0; step < row.stepsCount; step++) {
      const ratio = Math.max(-1, Math.min(1, this.#ratios[step] as number));
      const isChosen = ratio >= 0 ? position < ratio : position >= 1 + ratio;
      this.#chosen[step] = isChosen ? 1 : 0;
    }
    keepWhere(this.#chosen, row);
  }
}

/** Where in [0, 1] the hash of the labels falls. */
function samplePosition(labels: Labels): number {
  return Number(xxh64(packLabels(labels))) / 2 ** 64;
}

/** Every name and value with its length before it: one byte, or 255 and three bytes. */
function packLabels(labels: Labels): Uint8Array {
  const encoder = new TextEncoder();
  const bytes: number[] = [];
  for (const part of labels.pairs) {
    const encoded = encoder.encode(part);
    const { length } = encoded;
    if (length < 255) bytes.push(length);
    else bytes.push(255, length & 255, (length >> 8) & 255, (length >> 16) & 255);
    bytes.push(...encoded);
  }
  return Uint8Array.from(bytes);
}

const prime1 = 0x9e3779b185ebca87n;
const prime2 = 0xc2b2ae3d27d4eb4fn;
const prime3 = 0x165667b19e3779f9n;
const prime4 = 0x85ebca77c2b2ae63n;
const prime5 = 0x27d4eb2f165667c5n;

const wrap = (value: bigint): bigint => BigInt.asUintN(64, value);
const rotate = (value: bigint, bits: bigint): bigint => wrap((value << bits) | (value >> (64n - bits)));
const round = (state: bigint, input: bigint): bigint => wrap(rotate(wrap(state + input * prime2), 31n) * prime1);

/** XXH64 with seed 0 (Yann Collet's specification, version 0.1.1). */
function xxh64(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { length } = bytes;
  let at = 0;
  let hash = prime5;
  if (length >= 32) {
    const lanes = [wrap(prime1 + prime2), prime2, 0n, wrap(-prime1)];
    for (; at + 32 <= length; at += 32) {
      for (let lane = 0; lane < 4; lane++)
        lanes[lane] = round(lanes[lane] as bigint, view.getBigUint64(at + 8 * lane, true));
    }
    const [a = 0n, b = 0n, c = 0n, d = 0n] = lanes;
    hash = wrap(rotate(a, 1n) + rotate(b, 7n) + rotate(c, 12n) + rotate(d, 18n));
    for (const lane of lanes) hash = wrap((hash ^ round(0n, lane)) * prime1 + prime4);
  }
  hash = wrap(hash + BigInt(length));
  for (; at + 8 <= length; at += 8) {
    hash = wrap(rotate(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * prime1 + prime4);
  }
  if (at + 4 <= length) {
    hash = wrap(rotate(hash ^ wrap(BigInt(view.getUint32(at, true)) * prime1), 23n) * prime2 + prime3);
    at += 4;
  }
  for (; at < length; at++) hash = wrap(rotate(hash ^ wrap(BigInt(bytes[at] as number) * prime5), 11n) * prime1);
  hash = wrap((hash ^ (hash >> 33n)) * prime2);
  hash = wrap((hash ^ (hash >> 29n)) * prime3);
  return hash ^ (hash >> 32n);
}
