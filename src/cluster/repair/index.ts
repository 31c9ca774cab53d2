export { RepairAnswerer } from './answerer.ts';
export { Backoff } from './backoff.ts';
export { Leases } from './leases.ts';
export { Pacer } from './pacer.ts';
export { createRepairCounters, type RepairCounters } from './questions.ts';
export { Repairer } from './repairer.ts';
export type { RepairContext } from './session.ts';
