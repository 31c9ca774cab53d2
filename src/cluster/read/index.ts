export { planEverything, planRead, type PlanInput, type ReadPlan } from './plan.ts';
export { type ClusterRead, type ReadCounters, Reader } from './reader.ts';
