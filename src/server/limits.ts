// Constants of a node. An option must earn its place; these have good values for everyone.
import { gib, kib, mib, minuteMs, secondMs } from '../base/index.ts';

/** Longest time a query may take, waiting included: Prometheus's query.timeout. */
export const queryTimeoutMs = 2 * minuteMs;
/** Intermediate results and result of one query. */
export const queryBytesMax = gib;
/** Of the machine's memory, what the queries of one worker may take together. */
export const queryMemoryShare = 1 / 8;
export const queryMemoryBytesMin = 256 * mib;
export const queryMemoryBytesMax = 2 * gib;
/** How long after queryTimeoutMs a worker may still fail to answer before it is taken for stuck, and replaced. */
export const queryStuckMs = 30 * secondMs;
/** Queries at work, or with an answer that its client has not taken yet: Prometheus's query.max-concurrency. */
export const queriesActiveMax = 20;
/** Queries that wait for one of these places; beyond, 503. */
export const queriesWaitingMax = 1000;

/** Longest compressed body of a write, as the wire kernel has it. */
export const writeBodyBytesMax = 32 * mib;
/** Bodies that are being read or wait for the lane; beyond, 503 with Retry-After before a body is read. */
export const writeQueueBytesMax = 64 * mib;
/** What a body of unknown length is taken for until it has been read. */
export const chunkedBodyReserveBytes = mib;
export const writeRetryAfterSeconds = 1;
/** Buffers for bodies come in powers of two from here on. */
export const bodyBufferBytesMin = 16 * kib;
/** Memory that idle body buffers may keep. */
export const bodyBuffersIdleBytesMax = 16 * mib;

/** Payloads of peers that wait for the disk; beyond, peers are told that this node is busy. */
export const peerAppendBytesMax = 64 * mib;
/** Between two attempts to find a cluster; how long that is no news, since nodes start one by one; then how often it is logged. */
export const clusterRetryMs = 500;
export const clusterQuietMs = 5 * secondMs;
export const clusterRetryLogMs = 30 * secondMs;
/** How long a node that has left the cluster takes to tell so by gossip when it stops. */
export const gossipLeaveMs = 2 * secondMs;

export const selfScrapeIntervalMs = 15 * secondMs;
/** How long connections may take to finish on SIGTERM; half of what Kubernetes gives. */
export const closeGraceMs = 15 * secondMs;
/** And how long the compactor may take to come to an end of its own. */
export const compactorCloseMs = 2 * secondMs;
