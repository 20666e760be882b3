/**
 * What a program is made of after lowering: kernels with what they work on. A piece of work has a number of tiles, the groups of the batch or parts of a plain array, that do not need each
 * other and lie at even distances.
 */
import type { Tensor } from "@uninet/graph"
import type { Kernel, Style } from "./Kernel.ts"
import type { Rounds } from "./kernels/repeat.ts"
import type * as Split from "./Split.ts"
import type { Buffer } from "./View.ts"

/** A place in a buffer, in bytes. */
export interface Address {
  readonly buffer: Buffer
  readonly at: number
  /** From one tile to the next in a plain buffer, 0 by default. In lanes it is a group's size. */
  readonly tile?: number
}

/** A place in the room for a kernel to work in, which every thread has one of. */
export interface Scratch {
  /** Bytes from its start. */
  readonly scratch: number
}

/** An argument of a kernel: a number, a place, or a number that is the last tile's own. */
export type Arg = number | Address | Scratch | { readonly all: number; readonly last: number }

/** A kernel that is called again and again, with arguments that move on. */
export interface Repeated {
  readonly kernel: (style: Style) => Kernel
  readonly args: ReadonlyArray<Arg>
  /** By how many bytes an argument moves with a round of each of the loops, by its place. */
  readonly moves: ReadonlyMap<number, Rounds>
}

export interface Work {
  readonly _tag: "Work"
  /** What it is there for. */
  readonly node: Tensor.Tensor
  /** What it does, in a few words. */
  readonly text: string
  readonly kernel: (style: Style) => Kernel
  /** The last tile's own kernel, where the batch does not fill it. */
  readonly lastKernel?: ((style: Style) => Kernel) | undefined
  readonly args: ReadonlyArray<Arg>
  /** What stands in the place of arguments where the kernel repeats others. `split` is then of one of the two outer loops. */
  readonly repeats?:
    | { readonly rounds: Rounds; readonly kernels: ReadonlyArray<Repeated>; readonly shared: 0 | 1 }
    | undefined
  /** Where threads can share a tile. */
  readonly split?: Split.Split | undefined
  readonly tiles: number
  readonly reads: ReadonlyArray<Buffer>
  readonly writes: ReadonlyArray<Buffer>
  /** Multiply-accumulates, and bytes that are read and written, of all tiles together. */
  readonly macs: number
  readonly bytes: number
}

/** Numbers that are worked out in JavaScript, once in a run: what an optimiser's step makes of its rate and count. */
export interface Host {
  readonly _tag: "Host"
  readonly node: Tensor.Tensor
  readonly text: string
  readonly inputs: ReadonlyArray<Address>
  readonly outputs: ReadonlyArray<Address>
  readonly compute: (...inputs: ReadonlyArray<number>) => ReadonlyArray<number>
  readonly reads: ReadonlyArray<Buffer>
  readonly writes: ReadonlyArray<Buffer>
}

/** Zeros, or another number, in the sums of all stretches before their tiles begin. */
export interface Clear {
  readonly _tag: "Clear"
  readonly node: Tensor.Tensor
  readonly buffer: Buffer
  readonly value: number
}

export type Step = Work | Host | Clear
