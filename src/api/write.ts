// POST /api/v1/write: remote write. Everything that can be refused by the head of the request is refused before its body is
// read. The body is read into a shared buffer and handed on undecoded; 204 means that all of it is on disk.
import { errorMessage, hasCode } from '../base/index.ts';
import type { HttpAnswer, HttpHandler } from '../ports/index.ts';
import type { WriteOutcome } from '../storage/index.ts';
import { checkWriteHeaders } from '../wire/index.ts';

export interface WriteBody {
  readonly buffer: SharedArrayBuffer;
  readonly lengthBytes: number;
}

export type WriteResult =
  | { readonly outcome: WriteOutcome }
  /** A stable code and the message that begins with it. */
  | { readonly errorCode: string; readonly errorMessage: string };

/** The way to storage, bounded. */
export interface WriteQueue {
  /** Takes room for a body before it is read; false where the queue is full. Give it back by `release`. */
  reserve(lengthBytes: number): boolean;
  release(lengthBytes: number): void;
  takeBuffer(lengthBytes: number): SharedArrayBuffer;
  giveBuffer(buffer: SharedArrayBuffer): void;
  /** Resolves when what was accepted is on disk. Rejects only where storage is gone. */
  write(body: WriteBody): Promise<WriteResult>;
}

export interface WriteLimits {
  readonly bodyBytesMax: number;
  /** What a body of unknown length is taken for until it has been read. */
  readonly chunkedBodyReserveBytes: number;
  readonly retryAfterSeconds: number;
}

const plainText = { 'content-type': 'text/plain; charset=utf-8' };
const text = (status: number, body: string, more: Readonly<Record<string, string>> = {}): HttpAnswer => ({
  status,
  headers: { ...plainText, ...more },
  body: `${body}\n`,
});

// 429 is never answered: Prometheus drops a batch on it by default, and sends again on 503.
const statusByCode: Readonly<Record<string, number>> = {
  WIRE_CORRUPT: 400,
  WIRE_TOO_LARGE: 413,
  WIRE_MEMORY_EXHAUSTED: 503,
  WRITE_QUEUE_FULL: 503,
  LANE_BUSY: 503,
  LOG_FAILED: 503,
  DISK_FULL: 503,
  DISK_IO: 503,
  RPC_CLOSED: 503,
  STORE_BUSY: 503,
  STORE_FULL: 503,
  CLUSTER_NOT_JOINED: 503,
  WRITE_UNAVAILABLE: 503,
  HTTP_BODY_TOO_LARGE: 413,
  HTTP_DISCONNECTED: 400,
};

/** `onRefusal` hears the code of each request of which nothing was acknowledged. */
export function writeHandler(
  queue: WriteQueue,
  limits: WriteLimits,
  onRefusal: (code: string) => void = () => undefined,
): HttpHandler {
  const refuse = (code: string, message: string): HttpAnswer => {
    onRefusal(code);
    const status = statusByCode[code] ?? 500;
    const retryAfter = status === 503 ? { 'retry-after': String(limits.retryAfterSeconds) } : {};
    return text(status, message, retryAfter);
  };

  return async (request) => {
    const refusal = checkWriteHeaders(request.header('content-type'), request.header('content-encoding'));
    if (refusal) return text(refusal.statusCode, refusal.message);
    const reservedBytes = request.contentLength ?? limits.chunkedBodyReserveBytes;
    if (reservedBytes > limits.bodyBytesMax) {
      const what = `request body of ${reservedBytes} bytes exceeds the limit of ${limits.bodyBytesMax} bytes`;
      return refuse('HTTP_BODY_TOO_LARGE', `HTTP_BODY_TOO_LARGE: ${what}`);
    }
    if (!queue.reserve(reservedBytes)) {
      return refuse('WRITE_QUEUE_FULL', 'WRITE_QUEUE_FULL: too many writes wait for the disk; send again');
    }
    let buffer: SharedArrayBuffer | undefined;
    try {
      const body = await request.readBody(limits.bodyBytesMax, (lengthBytes) => {
        buffer = queue.takeBuffer(lengthBytes);
        return new Uint8Array(buffer, 0, lengthBytes);
      });
      const result = await queue.write({ buffer: body.buffer, lengthBytes: body.length });
      return 'outcome' in result ? answerOutcome(result.outcome) : refuse(result.errorCode, result.errorMessage);
    } catch (error) {
      const code = Object.keys(statusByCode).find((each) => hasCode(error, each));
      return refuse(code ?? 'INTERNAL', errorMessage(error));
    } finally {
      if (buffer) queue.giveBuffer(buffer);
      queue.release(reservedBytes);
    }
  };
}

/** 400 makes the sender drop the request, which is right: what is valid of it is stored. */
function answerOutcome(outcome: WriteOutcome): HttpAnswer {
  if (outcome.rejections.length === 0) return { status: 204, headers: {} };
  return text(400, outcome.rejections.map((rejection) => rejection.text).join('\n'));
}
