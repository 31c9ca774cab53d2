export { encodeWriteRequest, type WriteSeries } from './remote-write-encoder.ts';
export { wrapSnappy } from './snappy.ts';
export { checkWriteHeaders, type HeaderRefusal } from './write-headers.ts';
