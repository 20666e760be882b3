/** UniNet's spaces keep the laws of every model space and their own, and a mistake in a custom operator or module breaks one. */
import { assert, describe, it } from "@effect/vitest"
import { type Dsm, DsmSet } from "@uninet/dsm"
import { Op } from "@uninet/graph"
import { Laws, ModelSpace } from "@uninet/model-space"
import { Nn, Scope } from "@uninet/nn"
import { Operator, OperatorSet } from "@uninet/operators"
import { OnnxRuntime, Runtime, type RuntimeError } from "@uninet/runtime"
import { Space } from "@uninet/search-space"
import { fromSpace } from "@uninet/search-space/arbitrary"
import { type Architecture, Kit, UniNet, UniNetSpace } from "@uninet/uninet"
import { Effect, Result } from "effect"
import * as fc from "fast-check"
import { anyPoint, type Point, smallPoint } from "./support/architectures.ts"

const digits = Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10 }))

/** What fast-check says of a law's breakers in 100 architectures; nothing where there are none. */
const breakers = (name: string) =>
  fc.defaultReportMessage(
    fc.check(
      fc.property(anyPoint, ({ architecture, of }) => {
        const law = Laws.pure(of).filter((law) => law.name === name)
        assert.strictEqual(law.length, 1)
        Result.getOrThrow(Laws.check(architecture, law)(of))
      }),
      { numRuns: 100 }
    )
  )

const onnxRuntime: Laws.Engine<RuntimeError, Runtime> = (program, { inputs, variables }) =>
  Effect.gen(function* () {
    const runtime = yield* Runtime
    const executable = yield* runtime.compile({ program })
    yield* executable.write(variables)
    return yield* executable.run("program", inputs)
  }).pipe(Effect.scoped)

/** Architectures to run, with every operator and module of UniNet's in some. */
const toRun = (numRuns: number): ReadonlyArray<Point> => {
  const points = fc.sample(smallPoint, { numRuns, seed: 7 })
  const used = new Set(points.flatMap(({ architecture }) => architecture.stages.flatMap((s) => [s.operator, s.dsm])))
  assert.deepStrictEqual([...used].sort(), ["Conv", "DWConv", "G", "L", "LG", "LSA", "MLP", "SA", null].sort())
  return points
}

describe("the laws of UniNet's space", () => {
  it("are those of every model space, then that of its blocks and that of growing", () => {
    assert.deepStrictEqual(
      Laws.pure(digits).map(({ name }) => name),
      ["json", "shape", "deterministic", "costs", "gradients", "blocks", "monotony"]
    )
  })

  for (const law of Laws.pure(digits))
    it(`${law.name}: ${law.statement}`, () => {
      assert.isUndefined(breakers(law.name))
    })

  it("hold for the released family, B0 and B1 being points and the others scaled up from one", () => {
    for (const architecture of Object.values(UniNet.family)) {
      const { height } = architecture.image
      const of = Result.getOrThrow(UniNetSpace.models({ image: height, stage0Channels: 24 }))
      const isPoint = architecture === UniNet.B0 || architecture === UniNet.B1
      const laws = Laws.pure(of).filter(({ name }) => isPoint || name !== "json")
      assert.deepStrictEqual(Laws.check(architecture, laws)(of), Result.succeed(undefined))
      const json: unknown = JSON.parse(JSON.stringify(ModelSpace.write(architecture)(of)))
      assert.deepStrictEqual(ModelSpace.read(json)(of), Result.succeed(architecture))
    }
  })

  for (const law of Laws.onEngine(digits))
    it.effect(`${law.name}: ${law.statement}`, () =>
      Effect.gen(function* () {
        for (const { architecture, of } of toRun(8)) {
          const own = Laws.onEngine(of).filter(({ name }) => name === law.name)
          yield* Laws.checkOn(onnxRuntime)(architecture, own)(of)
        }
      }).pipe(Effect.provide(OnnxRuntime.cpu()))
    )
})

