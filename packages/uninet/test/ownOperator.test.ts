/** Operators from a user's own files go through everything that UniNet's go through. */
import { assert, describe, it } from "@effect/vitest"
import { Dsm, DsmSet } from "@uninet/dsm"
import { gradient, Op, Program, Shape } from "@uninet/graph"
import { Laws, ModelSpace } from "@uninet/model-space"
import { Initialiser, Loss, Nn, RunningStatistics, Safetensors, Scope, Weights } from "@uninet/nn"
import { Lowering, Model } from "@uninet/onnx"
import { Operator, OperatorSet } from "@uninet/operators"
import { OnnxRuntime, Runtime } from "@uninet/runtime"
import { Choice, Constrained, Prng, Space } from "@uninet/search-space"
import { fromSpace } from "@uninet/search-space/arbitrary"
import { Architecture, Kit, Network, NetworkCosts, UniNetSpace } from "@uninet/uninet"
import { Effect, flow, Result, Struct } from "effect"
import * as fc from "fast-check"
import { ConvNeXt } from "./support/ConvNeXt.ts"
import { Large } from "./support/Large.ts"

const get = Result.getOrThrow

const ofConvNeXt = Kit.make({ operators: { ConvNeXt } })

/** A space of the user's operator alone, around a network of a few blocks. */
const convNeXts = get(
  UniNetSpace.models({ image: 16, channels: 1, classes: 4, kit: ofConvNeXt, widths: [1], depths: [-1, 0] })
)

const sample = (): Architecture.Architecture => {
  const light = Constrained.make(convNeXts.space, ModelSpace.within({ macs: { max: 1e7 } })(convNeXts))
  return get(Constrained.sampleWithin(Prng.fromSeed("own"))(get(light)))
}

/** What breaks a law of a space; nothing where none does. */
const broken = (of: UniNetSpace.Models) =>
  fc.defaultReportMessage(
    fc.check(
      fc.property(fromSpace(of.space), (architecture) => {
        get(Laws.check(architecture)(of))
      })
    )
  )

describe("a user's own operator", () => {
  it("is sampled and costed within a search space's bounds", () => {
    const architecture = sample()
    assert.isTrue(architecture.stages.slice(1).every(({ operator }) => operator === "ConvNeXt"))
    const costs = get(Result.flatMap(Network.make(architecture, ofConvNeXt), NetworkCosts.of))
    assert.isAtMost(costs.macs, 1e7)
    for (const row of costs.stages) assert.isAbove(row.macs, 0, row.name)
  })

  it("is verified by the laws", () => {
    assert.isUndefined(broken(convNeXts))
  })

  it.effect("is trained, saved, and exported", () =>
    Effect.gen(function* () {
      const batch = 8
      const network = yield* Effect.fromResult(Network.make(sample(), ofConvNeXt))
      const evaluation = yield* Effect.fromResult(Network.evaluation({ batch })(network))
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
      const file = Safetensors.encode(yield* Effect.fromResult(Weights.toSafetensors(evaluation)(weights)))
      const back = yield* Effect.fromResult(
        Result.flatMap(Safetensors.decode(file), Weights.fromSafetensors(evaluation))
      )
      assert.include([...back.keys()], "blocks.2.gamma")
      assert.isAbove(Model.encode(Lowering.lower({ name: "own" })(evaluation).model).length, 1000)
    }).pipe(Effect.scoped, Effect.provide(OnnxRuntime.cpu()))
  )
})

/** UniNet's operators and the user's, on small images of one channel. */
const kit = Kit.make({ operators: OperatorSet.with({ Large }) })
const larges = get(UniNetSpace.models({ image: 28, channels: 1, classes: 10, kit }))

/** The seed network with the user's operator in its second stage. */
const withKernel = (kernel: number): Architecture.Architecture => {
  const seed = Space.seedPoint(larges.space)
  return {
    ...seed,
    stages: seed.stages.map((s, i) => (i === 2 ? { ...s, operator: "Large", settings: { kernel } } : s))
  }
}

/** What is in the second stage's block of an architecture. */
const blockOf = (architecture: Architecture.Architecture) => {
  const { blocks } = get(Network.make(architecture, kit))
  return blocks.find(({ kind, stage }) => kind === "operator" && stage === 2) ?? assert.fail("there is none")
}

/** Where an architecture leaves the space; `taken` where it does not. */
const path = (architecture: Architecture.Architecture) =>
  Result.match(Space.decodeJson(architecture)(larges.space), {
    onFailure: ({ path }) => path.join("."),
    onSuccess: () => "taken"
  })

