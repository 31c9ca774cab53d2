// Bugs planted on purpose, each a way in which clusters have gone wrong or might. The simulator must catch every one of them:
// where it does not, it proves nothing about the code without them.
import { ByteReader } from '../../src/base/index.ts';
import { type PeerLinks, type ReceivedFrame } from '../../src/cluster/index.ts';
import {
  type Case,
  copiedThenWritten,
  deletedAcrossSplit,
  joinedAcrossSplit,
  leftWithOneOwner,
  removedThenWrites,
  restartedTwice,
  retriedThenPowerLost,
  retriedWhileAway,
  setBackToSnapshot,
  writtenWhileDropping,
} from './cases.ts';
import type { Plant } from './cluster.ts';

/** Fetches data together with the marks, and serves reads from what was fetched then. */
function readsDataBeforeMarks(links: PeerLinks): PeerLinks {
  const early = new Map<string, ReceivedFrame>();
  const reads = new Map<string, Parameters<PeerLinks['request']>[1]>();
  return {
    async request(to, frame, deadlineMs) {
      const topic = new ByteReader(frame.body).string();
      if (topic === 'read') {
        reads.set(to, frame);
        const known = early.get(to);
        early.delete(to);
        if (known) return known;
      }
      const last = reads.get(to);
      if (topic === 'marks' && last) {
        early.set(to, await links.request(to, last, deadlineMs));
        // The data is as old as the slowest of the marks.
        await links.request(to, frame, deadlineMs);
      }
      return links.request(to, frame, deadlineMs);
    },
    get onRequest() {
      return links.onRequest;
    },
    set onRequest(handler) {
      links.onRequest = handler;
    },
    setAddresses: (addresses) => links.setAddresses(addresses),
  };
}

export interface Mutant extends Plant {
  /** The course of events that shows it, where random ones take too long. */
  readonly case?: Case;
}

export const mutants: Readonly<Record<string, Mutant>> = {
  'an ack before sync': { case: retriedThenPowerLost, store: { acksBeforeSync: true } },
  'a duplicate acked before sync': { case: retriedThenPowerLost, store: { acksDuplicatesBeforeSync: true } },
  'log cut before its marks are saved': { case: restartedTwice, store: { cutsUnasked: true } },
  'a dropped hint': { decisions: { mayDrop: (isOwner) => !isOwner } },
  'a wrong merge order': { store: { prefersLastArrived: true } },
  'an XOR digest': { case: retriedWhileAway, store: { digestsByXor: true } },
  'owners that agree while empty': {
    decisions: {
      confirms: (own, theirs) =>
        theirs.samplesCount === 0 || (own.samplesCount === theirs.samplesCount && own.sum === theirs.sum),
    },
  },
  'a clear without one owner': {
    decisions: {
      mayClear: (owners, confirmed, self) =>
        owners.length >= 2 && owners.filter((owner) => owner === self || confirmed.includes(owner)).length >= 2,
    },
  },
  'a clear with a single owner': {
    case: leftWithOneOwner,
    decisions: {
      mayClear: (owners, confirmed, self) => owners.every((owner) => owner === self || confirmed.includes(owner)),
    },
  },
  'no re-mark on a change of owners': { decisions: { remarks: () => false } },
  'data read before marks': { links: readsDataBeforeMarks },
  'a repair copy acked without a mark': { case: copiedThenWritten, store: { hidesDuplicates: true } },
  "a removed store's ack counted": { case: removedThenWrites, decisions: { countsAck: () => true } },
  'an uncounted loss': { decisions: { countedLosses: () => [] } },
  'a join without confirmations': { case: joinedAcrossSplit, decisions: { isJoinConfirmed: () => true } },
  'a quorum of one': { decisions: { quorum: () => 1 } },
  'a frame under an old dictionary': { store: { ignoresDictionaries: true }, keepsDictionaries: true },
  'a forgotten delete': { store: { forgetsDeletes: true } },
  'a delete on one node': { case: deletedAcrossSplit, decisions: { isDeleteStored: () => true } },
  'retention pulled back': { decisions: { isCompared: () => true } },
  'a directory that was set back': { case: setBackToSnapshot, decisions: { continues: () => true } },
  'a partition that is being dropped, confirmed': {
    case: writtenWhileDropping,
    decisions: { countsForNothing: () => false },
  },
  'a wrong clock that drops': { decisions: { isClockTrusted: () => true } },
  'a sum that heeds no marks': { heardForSums: (heard) => new Map([...heard.keys()].map((name) => [name, new Map()])) },
  'a founder that nobody asks': { decisions: { askedClaimants: () => [] } },
  'a read without two members': { decisions: { mayLeaveOut: (storesCount) => storesCount <= 2 } },
};
