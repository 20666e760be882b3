/** Whether this CPU rounds a product and a sum once. */
import type { Memory } from "./instance.ts"
import { f32x4, get, module, v128, writer } from "./wasm.ts"

/** The part of the WebAssembly interface used here, which neither ES nor Node's types declare. */
declare const WebAssembly: {
  readonly Memory: new (limits: { readonly initial: number; readonly maximum: number }) => Memory
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (
    module: object,
    imports: { readonly env: { readonly memory: Memory } }
  ) => { readonly exports: { readonly run: (address: number) => void } }
}

/** (1 + 2⁻¹²)² − (1 + 2⁻¹¹) is 2⁻²⁴; if the square is rounded before the subtraction, it is zero. */
export const isOnce = (): boolean => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65_536 })
  const words = new Float32Array(memory.buffer)
  words.set([1 + 2 ** -12, -(1 + 2 ** -11)])
  const [factor, rest] = [v128.splat(0), v128.splat(4)]
  const body = [get(0), get(0), factor, get(0), factor, get(0), rest, f32x4.relaxedMadd, v128.store(16)]
  const made = new WebAssembly.Module(module([{ writer: writer(), body }], { shared: false }))
  new WebAssembly.Instance(made, { env: { memory } }).exports.run(0)
  return words[4] !== 0
}
