/**
 * What a program consists of after lowering: kernels with their arguments. A piece of work has a number of tiles, the groups of the batch or parts of a plain array, which are independent of
 * one another and at regular distances.
 */
import type { Tensor } from "@uninet/graph"
import type { Kernel, Style } from "./Kernel.ts"
import type { Rounds } from "./kernels/repeat.ts"
import type * as Split from "./Split.ts"
import type { Buffer } from "./View.ts"

/** A position in a buffer, in bytes. */
export interface Address {
  readonly buffer: Buffer
  readonly at: number
  /** Distance from one tile to the next in a plain buffer, 0 by default. In lanes it is the size of a group. */
  readonly tile?: number
}

/** A position in a kernel's scratch memory, of which every thread has its own. */
export interface Scratch {
  /** Bytes from its start. */
  readonly scratch: number
}

/** An argument of a kernel: a number, an address, or a number that differs for the last tile. */
export type Arg = number | Address | Scratch | { readonly all: number; readonly last: number }

/** A kernel that is called repeatedly, with moving arguments. */
export interface Repeated {
  readonly kernel: (style: Style) => Kernel
  readonly args: ReadonlyArray<Arg>
  /** How many bytes an argument moves per round of each of the loops, by index. */
  readonly moves: ReadonlyMap<number, Rounds>
}

export interface Work {
  readonly _tag: "Work"
  /** The node that it is for. */
  readonly node: Tensor.Tensor
  /** What it does, in a few words. */
  readonly text: string
  readonly kernel: (style: Style) => Kernel
  /** A kernel for the last tile, if the batch does not fill it. */
  readonly lastKernel?: ((style: Style) => Kernel) | undefined
  readonly args: ReadonlyArray<Arg>
  /** Replaces the arguments if the kernel repeats others. `split` then belongs to one of the two outer loops. */
  readonly repeats?:
    | { readonly rounds: Rounds; readonly kernels: ReadonlyArray<Repeated>; readonly shared: 0 | 1 }
    | undefined
  /** How threads can share a tile, if they can. */
  readonly split?: Split.Split | undefined
  readonly tiles: number
  readonly reads: ReadonlyArray<Buffer>
  readonly writes: ReadonlyArray<Buffer>
  /** Multiply-accumulates, and bytes read and written, over all tiles. */
  readonly macs: number
  readonly bytes: number
}

/** Numbers that JavaScript computes once per run: what an optimiser's step derives from its rate and step count. */
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

/** Sets the sums of all stretches to zero, or to another number, before their tiles begin. */
export interface Clear {
  readonly _tag: "Clear"
  readonly node: Tensor.Tensor
  readonly buffer: Buffer
  readonly value: number
}

export type Step = Work | Host | Clear
