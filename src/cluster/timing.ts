// How long the protocols wait and how often they look around, all of it in one place. Values are those of production.
import { dayMs, minuteMs, secondMs } from '../base/index.ts';

export const defaultClusterTiming = {
  /** A client's write is answered by then, one way or the other. */
  writeDeadlineMs: 10 * secondMs,
  /** After this long without enough acknowledgements the next in order stand in. */
  standInAfterMs: secondMs,
  /** For questions answered from local state. */
  askDeadlineMs: 2 * secondMs,
  /** For marks of a member that did not answer lately, where a query can do without. */
  briefAskDeadlineMs: 250,
  /** For so long a member that did not answer is one of these. */
  doubtMs: 10 * secondMs,
  /** For one frame of a node's part of a query; the node is then done without. A node that answers others forgets as soon. */
  readDeadlineMs: 20 * secondMs,
  /** After this long without a frame a node is asked whether it is there at all; one that does not say so is done without. */
  readProbeAfterMs: secondMs,
  /** For one payload or comparison between nodes. */
  copyDeadlineMs: 30 * secondMs,
  /** Between two exchanges of the record with a member chosen at random. */
  recordIntervalMs: secondMs,
  /** Between two savings of how far peers' logs were seen. */
  livesIntervalMs: 10 * secondMs,
  /** Between two looks at the marks, where there is nothing to do or nobody answers. */
  repairIntervalMs: 250,
  /** Between two batches of marks, while it gets on. */
  repairPauseMs: 5,
  /** Between two pushes of the hints of an open window, and then longer, up to a minute, while more of them come. */
  hintPauseMs: secondMs,
  /** An owner that has not said anything for so long is waited for aside, while others are asked about the next batch. */
  repairPatienceMs: 2 * secondMs,
  /** An owner that did not answer a comparison is left alone for this long, and then longer. */
  repairBackoffMs: 10 * secondMs,
  /** A partition that one node fills is closed to others' comparisons until that node has sent nothing for so long. */
  leaseMs: 5 * secondMs,
  /** Between two looks for partitions and windows to be dropped. */
  dropIntervalMs: 5 * secondMs,
  /** In which the totals of every owned partition are compared once, marked or not. */
  auditPeriodMs: dayMs,
  /** An open window is compared only this long after its end: until then it would never be found equal. */
  windowGraceMs: 5 * minuteMs,
  /** A window that is written after that is compared when nothing has come for so long… */
  lateWritePauseMs: 5 * secondMs,
  /** …or after this time, where that does not happen. */
  lateWritePauseMsMax: minuteMs,
};

export type ClusterTiming = typeof defaultClusterTiming;
