// What the parts of one thread share: a cache of decoded blocks, bounded by bytes, and the open files, bounded by number.

export interface PartCachesOptions {
  /** Decoded blocks and frames kept; 256 MiB unless told. */
  readonly bytesMax?: number;
  readonly openFilesMax?: number;
}

export class PartCaches {
  constructor(_options: PartCachesOptions = {}) {}
}
