/** A loop nest in WebAssembly. It takes what it works on, and how often, from whole numbers in memory. */

/** How kernels are written. */
export interface Style {
  /** Whether a product and a sum may be rounded once where the processor can: faster, but not the same on every processor. */
  readonly fused: boolean
  /** Whether memory is one that threads share. */
  readonly shared: boolean
}

export interface Kernel {
  /** Tells it from all others: equal keys are equal code. */
  readonly key: string
  /** A WebAssembly module with one function `run` of the address of the arguments. */
  readonly bytes: () => Uint8Array
}
