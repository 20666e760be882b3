/** A loop nest in WebAssembly. It reads its addresses and lengths from integers in memory. */

/** How kernels are written. */
export interface Style {
  /** Whether a product and a sum may be rounded once, if the CPU can: this is faster, but not the same on every CPU. */
  readonly fused: boolean
  /** Whether the memory is shared by threads. */
  readonly shared: boolean
  /** How many positions of a product have their sums in registers at once. */
  readonly positions: 1 | 2
}

export interface Kernel {
  /** Identifies the kernel: equal keys mean equal code. */
  readonly key: string
  /** A WebAssembly module with one function, `run`, that takes the address of the arguments. */
  readonly bytes: () => Uint8Array
}
