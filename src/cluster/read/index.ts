export { planAlone } from './plan-alone.ts';
export { planEverything, planRead, type PlanInput, type ReadPlan } from './plan.ts';
export type { ReadEvent, ReadStream } from './read-stream.ts';
export { type ClusterRead, type ReadCounters, Reader, type ReadOptions } from './reader.ts';
