import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Comparison, type Examples, Format, PyTorch, Python, Specimens, Trained } from "@uninet/export"
import { OperatorSet } from "@uninet/operators"
import { OnnxRuntime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import { type Architecture, Kit, UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { architectures, everything, trainedOf } from "./support/networks.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-pytorch-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const trained = trainedOf(everything, Prng.fromSeed("text"))

const textOf = (of: Trained.Trained) => Result.getOrThrow(PyTorch.module(of))

/** The text of an architecture with these operators. */
const text = (operators: OperatorSet.OperatorSet, architecture: Architecture.Architecture) => {
  const of = Result.getOrThrow(UniNetSpace.models({ kit: Kit.make({ operators }) }))
  return textOf({ ...trained, pytorch: of.pytorch?.(architecture) ?? null })
}

describe("a PyTorch module", () => {
  it.live("gives the source network's logits, whatever the architecture", (context) =>
    Effect.gen(function* () {
      const below = yield* folder
      const prng = Prng.fromSeed("pytorch")
      const count = 8
      const runs: Array<Python.Run> = []
      const expected: Array<Examples.Outputs> = []
      for (const [i, architecture] of [everything, ...architectures("pytorch", 2)].entries()) {
        const random = trainedOf(architecture, prng)
        for (const { content, extension } of Result.getOrThrow(Format.pytorch(random)))
          writeFileSync(join(below, `network_${i}${extension}`), content)
        const { inputs, outputs } = random.card
        const examples = yield* Specimens.digits(count)(random.card)
        runs.push({ file: join(below, `network_${i}.py`), inputs, outputs, examples: examples.inputs })
        expected.push(yield* Trained.outputs(examples)(random))
      }
      const ran = yield* Effect.result(Python.outputs(runs, count))
      if (Result.isFailure(ran) && ran.failure._tag === "NoPython") return context.skip(ran.failure.message)
      const found = Result.getOrThrow(ran).outputs
      for (const [i, { outputs }] of runs.entries()) {
        const compared = Comparison.of(outputs, found[i], expected[i], { logits: "logits", size: count })
        assert.isBelow(compared.worst, 1e-4, `network ${i}`)
        assert.strictEqual(compared.sameTop1, count)
      }
      // Nothing is left next to the user's files.
      assert.deepStrictEqual(readdirSync(below).length, 2 * runs.length)
    }).pipe(Effect.scoped, Effect.provide([OnnxRuntime.cpu(), NodeServices.layer]))
  )

  it("holds the classes it needs and no others", () => {
    const dw = architectures("classes", 1)[0]
    const only = textOf(trainedOf({ ...dw, stages: dw.stages.slice(0, 1) }, Prng.fromSeed("only")))
    assert.include(only, "class DWConv(nn.Module)")
    for (const other of ["Transformer", "SA", "LSA", "MLP", "LG", "attend"])
      assert.notMatch(only, new RegExp(`^(class|def) ${other}\\b`, "m"))
    const all = textOf(trained)
    for (const name of ["Conv", "DWConv", "SA", "LSA", "MLP", "L", "LG", "G"])
      assert.match(all, new RegExp(`^class ${name}\\(`, "m"))
  })

  it("carries classes, normalisation and provenance, whatever is in their names", () => {
    const classes = ['"', "'''", "\\", "ä", "\n", "日本", ""]
    const text = textOf({ ...trained, card: { ...trained.card, classes } })
    assert.include(text, 'CLASSES = ["\\"", "\'\'\'", "\\\\", "ä", "\\n", "日本", ""]')
    assert.include(text, "MEAN = [0.2, 0.30000000000000004, 0.4]")
    assert.include(text, `"run": "runs/a 'run'",`)
  })

  it("stays Python, whatever is in the network's line and description", () => {
    const line = 'a """quoted""" \\ line'
    const network = { notes: ["}, {", "'''", '"}, {"', "\\"], stages: [{ a: 1 }, { a: 2 }] }
    const text = textOf({ ...trained, card: { ...trained.card, line, network } })
    assert.strictEqual(text.split("\n")[0], '"""classification: a \\"\\"\\"quoted\\"\\"\\" \\\\ line')
    const [, json] = /json\.loads\(r'''\n([^]*?)\n'''\)/.exec(text) ?? []
    assert.deepStrictEqual(JSON.parse(json), network)
    assert.include(json, '{ "a": 1 },\n  { "a": 2 }')
  })

  it("is written op by op where an operator has no Python of its own", () => {
    const { pytorch: _, ...silent } = OperatorSet.standard.DWConv
    const [first, ...stages] = everything.stages
    const mine = { ...everything, stages: [{ ...first, operator: "Mine" }, ...stages] }
    const opByOp = '"""Generated from the network\'s graph, op by op."""'
    assert.include(text({ ...OperatorSet.standard, Mine: silent }, mine), opByOp)
    // A different operator with a standard one's name is not the standard one.
    assert.include(text({ ...OperatorSet.standard, DWConv: silent }, everything), opByOp)
    // An operator that brings its own text is written with it.
    const pytorch = { definitions: ["class Mine(nn.Module): ..."], expression: () => "Mine()" }
    const written = text({ ...OperatorSet.standard, Mine: { ...silent, pytorch } }, mine)
    assert.include(written, "\n\n\nclass Mine(nn.Module): ...\n\n\n")
    assert.include(written, "*[Mine() for _ in range(2)],")
  })
})
