/** An operator from a user's own file goes through everything that UniNet's go through. */
import { assert, describe, it } from "@effect/vitest"
import { Dsms } from "@uninet/dsm"
import { gradient, Op, Program, Shape } from "@uninet/graph"
import { Lowering, Model } from "@uninet/onnx"
import { Network, NetworkCosts } from "@uninet/network"
import { Loss, RunningStatistics, Safetensors, Scope, Weights } from "@uninet/nn"
import * as Verify from "@uninet/network/verify"
import { Operators, OperatorSet } from "@uninet/operators"
import { OnnxRuntime, Runtime } from "@uninet/runtime"
import { type Architecture, Constrained, Constraint, Prng, UniNetSpace } from "@uninet/search-space"
import { fromSpace } from "@uninet/search-space/arbitrary"
import { Effect, Layer, Result } from "effect"
import * as fc from "fast-check"
import { ConvNeXt } from "./support/ConvNeXt.ts"

const services = Layer.merge(Operators.with({ ConvNeXt }), Dsms.standard)
const sets: Network.Sets = { ...Network.standard, operators: OperatorSet.with({ ConvNeXt }) }

/** A space of the user's operator alone, around a network of a few blocks. */
const space = Result.getOrThrow(
  UniNetSpace.make({ image: 16, channels: 1, classes: 4, operators: ["ConvNeXt"], widths: [1], depths: [-1, 0] })
)

const sample = (): Architecture.Architecture => {
  const light = Constrained.make(space, Constraint.bounds(NetworkCosts.forSpace(sets), { macs: { max: 1e7 } }))
  return Result.getOrThrow(Constrained.sampleWithin(Prng.fromSeed("own"))(Result.getOrThrow(light)))
}

const keeps = (architecture: Architecture.Architecture) => Result.isSuccess(Verify.check(architecture, sets))

describe("a user's own operator", () => {
  it("is sampled and costed within a search space's bounds", () => {
    const architecture = sample()
    assert.isTrue(architecture.stages.slice(1).every(({ operator }) => operator === "ConvNeXt"))
    const costs = Result.getOrThrow(Result.flatMap(Network.make(architecture, sets), NetworkCosts.of))
    assert.isAtMost(costs.macs, 1e7)
    for (const row of costs.stages) assert.isAbove(row.macs, 0, row.name)
  })

  it("is verified by the laws", () => {
    assert.isUndefined(fc.defaultReportMessage(fc.check(fc.property(fromSpace(space), keeps))))
  })

  it.effect("is trained, saved, and exported", () =>
    Effect.gen(function* () {
      const batch = 8
      const network = yield* Network.fromServices(sample())
      const evaluation = yield* Effect.fromResult(Network.evaluation(network, { batch }))
      const step = yield* Effect.fromResult(trainingStep(network, batch))
      const runtime = yield* Runtime
      const executable = yield* runtime.compile({ evaluation, step })
      const first = new Map(
        step.variables
          .filter(({ attributes }) => attributes.role !== "moment")
          .map(({ attributes: { initialiser, name }, shape }) => [
            name,
            Float32Array.from({ length: Shape.size(shape) }, (_, i) =>
              initialiser.kind === "constant" ? initialiser.value : 0.2 * Math.sin(3 * i)
            )
          ])
      )
      yield* executable.write(first)
      const image = Float32Array.from({ length: batch * 16 * 16 }, (_, i) => Math.sin(i * (1 + (i >> 8))))
      const labels = Int32Array.from({ length: batch }, (_, i) => i % 4)
      const losses: Array<number> = []
      for (let i = 1; i <= 20; i++) {
        const learningRate = Float32Array.of(3e-3)
        const { loss } = yield* executable.run("step", { image, labels, learningRate, step: Float32Array.of(i) })
        losses.push(loss[0])
      }
      assert.isBelow(losses[19], losses[0] / 2)

      const state = yield* executable.read
      const weights: Weights.Weights = new Map(
        [...state].flatMap(([k, v]) => (v instanceof Float32Array ? [[k, v]] : []))
      )
      const file = Safetensors.encode(yield* Effect.fromResult(Weights.toSafetensors(evaluation, weights)))
      const back = yield* Effect.fromResult(
        Result.flatMap(Safetensors.decode(file), (tensors) => Weights.fromSafetensors(evaluation, tensors))
      )
      assert.include([...back.keys()], "blocks.2.gamma")
      assert.isAbove(Model.encode(Lowering.lower(evaluation, { name: "own" }).model).length, 1000)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(services, OnnxRuntime.cpu())))
  )
})

const trainingStep = (network: Network.Network, batch: number) => {
  const { channels, height, width } = network.architecture.image
  const image = Op.input("image", [batch, channels, height, width])
  const logits = Network.forward(network, Scope.make("training"))(image)
  const loss = Loss.crossEntropy(logits, Op.input("labels", [batch], "int32"))
  return Result.flatMap(Program.make({ outputs: { loss } }), ({ variables }) => {
    const gradients = gradient(loss, variables)
    const [learningRate, step] = [Op.input("learningRate", []), Op.input("step", [])]
    const updates = variables.flatMap((parameter, i) => {
      const moment = (which: string) =>
        Op.variable(
          { ...parameter.attributes, name: `${which}/${parameter.attributes.name}`, role: "moment" },
          parameter.shape
        )
      const state = { parameter, gradient: gradients[i] ?? Op.fill(NaN), moment1: moment("m"), moment2: moment("v") }
      const next = Op.adamw({ beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 }, state, learningRate, step)
      return [
        { variable: parameter, value: next.parameter },
        { variable: state.moment1, value: next.moment1 },
        { variable: state.moment2, value: next.moment2 }
      ]
    })
    return Program.make({ outputs: { loss }, updates: [...updates, ...RunningStatistics.updates([logits])] })
  })
}
