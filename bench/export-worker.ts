/**
 * Times the inference of an ONNX file in ONNX Runtime. Started by `export.ts`: `node export-worker.ts model.onnx BATCH THREADS STEPS`; for
 * every line read from standard input it runs STEPS inferences and prints the wall time and the processor time of each in seconds.
 */
import * as ort from "onnxruntime-node"
import { createInterface } from "node:readline"

const [file = "", batch, threads, steps] = process.argv.slice(2)
const session = await ort.InferenceSession.create(file, {
  intraOpNumThreads: Number(threads)
})
const [input] = session.inputMetadata
const axes = input?.isTensor === true ? input.shape.slice(1).map(Number) : []
const shape = [Number(batch), ...axes]
const data = Float32Array.from({ length: shape.reduce((n, axis) => n * axis, 1) }, (_, i) => Math.sin(i * 0.7) * 2)
const feeds = { [session.inputNames[0] ?? ""]: new ort.Tensor("float32", data, shape) }
for (let i = 0; i < 3; i++) await session.run(feeds)
console.log("ready")
for await (const _ of createInterface({ input: process.stdin })) {
  const [seconds, processor]: [Array<number>, Array<number>] = [[], []]
  for (let i = 0; i < Number(steps); i++) {
    const used = process.cpuUsage()
    const start = performance.now()
    await session.run(feeds)
    seconds.push((performance.now() - start) / 1000)
    const { system, user } = process.cpuUsage(used)
    processor.push((system + user) / 1e6)
  }
  console.log(JSON.stringify({ seconds, processor }))
}
