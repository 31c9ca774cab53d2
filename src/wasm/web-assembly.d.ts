// The part of the WebAssembly interface that kernels use: TypeScript declares it only together with the whole DOM.
declare namespace WebAssembly {
  class Module {
    /** TypeScript compares classes by their members: without one, anything would pass for a module. */
    private readonly module: never;
    constructor(bytes: Uint8Array<ArrayBuffer>);
  }

  class Instance {
    constructor(module: Module, imports?: Readonly<Record<string, Readonly<Record<string, unknown>>>>);
    readonly exports: Readonly<Record<string, unknown>>;
  }

  class Memory {
    constructor(descriptor: { initial: number; maximum?: number; shared?: boolean });
    /** A SharedArrayBuffer where the memory is shared; replaced when a memory that is not shared grows. */
    readonly buffer: ArrayBufferLike;
    /** Returns the old size in pages of 64 KiB; throws a RangeError over the maximum. */
    grow(pages: number): number;
  }

  function compile(bytes: Uint8Array<ArrayBuffer>): Promise<Module>;

  class RuntimeError extends Error {}
}
