export type { ReadCounters } from './counters.ts';
export { planAlone } from './plan-alone.ts';
export { planEverything, planRead, type PlanInput, type ReadPlan } from './plan.ts';
export type { ReadEvent, ReadStream, WantedOfShared } from './read-stream.ts';
export type { Share } from './shares.ts';
export { type ClusterRead, Reader, type ReadOptions } from './reader.ts';
