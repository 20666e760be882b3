/** A training step in a page: what came of it is its title. */
import { gradient, Op, Program } from "@uninet/graph"
import { Runtime } from "@uninet/engine"
import { Tfjs } from "@uninet/runtime-tfjs"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

declare const document: { title: string }

const weight = Op.variable(
  { name: "weight", role: "parameter", initialiser: { kind: "constant", value: 0 }, decay: false },
  [3, 2, 3, 3]
)
const moments = [1, 2].map((n) =>
  Op.variable(
    { name: `moment${n}`, role: "moment", initialiser: { kind: "constant", value: 0 }, decay: false },
    weight.shape
  )
)
const image = Op.input("image", [2, 2, 6, 6])
const labels = Op.input("labels", [2], "int32")
const logits = Op.globalAveragePool(Op.gelu(Op.conv2d(image, weight)))
const loss = Op.neg(Op.mean(Op.sum(Op.mul(Op.logSoftmax(logits), Op.oneHot(labels, 3)), [1])))
const [slope = Op.fill(0, weight.shape)] = gradient(loss, [weight])
const next = Op.adamw(
  { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
  { parameter: weight, gradient: slope, moment1: moments[0], moment2: moments[1] },
  Op.input("rate", []),
  Op.input("step", [])
)
const training = Result.getOrThrow(
  Program.make({
    outputs: { loss },
    updates: [
      { variable: weight, value: next.parameter },
      { variable: moments[0], value: next.moment1 },
      { variable: moments[1], value: next.moment2 }
    ]
  })
)

const wave = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i))

const main = Effect.gen(function* () {
  const runtime = yield* Runtime
  const { run, write } = yield* runtime.compile({ training })
  yield* write(new Map([["weight", wave(54)]]))
  const losses: Array<string> = []
  for (const step of [1, 2, 3]) {
    const inputs = {
      image: wave(144),
      labels: Int32Array.of(0, 2),
      rate: Float32Array.of(0.1),
      step: Float32Array.of(step)
    }
    losses.push((yield* run("training", inputs)).loss[0].toFixed(4))
  }
  return `${runtime.name}: ${losses.join(" ")}`
}).pipe(Effect.scoped, Effect.provide(Tfjs.wasm({ binaries: "/" })))

document.title = "running"
document.title = await Effect.runPromise(Effect.catch(main, (error) => Effect.succeed(error.message)))
