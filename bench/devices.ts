/**
 * The engines that are timed: the command line's devices, and the default one without its blocked kernels. A separate table, because a
 * worker that loaded the command line would hold 70 MB that are not the engine's.
 */
import { Loops } from "@uninet/loops"
import { OnnxRuntime } from "@uninet/runtime"
import { Tfjs } from "@uninet/runtime-tfjs"

const engines = {
  cpu: (threads: number) => OnnxRuntime.cpu({ threads }),
  standard: (threads: number) => OnnxRuntime.cpu({ threads, formulation: "standard" }),
  portable: (threads: number) => Loops.portable({ threads }),
  loops: (threads: number) => Loops.fast({ threads }),
  webgpu: () => OnnxRuntime.webgpu(),
  cuda: () => OnnxRuntime.cuda(),
  "tfjs-node-gpu": () => Tfjs.nodeGpu(),
  "tfjs-node": () => Tfjs.node(),
  "tfjs-wasm": () => Tfjs.wasm(),
  "tfjs-cpu": () => Tfjs.cpu()
}

export type Name = keyof typeof engines
export const names = Object.keys(engines)

export const isName = (name: string): name is Name => Object.hasOwn(engines, name)

export const layer = (name: Name, threads: number) => engines[name](threads)