const fingerprintWith = (Large: Operator.Operator) =>
  ModelSpace.fingerprint(
    get(UniNetSpace.models({ image: 28, channels: 1, classes: 10, kit: Kit.make({ operators: { Large } }) }))
  )

/** What is approximate where weights are inherited, or why none are. */
const inherit = (smaller: Architecture.Architecture, larger: Architecture.Architecture) =>
  Result.match(larges.scaling?.inherit(smaller, larger) ?? assert.fail("it has no scaling"), {
    onFailure: ({ message }) => message,
    onSuccess: ({ approximate }) => approximate.map(({ why }) => why).join()
  })

const deeper = (architecture: Architecture.Architecture, settings: Operator.Settings) => ({
  ...architecture,
  stages: architecture.stages.map((s, i) => (i === 2 ? { ...s, repeats: 2, settings } : s))
})

describe("a user's own operator with a choice of its own", () => {
  it("has its choice in the space, where it is chosen and nowhere else", () => {
    // each stage: five operators without choices of their own and one with three
    assert.strictEqual(Space.size(larges.space), ((5n + 3n) * 3n * 5n * 5n * 5n) ** 5n)
    const kernels = larges.space.sites.filter(({ name }) => name.endsWith("kernel"))
    assert.strictEqual(kernels.length, 5)
    assert.deepStrictEqual(
      kernels.map(({ count }) => count),
      [3, 3, 3, 3, 3]
    )
    const found = new Set<unknown>()
    const prng = Prng.fromSeed("kernels")
    for (let i = 0; i < 300; i++)
      for (const { operator, settings } of Space.sample(prng)(larges.space).stages) {
        assert.strictEqual(settings !== undefined, operator === "Large")
        if (settings !== undefined) found.add(settings["kernel"])
      }
    assert.deepStrictEqual([...found].sort(), [3, 5, 7])
  })

  it("has what was chosen in the settings of its stage, in the JSON, the line and the hash", () => {
    const [small, large] = [withKernel(3), withKernel(7)]
    for (const architecture of [small, large]) {
      const json: unknown = JSON.parse(JSON.stringify(get(Space.encodeJson(architecture)(larges.space))))
      assert.deepStrictEqual(get(Space.decodeJson(json)(larges.space)), architecture)
      assert.deepStrictEqual(
        get(Space.decode(get(Space.encode(architecture)(larges.space)))(larges.space)),
        architecture
      )
    }
    assert.include(larges.line(large), "L Large(kernel 7) e4 16×1 /2")
    assert.notStrictEqual(Architecture.hash(small), Architecture.hash(large))
    assert.strictEqual(Space.hash(large)(larges.space), Architecture.hash(large))
  })

  it("is not taken with a choice that it does not have, nor without one", () => {
    assert.strictEqual(path(withKernel(7)), "taken")
    assert.match(path(withKernel(9)), /^stages\.2/)
    const { stages, ...rest } = withKernel(7)
    const without = stages.map((s) => Struct.omit(s, ["settings"]))
    assert.match(path({ ...rest, stages: without }), /^stages\.2/)
    const elsewhere = stages.map((s, i) => (i === 3 ? { ...s, settings: { kernel: 5 } } : s))
    assert.match(path({ ...rest, stages: elsewhere }), /^stages\.3/)
  })

  it("is built and counted as was chosen", () => {
    const [small, large] = [withKernel(3), withKernel(7)].map((architecture) => {
      const block = blockOf(architecture)
      const x = Op.input("x", [1, block.config.inChannels, block.input.height, block.input.width])
      const { variables } = get(Program.make({ outputs: { y: Network.block(block, Scope.make("evaluation"))(x) } }))
      const weight = variables.find(({ attributes }) => attributes.name.endsWith("depthwise.weight"))
      return { shape: weight?.shape, parameters: larges.costs.parameters(architecture) }
    })
    assert.deepStrictEqual(
      [small?.shape, large?.shape],
      [
        [16, 1, 3, 3],
        [16, 1, 7, 7]
      ]
    )
    assert.strictEqual((large?.parameters ?? 0) - (small?.parameters ?? 0), 16 * (49 - 9))
  })

  it("is bounded in its costs along the stages", () => {
    const window = { parameters: { max: larges.costs.parameters(withKernel(3)) } }
    const light = get(Constrained.make(larges.space, ModelSpace.within(window)(larges)))
    assert.isTrue(Constrained.isFeasible(withKernel(3))(light))
    assert.isFalse(Constrained.isFeasible(withKernel(5))(light))
  })

  it("is verified by the laws", () => {
    assert.isUndefined(broken(larges))
  })

  it("is part of the fingerprint: its choices, and what they mean", () => {
    assert.strictEqual(fingerprintWith(Large), fingerprintWith({ ...Large }))
    assert.notStrictEqual(
      fingerprintWith(Large),
      fingerprintWith({ ...Large, choices: { kernel: Choice.ordered([3, 5], { seed: 5 }) } })
    )
    // the same choices, and other networks
    const other = Operator.make({
      choices: { kernel: Choice.ordered([3, 5, 7], { seed: 5 }) },
      layer: (scope, config) => Large.layer(scope, { ...config, settings: { kernel: 10 - config.settings.kernel } })
    })
    assert.notStrictEqual(fingerprintWith(Large), fingerprintWith({ ...Large, layer: other.layer }))
  })

  it("gives the PyTorch module its own text, once, and as was chosen", () => {
    const { pytorch } = larges
    const form = get(pytorch?.(withKernel(7)) ?? assert.fail("there is no form"))
    assert.strictEqual(form.definitions.filter((text) => text.startsWith("class Large(")).length, 1)
    assert.include(form.network, "            Large(16, kernel=7),")
    const without = convNeXts.pytorch?.(sample()) ?? assert.fail("there is no form")
    assert.match(Result.isFailure(without) ? without.failure.message : "", /^stage 1: ConvNeXt has no PyTorch text$/)
  })

  it("keeps what was chosen where its network is scaled up", () => {
    const small = withKernel(5)
    // nothing is known of how a new block of it should start
    assert.strictEqual(inherit(small, deeper(small, { kernel: 5 })), "Large does not declare how it grows")
    assert.include(
      inherit(small, deeper(small, { kernel: 7 })),
      "stage 2 has settings kernel 5 in the smaller network and kernel 7 in the larger one"
    )
    // in any order
    const two = deeper(small, { kernel: 5, other: true })
    assert.strictEqual(inherit(two, deeper(two, { other: true, kernel: 5 })), "")
  })

  it("may be a downsampling module as well", () => {
    const { DWConv } = OperatorSet.standard
    const Pooled = Dsm.make({
      choices: { bias: Choice.categorical([true, false]) },
      layer: (scope, { channels, settings, stride }) =>
        flow(
          (x) => Op.maxPool2d(x, { kernel: [3, 3], stride: [stride, stride] }, scope.path),
          Nn.pointwise(Scope.at("project")(scope), { out: channels, bias: settings.bias })
        ),
      idle: ["project.bias"]
    })
    const of = get(
      UniNetSpace.models({ image: 28, classes: 10, kit: Kit.make({ operators: { DWConv }, dsms: { Pooled } }) })
    )
    assert.strictEqual(Space.size(of.space), 250n ** 5n)
    const [light, heavy] = [false, true].map((bias) => {
      const seed = Space.seedPoint(of.space)
      return { ...seed, stages: seed.stages.map((s, i) => (i === 0 ? s : { ...s, dsmSettings: { bias } })) }
    })
    const widths = [8, 16, 24, 24, 32].reduce((sum, width) => sum + width, 0)
    assert.strictEqual(of.costs.parameters(heavy) - of.costs.parameters(light), widths)
    assert.include(of.line(light), "| Pooled(bias false) DWConv e4 8×1 /2 |")
    assert.isUndefined(broken(of))
  })

  it("has a name that nothing else with choices has", () => {
    const made = UniNetSpace.models({ kit: Kit.make({ operators: { Large }, dsms: { Large: DsmSet.standard.L } }) })
    assert.include(
      Result.isFailure(made) ? made.failure.message : "",
      '"Large" has its own choices and is both an operator and a module. Rename one of them'
    )
  })

  it("takes the seeds of its choices in stage 0, where nothing is searched", () => {
    const kit = Kit.make({ stage0: { name: "Large", operator: Large } })
    // stage 0 keeps the stem's channels
    const of = get(UniNetSpace.models({ image: 28, channels: 1, classes: 10, stage0Channels: 8, kit }))
    const architecture = Space.sample(Prng.fromSeed("stage 0"))(of.space)
    assert.deepStrictEqual(architecture.stages[0]?.settings, { kernel: 5 })
    assert.deepStrictEqual(Laws.check(architecture)(of), Result.succeed(undefined))
  })
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
          {
            ...parameter.attributes,
            name: `${which}/${parameter.attributes.name}`,
            role: "moment",
            // Not as the parameter: a moment that is drawn would have to be written before it is read.
            initialiser: Initialiser.zero
          },
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
