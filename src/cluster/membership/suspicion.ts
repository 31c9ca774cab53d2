// How long a member is suspected before it counts as dead (Lifeguard, Dadgar, Phillips and Currey 2018): long at first, since
// the fault may be ours; shorter with each other member that suspects it too.

export interface Suspicion {
  /** The incarnation that is suspected. */
  readonly incarnation: number;
  /** Confirmations after which the time is the least. */
  readonly confirmationsWanted: number;
  startMs: number;
  readonly leastMs: number;
  readonly mostMs: number;
  /** Who suspects it; the first does not count as a confirmation. */
  readonly accusers: Set<string>;
  deadlineMs: number;
}

export interface SuspicionTiming {
  readonly probeIntervalMs: number;
  readonly suspicionMultiple: number;
  readonly suspicionMaxMultiple: number;
}

export function startSuspicion(
  timing: SuspicionTiming,
  membersCount: number,
  incarnation: number,
  from: string,
  nowMs: number,
): Suspicion {
  const scale = Math.max(1, Math.log10(Math.max(1, membersCount)));
  const leastMs = timing.suspicionMultiple * scale * timing.probeIntervalMs;
  const mostMs = timing.suspicionMaxMultiple * leastMs;
  const wanted = timing.suspicionMultiple - 2;
  // Neither the accused nor we can confirm: where too few others are left, waiting for them is of no use.
  const confirmationsWanted = membersCount - 2 < wanted ? 0 : wanted;
  return {
    incarnation,
    confirmationsWanted,
    startMs: nowMs,
    leastMs,
    mostMs,
    accusers: new Set([from]),
    deadlineMs: nowMs + (confirmationsWanted > 0 ? mostMs : leastMs),
  };
}

/** Notes that `from` suspects the member too; false where that is no news. */
export function confirmSuspicion(suspicion: Suspicion, from: string): boolean {
  const confirmations = suspicion.accusers.size - 1;
  if (confirmations >= suspicion.confirmationsWanted || suspicion.accusers.has(from)) return false;
  suspicion.accusers.add(from);
  const share = Math.log(confirmations + 2) / Math.log(suspicion.confirmationsWanted + 1);
  const timeoutMs = suspicion.mostMs - share * (suspicion.mostMs - suspicion.leastMs);
  suspicion.deadlineMs = suspicion.startMs + Math.max(suspicion.leastMs, Math.floor(timeoutMs));
  return true;
}
