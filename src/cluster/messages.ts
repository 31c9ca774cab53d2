// What nodes say to each other, as bodies of frames (docs/formats/peer.md has the frames around them). Every request and
// every reply begins with a header that carries the record's hash, and the record itself where the other side needs it.
import { TimbalaError } from '../base/index.ts';
import {
  boolean,
  bytes,
  type Codec,
  type Encoded,
  integer,
  list,
  optional,
  struct,
  text,
  uint128,
  uvarint,
  word,
} from './codec.ts';
import { partitionsMax } from './contracts.ts';
import { lifeCodec } from './lives.ts';
import { layerCodec } from './marks/index.ts';

export const requestHeader = struct({
  clusterId: text,
  store: text,
  recordHash: text,
  record: optional(bytes),
  /** The sender's wall clock, for the median that tells a wrong clock. */
  sentMs: integer,
  /** Undefined until the sender's log is replayed. */
  life: optional(lifeCodec),
});

export const replyHeader = struct({
  /** `record`: nothing was done, because the records differ; `refused`: nothing was done, for the reason given. */
  status: word('done', 'record', 'refused'),
  store: text,
  /** The view under which the request was answered, unchanged from its beginning to its end. */
  viewHash: text,
  record: optional(bytes),
  sentMs: integer,
  life: optional(lifeCodec),
  code: text,
  reason: text,
});

/** Whoever looks up what lies behind the last one makes room up to it. */
const partition: Codec<number> = {
  write: uvarint.write,
  read: (reader) => {
    const value = uvarint.read(reader);
    if (value >= partitionsMax) throw new TimbalaError('DECODE_RANGE', `${value} is no partition`);
    return value;
  },
};
const range = struct({ first: uvarint, last: uvarint });
const windowDigest = struct({ windowStartMs: integer, samplesCount: uvarint, sum: uint128 });
export const nothing = struct({});

/** What the requester knows already: layers by window and shape, as this epoch of the other side told them. */
export const marksRequest = struct({
  fromMs: integer,
  toMs: integer,
  epoch: uvarint,
  known: list(struct({ windowStartMs: optional(integer), shape: uvarint })),
});

export const marksReply = struct({
  isReplaying: boolean,
  /** Counts drops: a read that follows is refused where one of its partitions was dropped since. */
  dropsCount: uvarint,
  epoch: uvarint,
  /** Windows in the range that have marks and are as known. */
  unchanged: list(optional(integer)),
  layers: list(layerCodec),
});

export type MarksReply = Encoded<typeof marksReply>;

export const readRequest = struct({
  dropsCount: uvarint,
  fromMs: integer,
  toMs: integer,
  wanted: bytes,
  segments: list(struct({ fromMs: integer, toMs: integer, partitions: bytes })),
});

/** A read under way at the process that answered with this epoch: numbers begin anew with every start. */
export const openRead = struct({ epoch: uvarint, readId: uvarint });
/** Frames are asked for by number, so that a request that comes twice gets the same answer. */
export const readMore = struct({ read: openRead, number: uvarint });
/** `frame` is empty where nothing is found; last, so that a writer grows once. */
export const readReply = struct({ read: openRead, isLast: boolean, frame: bytes });

/**
 * Why samples are copied: `hint`, kept by a node that does not own their pair; `repair`, owners that differ; `handover`, whole
 * partitions after owners, or their stores, changed.
 */
const reason = word('hint', 'repair', 'handover');

export type CopyReason = Encoded<typeof reason>;

/** Digests of many partitions over one range of windows: of the window, or of all from `fromMs` to before `toMs`. */
export const checkRequest = struct({
  windowStartMs: optional(integer),
  fromMs: optional(integer),
  toMs: optional(integer),
  /** Nothing marks what is compared: who is asked marks what differs, and sends what the other one lacks. */
  isAudit: boolean,
  digests: list(struct({ partition, samplesCount: uvarint, sum: uint128 })),
});

/**
 * What the owner finds, in the order of the request. `empty`: it holds nothing; `more`: it holds more, and has a mark by which
 * it will send that; `leased`: another node fills the partition now.
 */
export const checkReply = struct({ findings: list(word('equal', 'differs', 'empty', 'more', 'leased')) });

export type Finding = Encoded<typeof checkReply>['findings'][number];

/** Digests, window by window, of partitions or of ranges of their fingerprints; all over the same time. */
export const compareRequest = struct({
  /** Undefined: without a bound. */
  fromMs: optional(integer),
  toMs: optional(integer),
  asked: list(struct({ partition, range, digests: list(windowDigest) })),
});

export const compareReply = struct({
  /** For each that was asked the windows in which the two differ; undefined: another node fills the partition now. */
  differing: list(optional(list(integer))),
});

export const copyRequest = struct({
  reason,
  /** Partitions of which all was sent: others may fill them. */
  ended: list(partition),
});

export const writeRequest = struct({
  /** The receiver owns none of it: it may refuse when busy. */
  isHint: boolean,
});
