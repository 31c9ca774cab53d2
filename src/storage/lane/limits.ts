// The bounds of a lane. Constants of the product; tests set others.
import { gib, hourMs, mib, minuteMs } from '../../base/index.ts';
import type { WireLimits } from '../../wasm/index.ts';

export interface LaneLimits {
  /** A generation is frozen when it reaches any of the four. */
  readonly generationSamplesMax: number;
  readonly generationLogBytesMax: number;
  readonly generationAgeMsMax: number;
  readonly headShareMax: number;
  /** Kernel memory of one head; two may live while one replaces the other. */
  readonly headBytesMax: number;
  readonly segmentBytesMax: number;
  /** Log bytes that may wait for their sync before writes are refused with LANE_BUSY. */
  readonly pendingBytesMax: number;
  readonly lingerMs: number;
  /** Samples may be so far ahead of this node's clock. */
  readonly futureMs: number;
  readonly metadataEntriesMax: number;
  readonly wire: Partial<WireLimits>;
}

export const defaultLaneLimits: LaneLimits = {
  generationSamplesMax: 64_000_000,
  generationLogBytesMax: 512 * mib,
  generationAgeMsMax: 2 * hourMs,
  headShareMax: 0.75,
  headBytesMax: 2 * gib,
  segmentBytesMax: 64 * mib,
  pendingBytesMax: 64 * mib,
  lingerMs: 1,
  futureMs: 10 * minuteMs,
  metadataEntriesMax: 65_536,
  wire: {},
};
