export { Comparer, type RepairCounters } from './compare.ts';
export { Repairer } from './repairer.ts';
