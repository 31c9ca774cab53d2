// Memory that is done with. The engine counts buffers that lie outside its heap, and looks through the whole heap after every
// so many megabytes of them, most of which have died long before: a node that passes payloads on spent a third of its CPU
// time on that. What is freed at once does not count.

/** Frees the buffer of some bytes that nobody uses any more: all views of it are empty afterwards. No error if it has gone. */
export function discard({ buffer }: ArrayBufferView): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}
