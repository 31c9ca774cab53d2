// The binding of the pages kernel: encodes and decodes the pages of parts (docs/formats/pages.md).

/** One instance; belongs to one thread. */
export class PagesKernel {
  constructor(_module: WebAssembly.Module) {}
}
