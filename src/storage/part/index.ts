export { PartCaches, type PartCachesOptions } from '../index/block-cache.ts';
export { mergeParts } from './merge.ts';
export { DigestTable, partitionOf } from './digests.ts';
export { openPart, Part } from './part.ts';
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
