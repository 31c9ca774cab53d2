export { acksAlone, ClusterRecord, type Member, type MemberState, soleActive } from './record.ts';
