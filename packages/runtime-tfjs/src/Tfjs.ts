/**
 * Engines on TensorFlow.js: every op of a program becomes calls to its kernels.
 *
 * They serve to check ONNX Runtime's numbers, run where it does not (in a browser), and provide TensorFlow's own CUDA kernels where `tfjs-node-gpu` is installed.
 */
import * as tf from "@tensorflow/tfjs-core"
import { DeviceUnavailable, Runtime } from "@uninet/engine"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Backend } from "./internal/backend.ts"
import type { Traits } from "./internal/context.ts"
import { compile } from "./internal/executable.ts"

/** The version of TensorFlow.js. */
export const version: string = tf.version_core

const kernelsOfTensorFlow: Traits = {
  gradientKernels: true,
  poolGradientKernel: true,
  explicitPadding: false,
  transposedProducts: true,
  pooledSums: false,
  composedErf: false
}

const backends = {
  wasm: {
    name: "wasm",
    engine: "tfjs wasm",
    traits: {
      gradientKernels: false,
      poolGradientKernel: false,
      explicitPadding: true,
      transposedProducts: false,
      pooledSums: true,
      composedErf: true
    }
  },
  cpu: {
    name: "cpu",
    engine: "tfjs cpu",
    traits: { ...kernelsOfTensorFlow, explicitPadding: true }
  },
  node: { name: "tensorflow", engine: "tfjs node", traits: kernelsOfTensorFlow },
  nodeGpu: { name: "tensorflow", engine: "tfjs node-gpu", traits: kernelsOfTensorFlow }
} satisfies Record<string, Backend>

const reason = (cause: unknown) => {
  if (!(cause instanceof Error)) return String(cause)
  const [, missing] = /^Cannot find (?:package|module) '([^']+)'/.exec(cause.message) ?? []
  return missing === undefined ? cause.message.replace(/\n[^]*/, "") : `${missing} is not installed`
}

const start = (backend: Backend, load: () => Promise<unknown>, remedy: string) =>
  Effect.tryPromise({
    try: async () => {
      // Disables its checks of every number and its advertisements: shapes have already been checked.
      tf.env().set("PROD", true)
      await load()
      if (!(await tf.engine().setBackend(backend.name))) throw new Error("it failed to start")
      return Runtime.of({
        name: backend.engine,
        numerics: Effect.succeed(backend.engine.replace("tfjs ", `tfjs ${tf.version_core} `)),
        compile: compile(backend)
      })
    },
    catch: (cause) => new DeviceUnavailable({ device: backend.engine, reason: reason(cause), remedy })
  })

const layer = (...args: Parameters<typeof start>): Layer.Layer<Runtime, DeviceUnavailable> =>
  Layer.effect(Runtime, start(...args))

/** The parts of Node's process object that are used, if there is one. */
interface Process {
  readonly listeners: (event: string) => ReadonlyArray<(...args: ReadonlyArray<unknown>) => void>
  readonly removeListener: (event: string, listener: (...args: ReadonlyArray<unknown>) => void) => void
  readonly getBuiltinModule?: (name: string) => unknown
}

// In a browser there is none.
const host = (): Process | undefined => (globalThis as { readonly process?: Process }).process

const events = ["uncaughtException", "unhandledRejection"]

/** Emscripten's glue code changes how a process ends on errors that have nothing to do with it. This restores the original behaviour. */
const withoutHandlers = async <A>(load: () => Promise<A>): Promise<A> => {
  const process = typeof host()?.listeners === "function" ? host() : undefined
  const before = events.map((event) => new Set(process?.listeners(event)))
  const loaded = await load()
  for (const [i, event] of events.entries())
    for (const listener of process?.listeners(event) ?? [])
      if (!Arr.getUnsafe(before, i).has(listener)) process?.removeListener(event, listener)
  return loaded
}

const loadCpu = () => import("@tensorflow/tfjs-backend-cpu")

/** For a bundle: where the binaries of the WebAssembly backend are (`.wasm` files, by name). */
export interface WasmOptions {
  /** The address of a folder, ending in `/`. Default: next to the package's own code, as in Node. */
  readonly binaries?: string
}

/** The WebAssembly backend: with SIMD if the machine has it, one thread in Node, several in a cross-origin isolated page. */
export const wasm = (options: WasmOptions = {}): Layer.Layer<Runtime, DeviceUnavailable> =>
  layer(
    backends.wasm,
    async () => {
      const { setWasmPaths } = await withoutHandlers(() => import("@tensorflow/tfjs-backend-wasm"))
      if (options.binaries !== undefined) setWasmPaths(options.binaries)
      await withoutHandlers(() => tf.engine().setBackend("wasm"))
    },
    "Install the complete @tensorflow/tfjs-backend-wasm package, and serve its .wasm files from the folder that `binaries` names."
  )

/** The backend in plain JavaScript: slow, and the same everywhere. */
export const cpu = (): Layer.Layer<Runtime, DeviceUnavailable> =>
  layer(backends.cpu, loadCpu, "Install @tensorflow/tfjs-backend-cpu.")

/** tfjs-node calls a function that Node 23 removed from `util`. */
const mendUtil = () => {
  const util = host()?.getBuiltinModule?.("node:util")
  if (typeof util !== "object" || util === null || "isNullOrUndefined" in util) return
  Object.assign(util, { isNullOrUndefined: (value: unknown) => value === null || value === undefined })
}

/** Loads a module that may not exist: its name is hidden from bundlers. */
const loadNode = (name: string) => async () => {
  mendUtil()
  await import(/* @vite-ignore */ name)
}

const native = (backend: Backend, name: string, needs: string) =>
  layer(
    backend,
    loadNode(name),
    `Install it with: npx -y pnpm add -w --allow-build=${name} ${name} (downloads libtensorflow${needs}).`
  )

/** TensorFlow's kernels on the CPU; needs `@tensorflow/tfjs-node`. */
export const node = (): Layer.Layer<Runtime, DeviceUnavailable> => native(backends.node, "@tensorflow/tfjs-node", "")

/** TensorFlow's kernels on an NVIDIA GPU; needs `@tensorflow/tfjs-node-gpu`, CUDA 11 and cuDNN 8. */
export const nodeGpu = (): Layer.Layer<Runtime, DeviceUnavailable> =>
  native(backends.nodeGpu, "@tensorflow/tfjs-node-gpu", "; CUDA 11 and cuDNN 8 must be installed")

/** The first of `nodeGpu`, `node`, `wasm` and `cpu` that works here. */
export const best = (options: WasmOptions = {}): Layer.Layer<Runtime, DeviceUnavailable> =>
  nodeGpu().pipe(
    Layer.catch(() => node()),
    Layer.catch(() => wasm(options)),
    Layer.catch(() => cpu())
  )
