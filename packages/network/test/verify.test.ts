import { assert, describe, it } from "@effect/vitest"
import { DsmSet } from "@uninet/dsm"
import { Op } from "@uninet/graph"
import { Network, UniNet } from "@uninet/network"
import * as Verify from "@uninet/network/verify"
import { Nn } from "@uninet/nn"
import { type Operator, OperatorSet } from "@uninet/operators"
import { OnnxRuntime, Runtime, type RuntimeError } from "@uninet/runtime"
import { Architecture, UniNetSpace } from "@uninet/search-space"
import { fromSpace } from "@uninet/search-space/arbitrary"
import { Effect, Result } from "effect"
import * as fc from "fast-check"
import { any, small } from "./support/architectures.ts"

/** What fast-check says of a law's breakers in 300 architectures; nothing where there are none. */
const breakers = (law: Verify.Law) =>
  fc.defaultReportMessage(
    fc.check(
      fc.property(any, (architecture) => Result.getOrThrow(Verify.check(architecture, Network.standard, [law]))),
      { numRuns: 300 }
    )
  )

describe("the laws of UniNet's space", () => {
  for (const law of Verify.laws)
    it(`${law.name}: ${law.statement}`, () => {
      assert.isUndefined(breakers(law))
    })

  it("hold for the released family", () => {
    for (const architecture of Object.values(UniNet.family))
      assert.deepStrictEqual(Verify.check(architecture), Result.succeed(undefined))
  })

  it.effect("runs: the engine gives a row of finite logits per image", () =>
    Effect.gen(function* () {
      for (const architecture of fc.sample(small, 25)) yield* Verify.runs(onnxRuntime, architecture)
    }).pipe(Effect.provide(OnnxRuntime.cpu()))
  )
})

const onnxRuntime: Verify.Engine<RuntimeError, Runtime> = (program, { inputs, variables }) =>
  Effect.gen(function* () {
    const runtime = yield* Runtime
    const executable = yield* runtime.compile({ program })
    yield* executable.write(variables)
    return yield* executable.run("program", inputs)
  }).pipe(Effect.scoped)

/** The smallest architecture that breaks a law, and how. */
const smallestViolation = (sets: Network.Sets, options: UniNetSpace.Options): Verify.LawViolation => {
  const space = Result.getOrThrow(UniNetSpace.make({ image: 33, ...options }))
  const outcome = fc.check(
    fc.property(fromSpace(space), (architecture) => Result.isSuccess(Verify.check(architecture, sets))),
    { numRuns: 300, seed: 1 }
  )
  const [architecture] = outcome.counterexample ?? assert.fail("no architecture breaks a law")
  return Result.match(Verify.check(architecture, sets), {
    onFailure: (violation) => violation,
    onSuccess: () => assert.fail("the counterexample breaks no law")
  })
}

/** The stages in which an architecture uses something. */
const stagesWith = ({ stages }: Architecture.Architecture, name: string) =>
  stages.filter(({ dsm, operator }) => dsm === name || operator === name)

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
    const sets = { ...Network.standard, operators: OperatorSet.with({ Miscounted }) }
    const violation = smallestViolation(sets, { operators: [...Object.keys(OperatorSet.standard), "Miscounted"] })
    assert.strictEqual(violation.law, "macs")
    assert.match(violation.at, /\(Miscounted\)$/)
    assert.strictEqual(stagesWith(violation.architecture, "Miscounted").length, 1)
    assert.match(violation.message, /it declares \d+ MACs and its ops have \d+/)
  })

  it("a downsampling module whose shape is wrong at stride 1", () => {
    const Shifted: (typeof DsmSet.standard)["L"] = {
      layer: (scope, config) => (x) => {
        const y = DsmSet.standard.L.layer(scope, config)(x)
        return config.stride === 1 ? Op.pad(y, [0, 0, 0, 0], [0, 0, 0, 1]) : y
      }
    }
    const sets = { ...Network.standard, dsms: DsmSet.with({ Shifted }) }
    const violation = smallestViolation(sets, { dsms: ["L", "LG", "G", "Shifted"] })
    assert.strictEqual(violation.law, "shape")
    assert.match(violation.at, /\(Shifted\)$/)
    const [culprit, ...others] = stagesWith(violation.architecture, "Shifted")
    assert.strictEqual(culprit?.stride, 1)
    assert.deepStrictEqual(others, [])
  })

  it("a parameter that the loss does not depend on", () => {
    const Forgetful: Operator.Operator = {
      layer: (scope) => (x) => Op.add(x, Op.scale(Op.equal(Nn.batchNorm(scope)(x), x), 0))
    }
    const sets = { ...Network.standard, operators: OperatorSet.with({ Forgetful }) }
    const violation = smallestViolation(sets, { operators: ["DWConv", "Forgetful"] })
    assert.strictEqual(violation.law, "gradients")
    assert.match(violation.at, /^blocks\.\d+\.(weight|bias)$/)
  })

  it("an architecture of another space, whose names nobody knows", () => {
    const [stage] = UniNet.B0.stages
    const violation = Verify.check({ ...UniNet.B0, stages: [{ ...stage, operator: "Mystery" }] })
    assert.isTrue(Result.isFailure(violation))
    if (Result.isFailure(violation)) {
      assert.strictEqual(violation.failure.law, "builds")
      assert.match(violation.failure.message, /there is no operator "Mystery"/)
    }
  })

  it.effect("an engine that gives nonsense", () =>
    Effect.gen(function* () {
      const [architecture] = fc.sample(fromSpace(Result.getOrThrow(UniNetSpace.make({ image: 28, classes: 10 }))), 1)
      const silent = yield* Effect.flip(Verify.runs(() => Effect.succeed({}), architecture))
      assert.match(silent.message, /gave 0 numbers for 2 images of 10 classes/)
      const broken = { logits: new Float32Array(20).fill(NaN) }
      const noisy = yield* Effect.flip(Verify.runs(() => Effect.succeed(broken), architecture))
      assert.match(noisy.message, /not finite/)
    })
  )
})
