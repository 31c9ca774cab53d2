// What the reads of a node count.

export interface ReadCounters {
  plans: number;
  /** Nodes read, over all plans. */
  sources: number;
  warned: number;
  /** Frames of others, and their bytes. */
  frames: number;
  bytes: number;
  /** Plans given up because something changed, or because a node failed. */
  stale: number;
  failedSources: number;
  /** Reads of other nodes that were answered, and those refused: too many wait. */
  served: number;
  refused: number;
  /** Reads that may count nothing twice, and those of them that were not worth it. */
  shared: number;
  notShared: number;
}

export function noReads(): ReadCounters {
  return {
    plans: 0,
    sources: 0,
    warned: 0,
    frames: 0,
    bytes: 0,
    stale: 0,
    failedSources: 0,
    served: 0,
    refused: 0,
    shared: 0,
    notShared: 0,
  };
}
