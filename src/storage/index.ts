export type {
  CardinalityRow,
  DamageReport,
  DecodedRequest,
  DeleteRequest,
  DeleteRuleRequest,
  KeeperStatus,
  KernelModules,
  LaneStatus,
  MetricMetadata,
  RegisteredSeries,
  ReplayReport,
  Retention,
  SampleOrigin,
  SamplesForPeer,
  SamplesFromPeer,
  StoragePorts,
  TsdbStatus,
  WriteOutcome,
  WriteRejection,
} from './contracts.ts';
export { type InlineStorage, openStorage, type StorageOptions } from './engine.ts';
export { createInlineChannel } from './inline-channel.ts';
export { Keeper, type KeeperOptions } from './keeper/keeper.ts';
export { defaultLaneLimits, Lane, type LaneLimits, type LaneOptions, type ReplicationOptions } from './lane/lane.ts';
export { type FingerprintRange, PairReader, type PairScope, type WindowDigest } from './reader/pair-reader.ts';
export { Reader, type ReaderOptions } from './reader/reader.ts';
export { ReadSession } from './reader/session.ts';
export { decodeSelectors, encodeSelectors } from './selectors.ts';
