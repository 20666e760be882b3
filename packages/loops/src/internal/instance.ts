/** Instances of kernels on a memory, called from lists. */
import type { Module } from "./compile.ts"

/** A WebAssembly memory. */
export interface Memory {
  readonly buffer: ArrayBuffer
}

/** The part of the WebAssembly interface used here, which neither ES nor Node's types declare. */
declare const WebAssembly: {
  readonly Table: new (limits: { readonly element: "anyfunc"; readonly initial: number }) => {
    readonly set: (index: number, value: unknown) => void
  }
  readonly Instance: new (
    module: Module,
    imports: { readonly env: { readonly memory: Memory; readonly kernels?: object } }
  ) => { readonly exports: { readonly run: (...args: ReadonlyArray<number>) => void } }
}

/** What every thread instantiates. */
export interface Parts {
  readonly memory: Memory
  readonly kernels: ReadonlyArray<Module>
  readonly runner: Module
}

/** Makes a function that runs the calls between two addresses in the memory. */
export const make = ({ kernels, memory, runner }: Parts): ((from: number, to: number) => void) => {
  const table = new WebAssembly.Table({ element: "anyfunc", initial: kernels.length })
  for (const [i, kernel] of kernels.entries())
    table.set(i, new WebAssembly.Instance(kernel, { env: { memory, kernels: table } }).exports.run)
  return new WebAssembly.Instance(runner, { env: { memory, kernels: table } }).exports.run
}