/** The smallest architecture that breaks a law, and how. */
const smallestViolation = (kit: Kit.Kit) => {
  const of = Result.getOrThrow(UniNetSpace.models({ image: 33, kit }))
  const outcome = fc.check(
    fc.property(fromSpace(of.space), (architecture) => Result.isSuccess(Laws.check(architecture)(of))),
    { numRuns: 300, seed: 1 }
  )
  const [architecture] = outcome.counterexample ?? assert.fail("no architecture breaks a law")
  return Result.match(Laws.check(architecture)(of), {
    onFailure: (violation) => ({ violation, architecture }),
    onSuccess: () => assert.fail("the counterexample breaks no law")
  })
}

/** The stages in which an architecture uses something. */
const stagesWith = ({ stages }: Architecture.Architecture, name: string) =>
  stages.filter(({ dsm, operator }) => dsm === name || operator === name)

/** A bias that the norm behind it takes away. */
const biased: Operator.Operator["layer"] =
  (scope, { channels }) =>
  (x) =>
    Op.add(x, Nn.batchNorm(Scope.at("norm")(scope))(Nn.pointwise(Scope.at("project")(scope), { out: channels })(x)))

/** Whether all parameters of a network with the operator live. */
const alive = (operator: Operator.Operator) => {
  const kit = Kit.make({ operators: { Biased: operator } })
  const of = Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10, kit }))
  const [architecture = assert.fail("none was drawn")] = fc.sample(fromSpace(of.space), { numRuns: 1, seed: 1 })
  const laws = Laws.onEngine(of).filter(({ name }) => name === "alive")
  return Laws.checkOn(onnxRuntime)(architecture, laws)(of)
}

