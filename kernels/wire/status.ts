// What a decoding step answers; src/wasm/wire.ts turns all but the last into errors.
export const statusOk: i32 = 0;
export const statusSnappyCorrupt: i32 = 1;
export const statusProtobufCorrupt: i32 = 2;
export const statusDecompressedTooLarge: i32 = 3;
export const statusSamplesTooMany: i32 = 4;
/** A guess of the fast path was wrong: the request is read again without guessing. Never leaves the kernel. */
export const statusGuessedWrong: i32 = 5;
