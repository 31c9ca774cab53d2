// The part of snappyjs (plain JavaScript, without types of its own) that the load generator and its test use.
declare module 'snappyjs' {
  const snappy: { compress(input: Uint8Array): Uint8Array; uncompress(input: Uint8Array): Uint8Array };
  export default snappy;
}
