export { PartCaches, type PartCachesOptions } from './caches.ts';
export { mergeParts } from './merge.ts';
export { openPart, type Part } from './part.ts';
export { PartWriter, writePart } from './part-writer.ts';
export type {
  MergeOptions,
  PartitionDigest,
  PartMeta,
  PartOptions,
  PartSeries,
  PartSummary,
  SeriesSource,
  TimeInterval,
} from './types.ts';
