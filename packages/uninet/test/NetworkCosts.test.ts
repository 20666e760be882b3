import { assert, describe, it } from "@effect/vitest"
import { Costs } from "@uninet/graph"
import { OperatorSet } from "@uninet/operators"
import { Constrained, Constraint, Prng } from "@uninet/search-space"
import { type Architecture, Kit, Network, NetworkCosts, UniNet, UniNetSpace } from "@uninet/uninet"
import { Result } from "effect"
import * as fc from "fast-check"
import { any } from "./support/architectures.ts"

const network = (architecture: Architecture.Architecture) => Result.getOrThrow(Network.make(architecture))
const costs = (architecture: Architecture.Architecture) => Result.getOrThrow(NetworkCosts.of(network(architecture)))

describe("a network's costs", () => {
  it("are those of its one evaluation graph, memory included", () => {
    fc.assert(
      fc.property(any, (architecture) => {
        const parts = costs(architecture)
        const whole = Costs.ofProgram(Result.getOrThrow(Network.evaluation()(network(architecture))))
        const { fvcoreByOperator, fvcoreCount, macs, flops, parameterBytes, parameters } = parts
        assert.deepStrictEqual(
          {
            fvcoreByOperator,
            fvcoreCount,
            macs,
            flops,
            parameterBytes,
            parameters,
            activationBytes: parts.activationBytes.inference
          },
          { ...whole, fvcoreByOperator: { ...whole.fvcoreByOperator } }
        )
      }),
      { numRuns: 300 }
    )
  })

  it("are the sums of its rows, from stem to head", () => {
    fc.assert(
      fc.property(any, (architecture) => {
        const { stages, ...whole } = costs(architecture)
        assert.deepStrictEqual(
          stages.map(({ name }) => name),
          ["stem", ...architecture.stages.map((_, i) => `stage ${i}`), "head"]
        )
        for (const quantity of ["parameters", "buffers", "macs", "flops", "fvcoreCount"] as const)
          assert.strictEqual(
            stages.reduce((sum, row) => sum + row[quantity], 0),
            whole[quantity],
            quantity
          )
      }),
      { numRuns: 300 }
    )
  })

  it("grow with expansion, channels, repeats and image size, by any of UniNet's operators", () => {
    fc.assert(
      fc.property(any, fc.nat(), (architecture, n) => {
        const i = 1 + (n % 5)
        const { headDim, image, stages } = architecture
        const stage = (change: Partial<Architecture.Stage>) => ({
          ...architecture,
          stages: stages.map((s, k) => (k === i ? { ...s, ...change } : s))
        })
        const { channels, expansion, repeats } = stages[i]
        const before = costs(architecture)
        for (const larger of [
          stage({ expansion: expansion + 1 }),
          stage({ channels: channels + headDim }),
          stage({ repeats: repeats + 1 })
        ]) {
          const after = costs(larger)
          assert.isAbove(after.macs, before.macs)
          assert.isAbove(after.parameters, before.parameters)
          assert.isAtLeast(after.activationBytes.inference, before.activationBytes.inference)
          assert.isAbove(after.activationBytes.kept, before.activationBytes.kept)
        }
        const wider = { ...architecture, image: { ...image, height: 2 * image.height, width: 2 * image.width } }
        assert.isAbove(costs(wider).macs, before.macs)
        assert.isAbove(costs(wider).activationBytes.inference, before.activationBytes.inference)
      }),
      { numRuns: 300 }
    )
  })

  it("say that training keeps what inference frees", () => {
    const { inference, kept, training } = costs(UniNet.B1).activationBytes
    // Inference holds at most the stem's map twice and its 3×3 neighbourhood's input.
    assert.isBelow(inference, 6e6)
    assert.isAbove(kept, 20 * inference)
    assert.isAtLeast(training, kept)
  })

  it("bound a search space stage by stage", () => {
    const space = Result.getOrThrow(UniNetSpace.make({ image: 224 }))
    const window = { min: 4.9e8, max: 5.1e8 }
    const light = Result.getOrThrow(
      Constrained.make(space, Constraint.bounds({ macs: window })(NetworkCosts.forSpace()))
    )
    const found = Result.getOrThrow(Constrained.sampleWithin(Prng.fromSeed("bound"))(light))
    const { macs } = costs(found)
    assert.isAtLeast(macs, window.min)
    assert.isAtMost(macs, window.max)
  })

  it("are infinite for what cannot be built, so that no bound admits it", () => {
    const [stage] = UniNet.B0.stages
    const unknown = { ...UniNet.B0, stages: [{ ...stage, operator: "Mystery" }] }
    assert.strictEqual(NetworkCosts.forSpace().of(unknown).macs, Infinity)
    // a kit's stage 0 is known there only
    const kit = Kit.make({ operators: OperatorSet.only("SA") })
    const [stem, ...rest] = UniNet.B0.stages
    const transformers = [stem, ...rest.map((s) => ({ ...s, operator: "SA", dsm: "LG", channels: 32 }))]
    const macs = (stages: ReadonlyArray<Architecture.Stage>) =>
      NetworkCosts.forSpace(kit).of({ ...UniNet.B0, stages }).macs
    assert.isTrue(Number.isFinite(macs(transformers)))
    assert.strictEqual(macs(transformers.with(1, { ...transformers[1], operator: "DWConv" })), Infinity)
  })
})
