export { ClusterRecord, type Member, type MemberState } from './record.ts';