describe("the laws find planted bugs, shrunk to the smallest network that shows them", () => {
  it("an operator whose declared MACs are off by one on odd sizes", () => {
    const { DWConv } = OperatorSet.standard
    const Miscounted: Operator.Operator = {
      ...DWConv,
      count: (config, size) => {
        const { macs, parameters } = DWConv.count?.(config, size) ?? { macs: 0, parameters: 0 }
        return { parameters, macs: macs + ((size.height * size.width) % 2) }
      }
    }
    const { architecture, violation } = smallestViolation(Kit.make({ operators: OperatorSet.with({ Miscounted }) }))
    assert.strictEqual(violation.law, "blocks")
    assert.match(violation.at, /\(Miscounted\)$/)
    assert.strictEqual(stagesWith(architecture, "Miscounted").length, 1)
    assert.match(violation.message, /it declares \d+ MACs but its ops have \d+/)
  })

  it("a module that holds more parameters than it declares", () => {
    const Hoarding: Dsm.Dsm = {
      ...DsmSet.standard.L,
      count: (config, size) => {
        const { macs, parameters } = DsmSet.standard.L.count?.(config, size) ?? { macs: 0, parameters: 0 }
        return { macs, parameters: parameters - config.channels }
      }
    }
    const { architecture, violation } = smallestViolation(Kit.make({ dsms: DsmSet.with({ Hoarding }) }))
    assert.strictEqual(violation.law, "blocks")
    assert.match(violation.at, /\(Hoarding\)$/)
    assert.strictEqual(stagesWith(architecture, "Hoarding").length, 1)
    assert.match(violation.message, /it declares \d+ parameters but has \d+/)
  })

  it("a downsampling module whose shape is wrong at stride 1", () => {
    const Shifted: Dsm.Dsm = {
      layer: (scope, config) => (x) => {
        const y = DsmSet.standard.L.layer(scope, config)(x)
        return config.stride === 1 ? Op.pad(y, [0, 0, 0, 0], [0, 0, 0, 1]) : y
      }
    }
    const { architecture, violation } = smallestViolation(Kit.make({ dsms: DsmSet.with({ Shifted }) }))
    assert.strictEqual(violation.law, "shape")
    assert.match(violation.message, /blocks\.\d+ \(Shifted\): the result should have the shape/)
    const [culprit, ...others] = stagesWith(architecture, "Shifted")
    assert.strictEqual(culprit?.stride, 1)
    assert.deepStrictEqual(others, [])
  })

  it("a parameter that the loss does not depend on", () => {
    const Forgetful: Operator.Operator = {
      layer: (scope) => (x) => Op.add(x, Op.scale(Op.equal(Nn.batchNorm(scope)(x), x), 0))
    }
    const { violation } = smallestViolation(Kit.make({ operators: { DWConv: OperatorSet.standard.DWConv, Forgetful } }))
    assert.strictEqual(violation.law, "gradients")
    assert.match(violation.at, /^blocks\.\d+\.(weight|bias)$/)
  })

  it("an operator that costs less the wider it is", () => {
    const Shrinking: Operator.Operator = {
      layer:
        (scope, { channels }) =>
        (x) =>
          Nn.residual(scope, {
            branch: (y) =>
              Nn.pointwise(Scope.at("up")(scope), { out: channels })(
                Nn.pointwise(Scope.at("down")(scope), { out: Math.ceil(65_536 / channels ** 2) })(y)
              )
          })(x)
    }
    const { architecture, violation } = smallestViolation(
      Kit.make({ operators: { DWConv: OperatorSet.standard.DWConv, Shrinking }, dsms: DsmSet.only("L") })
    )
    assert.strictEqual(violation.law, "monotony")
    assert.strictEqual(stagesWith(architecture, "Shrinking").length, 1)
    assert.match(violation.reason, /^with more channels in stage \d it has \d+ (parameters|macs), fewer than \d+$/)
  })

  it("an architecture of another space, whose names nobody knows", () => {
    const [stage] = UniNet.B0.stages
    const violation = Laws.check({ ...UniNet.B0, stages: [{ ...stage, operator: "Mystery" }] })(digits)
    assert.isTrue(Result.isFailure(violation))
    if (Result.isFailure(violation)) {
      assert.strictEqual(violation.failure.law, "builds")
      assert.match(violation.failure.message, /there is no operator "Mystery"/)
    }
  })

  const seed = Space.seedPoint(digits.space)

  it.effect("an engine that gives nonsense", () =>
    Effect.gen(function* () {
      const silent = yield* Effect.flip(Laws.checkOn(() => Effect.succeed({}))(seed)(digits))
      assert.match(silent.message, /law "runs" broken at logits: the engine gave 0 numbers for \[2×10\]/)
      const broken = { logits: new Float32Array(20).fill(NaN) }
      const noisy = yield* Effect.flip(Laws.checkOn(() => Effect.succeed(broken))(seed)(digits))
      assert.match(noisy.message, /not finite/)
    })
  )

  it.effect("an operator that looks at the whole batch in evaluation, and one whose training is another network", () =>
    Effect.gen(function* () {
      const { DWConv } = OperatorSet.standard
      const Gregarious: Operator.Operator = {
        layer: () => (x) => Op.add(x, Op.mean(x, [0], true))
      }
      const Fickle: Operator.Operator = {
        layer: (scope) => (x) => (scope.mode === "training" ? Op.add(x, Op.relu(x)) : x)
      }
      for (const [name, operator, law] of [
        ["Gregarious", Gregarious, "independence"],
        ["Fickle", Fickle, "agreement"]
      ] as const) {
        const kit = Kit.make({ operators: { [name]: operator }, stage0: { name: "DWConv", operator: DWConv } })
        const of = Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10, kit }))
        const [architecture = assert.fail("none was drawn")] = fc.sample(fromSpace(of.space), { numRuns: 1, seed: 1 })
        const found = yield* Effect.flip(Laws.checkOn(onnxRuntime)(architecture)(of))
        assert.strictEqual(found._tag, "LawViolation")
        if (found._tag === "LawViolation") assert.deepStrictEqual([found.law, found.at], [law, "logits"])
      }
    }).pipe(Effect.provide(OnnxRuntime.cpu()))
  )

  it.effect("a parameter whose gradient is always zero, unless the operator says that it is idle", () =>
    Effect.gen(function* () {
      const found = yield* Effect.flip(alive({ layer: biased }))
      assert.match(found.message, /law "alive" broken at blocks\.\d+\.project\.bias: its gradient is zero/)
      yield* alive({ layer: biased, idle: ["project.bias", "norm.bias"] })
    }).pipe(Effect.provide(OnnxRuntime.cpu()))
  )
})
