/**
 * Compiles kernels to functions. V8 can join adjacent halves of eight numbers into one AVX2 instruction. That is an experimental flag, which is set only while a kernel is compiled;
 * the numbers are the same with and without it.
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

/** Node's interface to V8, if there is one; nothing in a browser. */
const flags = (): Flags | undefined =>
  typeof process === "object" && typeof process.getBuiltinModule === "function"
    ? process.getBuiltinModule("node:v8")
    : undefined

/** Compile immediately and with optimisation: the flags apply to what is compiled while they are set. */
const during = ["--no-liftoff", "--no-wasm-lazy-compilation"]
const after = ["--liftoff", "--wasm-lazy-compilation"]

/** Whether this V8 can join vectors: only on x86-64, and only Node can set the flag. */
const joinsVectors = (): boolean => flags() !== undefined && process.arch === "x64"

/**
 * The sums of six rows by two positions are twenty-four vectors of four numbers: twelve registers if V8 joins them, and ARM64 has thirty-two. Elsewhere (x86-64 without the flag, or a page, which
 * cannot tell) only sixteen are certain.
 */
const positionsOf = (wide: boolean): 1 | 2 => (wide || (flags() !== undefined && process.arch === "arm64") ? 2 : 1)

/** How kernels are compiled for this process. */
export interface Target extends Style {
  /** Whether V8 joins two vectors. */
  readonly wide: boolean
}

/** What is asked for, whether or not it is possible here. */
export type Given = Omit<Target, "positions">

/** How kernels are compiled here, as near to what is asked for as possible. */
export const targetOf = (given: Given): Target => {
  const wide = given.wide && joinsVectors()
  return { ...given, wide, positions: positionsOf(wide) }
}

/** Compiles while the flags are set. */
const withFlags = (wide: boolean, compile: () => Module): Module => {
  const v8 = flags()
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

/** A kernel's module; each is compiled once per process. */
export const moduleOf = (kernel: Kernel, { fused, shared, wide }: Target): Module => {
  const name = `${fused ? "f" : ""}${shared ? "s" : ""}${wide ? "w" : ""} ${kernel.key}`
  const known = compiled.get(name)
  if (known !== undefined) return known
  const made = withFlags(wide, () => new WebAssembly.Module(kernel.bytes()))
  compiled.set(name, made)
  return made
}

/** The module that runs lists of calls. */
export const moduleOfRunner = (target: Target): Module =>
  moduleOf({ key: "runner", bytes: () => runner(target) }, target)
