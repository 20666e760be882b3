/**
 * Kernels as functions. V8 can join neighbouring halves of eight numbers in one instruction of AVX2, an experimental flag that is set while a kernel is compiled and at no other time;
 * the numbers are the same with it and without.
 */
import type { Kernel, Style } from "../Kernel.ts"
import { runner } from "./wasm.ts"

/** The part of the WebAssembly interface used here, which neither ES nor Node's types declare. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
}

/** A compiled kernel, which every thread can instantiate. */
export type Module = object

interface Flags {
  readonly setFlagsFromString: (flags: string) => void
}

/** Where there is Node, its interface to V8; nothing in a browser. */
const flags = (): Flags | undefined =>
  typeof process === "object" && typeof process.getBuiltinModule === "function"
    ? process.getBuiltinModule("node:v8")
    : undefined

/** Compile at once and optimised: the flags hold for what is compiled while they are set. */
const during = ["--no-liftoff", "--no-wasm-lazy-compilation"]
const after = ["--liftoff", "--wasm-lazy-compilation"]

/** Compiles while the flags are set. Only V8 for x86-64 joins vectors, and knows the flag. */
const withFlags = (given: boolean, compile: () => Module): Module => {
  const v8 = flags()
  const wide = given && v8 !== undefined && process.arch === "x64"
  if (v8 === undefined) return compile()
  for (const flag of during) v8.setFlagsFromString(flag)
  if (wide) v8.setFlagsFromString("--experimental-wasm-revectorize")
  try {
    return compile()
  } finally {
    for (const flag of after) v8.setFlagsFromString(flag)
    if (wide) v8.setFlagsFromString("--no-experimental-wasm-revectorize")
  }
}

const compiled = new Map<string, Module>()

/** How kernels are compiled for this process. */
export interface Target extends Style {
  /** Whether V8 may join halves. */
  readonly wide: boolean
}

/** A kernel's module; each is compiled once per process. */
export const moduleOf = (kernel: Kernel, { fused, shared, wide }: Target): Module => {
  const name = `${fused ? "f" : ""}${shared ? "s" : ""}${wide ? "w" : ""} ${kernel.key}`
  const known = compiled.get(name)
  if (known !== undefined) return known
  const made = withFlags(wide, () => new WebAssembly.Module(kernel.bytes()))
  compiled.set(name, made)
  return made
}

/** The module that goes through lists of calls. */
export const moduleOfRunner = (target: Target): Module =>
  moduleOf({ key: "runner", bytes: () => runner(target) }, target)
