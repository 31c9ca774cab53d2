export {
  type PageBase,
  pageBaseSlots,
  pageBytesMax,
  pageExponentMask,
  pageFlagBase,
  pageFlagStale,
  pageKind,
  pageKindMask,
  pageSamplesMax,
  PagesKernel,
} from './pages.ts';
export { Head, type HeadOptions } from './head.ts';
export * from './head-contract.ts';
export { type HeadFrame, HeadReader } from './head-reader.ts';
export { type RefSet } from './head-ref-set.ts';
export {
  defaultWireLimits,
  rejectedReference,
  unknownReference,
  type WireBatch,
  WireKernel,
  type WireLimits,
} from './wire.ts';
export { metadataTypes, type MetricMetadata } from './wire-metadata.ts';
export { labelLimits, type RejectionReason, type WireRejection } from './wire-rejections.ts';
