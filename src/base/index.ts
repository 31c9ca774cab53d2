export { assert, present, unreachable } from './assert.ts';
export { discard } from './buffers.ts';
export { ByteReader, ByteWriter } from './bytes.ts';
export { errorMessage, hasCode, TimbalaError } from './errors.ts';
export { type Handlers, type MessageChannelLike, RpcPeer, Transferred } from './rpc.ts';
export { SeededRandom } from './random.ts';
export { dayMs, gib, hourMs, kib, mib, minuteMs, secondMs, weekMs, yearMs } from './units.ts';
