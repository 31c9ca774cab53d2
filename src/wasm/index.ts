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
export { Head } from './head.ts';
export * from './head-contract.ts';
export { type HeadFrame, HeadReader, type RefSet } from './head-reader.ts';
export {
  defaultWireLimits,
  rejectedReference,
  unknownReference,
  type WireBatch,
  WireKernel,
  type WireLimits,
} from './wire.ts';
export { type MetricMetadata } from './wire-metadata.ts';
export { labelLimits, type RejectionReason, type WireRejection } from './wire-rejections.ts';
