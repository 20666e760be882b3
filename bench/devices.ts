/** The engines that are timed: the devices of the command line, and the default one without its blocked kernels. */
import { OnnxRuntime } from "@uninet/runtime"
import { Tfjs } from "@uninet/runtime-tfjs"

export const devices = {
  cpu: (threads: number) => OnnxRuntime.cpu({ threads }),
  standard: (threads: number) => OnnxRuntime.cpu({ threads, formulation: "standard" }),
  webgpu: () => OnnxRuntime.webgpu(),
  cuda: () => OnnxRuntime.cuda(),
  "tfjs-node-gpu": () => Tfjs.nodeGpu(),
  "tfjs-node": () => Tfjs.node(),
  "tfjs-wasm": () => Tfjs.wasm(),
  "tfjs-cpu": () => Tfjs.cpu()
}

export type Device = keyof typeof devices

export const isDevice = (name: string): name is Device => Object.hasOwn(devices, name)
