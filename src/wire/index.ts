export {
  controlFrame,
  decodePeerFailure,
  encodePeerFailure,
  encodePeerFrame,
  type PeerFailure,
  type PeerFrameHeader,
  PeerFrameReader,
  peerBodyBytesMax,
  peerFrameTypes,
  type PeerFrameType,
  peerHeaderBytes,
} from './peer-frame.ts';
export {
  commonPeerVersion,
  decodePeerOpening,
  encodePeerOpening,
  type PeerOpening,
  peerVersions,
} from './peer-opening.ts';
export { decodePeerSamples, encodePeerSamples, type PeerSamplesBody } from './peer-samples.ts';
export { encodeWriteRequest, type WriteSeries } from './remote-write-encoder.ts';
export { wrapSnappy } from './snappy.ts';
export { checkWriteHeaders, type HeaderRefusal } from './write-headers.ts';
