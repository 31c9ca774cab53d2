export type {
  CardinalityRow,
  DamageReport,
  DecodedRequest,
  DeleteRequest,
  DeleteRuleRequest,
  KeeperListener,
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
export { Lane, type LaneOptions, type ReplicationOptions } from './lane/lane.ts';
export { defaultLaneLimits, type LaneLimits } from './lane/limits.ts';
export { Reader, type ReaderOptions } from './reader/reader.ts';
export { ReadSession } from './reader/session.ts';
export type { AnswerSelection, FragmentEvaluator } from './answers/answer-reader.ts';
export { type AnswerSeries, AnswerUnion } from './answers/answer-union.ts';
export { knownSeries } from './answers/known-series.ts';
export { keepRanges, type ReadSegment, SegmentRanges } from './answers/segment-ranges.ts';
export { SegmentSession } from './answers/segment-session.ts';
export { readTextFrame } from './answers/text-frame.ts';
export { decodeWanted, encodeWanted, type Wanted, type WantedLabels, type WantedSamples } from './answers/wanted.ts';
export { type Extent, type FingerprintRange, PairReader, type WindowDigest } from './replica/pair-reader.ts';
export {
  connectReplicaKeeper,
  connectReplicaLane,
  connectReplicaReader,
  serveReplicaKeeper,
  serveReplicaLane,
  serveReplicaReader,
} from './replica/channels.ts';
export { laneForReplica, openReplicaStorage, type ReplicaStorage } from './replica/open.ts';
export { type ReplicaKeeper, type ReplicaLane, type ReplicaReader, ReplicaStore } from './replica/replica-store.ts';
export { StateFiles } from './state/state-files.ts';
export { identifyStore, type StoreIdentity } from './state/store-identity.ts';
export { decodeSelectors, encodeSelectors } from './selectors.ts';
