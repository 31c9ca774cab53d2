// What repair asks of other nodes, and what it counts.
import type { Encoded } from '../codec.ts';
import type { Question } from '../exchange.ts';
import {
  checkReply,
  checkRequest,
  compareReply,
  compareRequest,
  type CopyReason,
  copyRequest,
  nothing,
} from '../messages.ts';

export type CheckBody = Encoded<typeof checkRequest>;

export type CompareBody = Encoded<typeof compareRequest>;

export const checkQuestion: Question<CheckBody, Encoded<typeof checkReply>> = {
  kind: 'compare',
  topic: 'check',
  request: checkRequest,
  reply: checkReply,
};
export const compareQuestion: Question<CompareBody, Encoded<typeof compareReply>> = {
  kind: 'compare',
  topic: 'compare',
  request: compareRequest,
  reply: compareReply,
};
export type CopyBody = Encoded<typeof copyRequest>;

export const copyQuestion: Question<CopyBody, object> = {
  kind: 'copy',
  topic: 'copy',
  request: copyRequest,
  reply: nothing,
};

type CopyCounters = Record<`${CopyReason}${'Samples' | 'Bytes'}${'Sent' | 'Received'}`, number>;

export interface RepairCounters extends CopyCounters {
  /** Pairs and partitions of which digests were held against an owner's. */
  comparisons: number;
  equal: number;
  /** Comparisons that were refused to others. */
  refusedLeased: number;
  /** Differences of totals with nothing to send: one of the two nodes counts wrong. */
  disagreements: number;
  marksCleared: number;
  /** Partitions compared though nothing marked them, and those of them that differed. */
  audited: number;
  auditsDiffering: number;
}

export function createRepairCounters(): RepairCounters {
  return {
    comparisons: 0,
    equal: 0,
    refusedLeased: 0,
    disagreements: 0,
    marksCleared: 0,
    audited: 0,
    auditsDiffering: 0,
    hintSamplesSent: 0,
    hintSamplesReceived: 0,
    hintBytesSent: 0,
    hintBytesReceived: 0,
    repairSamplesSent: 0,
    repairSamplesReceived: 0,
    repairBytesSent: 0,
    repairBytesReceived: 0,
    handoverSamplesSent: 0,
    handoverSamplesReceived: 0,
    handoverBytesSent: 0,
    handoverBytesReceived: 0,
  };
}

export function countCopy(
  counters: RepairCounters,
  reason: CopyReason,
  direction: 'Sent' | 'Received',
  { samplesCount, bytes }: { readonly samplesCount: number; readonly bytes: Uint8Array },
): void {
  counters[`${reason}Samples${direction}`] += samplesCount;
  counters[`${reason}Bytes${direction}`] += bytes.length;
}
