import { assert, describe, it } from "@effect/vitest"
import { Program, Tensor } from "@uninet/graph"
import { Fused, Lowering, Rewrite, Rewrites, Target } from "@uninet/onnx"
import fc from "fast-check"
import * as Result from "effect/Result"
import { evaluate } from "../../graph/test/support/interpreter.ts"
import { families, programOf as casesOf, valuesOf } from "../../runtime-tfjs/test/support/cases.ts"
import { difference } from "../../runtime-tfjs/test/support/compare.ts"
import { networks, programOf, rich } from "./networks.ts"

/** Images in lanes of a small block, and images that lie as they are. */
const targets = [Target.make({ block: 2, lanes: 2 }), Target.make({ block: 2, lanes: 1 })]

/** What fused ops are made of in their place: what the interpreter knows. */
const expanded = ({ outputs, updates }: Program.Program) => Result.getOrThrow(Program.make({ outputs, updates }))

const chosen = [
  ...Rewrites.all.map((rewrite) => ({ name: rewrite.name, rewrites: [rewrite] })),
  { name: "all of them, one after the other,", rewrites: Rewrites.all }
]

/** How far the interpreter is from what it gave, at most, for images in lanes and as they are. */
const apart = (
  program: Program.Program,
  inputs: Readonly<Record<string, Float32Array>>,
  rewrites: ReadonlyArray<Rewrite.Rewrite>
): number => {
  const before = Object.entries(evaluate(program, { inputs }).outputs)
  const of = (target: Target.Target) => {
    let after = program
    for (const rewrite of rewrites) after = Result.getOrThrow(Rewrite.apply(rewrite, target)(after)).program
    const found = evaluate(expanded(after), { inputs }).outputs
    return Math.max(...before.map(([name, expected]) => difference(found[name], expected)))
  }
  return Math.max(...targets.map(of))
}

describe("on random programs and gradients the interpreter gives the same", () => {
  for (const { name, rewrites } of chosen)
    it(`after the rewrite ${name} as before`, () => {
      fc.assert(
        fc.property(networks, (network) => {
          const { program, values } = programOf(network)
          assert.isBelow(apart(program, values, rewrites), 1e-6)
        }),
        { numRuns: 6, seed: 19 }
      )
      fc.assert(
        fc.property(fc.oneof(...Object.values(families)), (one) =>
          assert.isBelow(apart(casesOf(one), valuesOf(one), rewrites), 1e-6, one.name)
        ),
        { numRuns: 16, seed: 23 }
      )
    })
})

const norms = (stages: Lowering.Stages) => stages.program.nodes.filter(({ kind }) => kind === "batchNorm").length

describe("rewrites", () => {
  const [target] = targets
  const { program } = programOf(rich)
  const steps = Rewrite.steps(Rewrites.all, target)(program)

  it("all find something to do in a network of convolutions, norms, gates and tokens", () => {
    assert.deepStrictEqual(
      steps.map(({ rewrite }) => rewrite.name),
      Rewrites.all.map(({ name }) => name)
    )
    for (const { replaced, rewrite } of steps) assert.isAbove(replaced.length, 0, rewrite.name)
  })

  it("leave a program alone where the processor has no blocked kernels", () => {
    for (const { replaced } of Rewrite.steps(Rewrites.all, Target.make({}))(program)) assert.lengthOf(replaced, 0)
  })

  it("give every node a body of the shape that it says it has", () => {
    for (const node of steps.flatMap((step) => step.program.nodes))
      if (Tensor.is("composite")(node)) {
        const { body } = node.attributes
        assert.isUndefined(body.result.fault, Fused.nameOf(node))
        assert.deepStrictEqual([...body.result.shape], [...node.shape], Fused.nameOf(node))
      }
  })

  it("know of every node which one of the program it was made for", () => {
    const { origins, program: last } = Rewrite.last(steps)(program)
    const given = new Set(program.nodes)
    for (const node of last.nodes) assert.isTrue(given.has(origins.get(node) ?? node) || node.inputs.length === 0)
  })

  it("leave nothing of a norm, and one can be left out", () => {
    const options = { block: 2, lanes: 2 }
    assert.strictEqual(norms(Lowering.stages(options)(program)), 0)
    assert.isAbove(norms(Lowering.stages({ ...options, without: ["batch norms"] })(program)), 0)
  })
})
