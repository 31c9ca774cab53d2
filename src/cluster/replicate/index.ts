export { type WriteCounters, Writer } from './write.ts';
