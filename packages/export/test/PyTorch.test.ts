import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { type Card, Comparison, Format, PyTorch, Python, Specimens, Trained } from "@uninet/export"
import { Network } from "@uninet/network"
import { OperatorSet } from "@uninet/operators"
import { OnnxRuntime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { architectures, cardOf, everything, trainedOf } from "./support/networks.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-pytorch-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const textOf = (card: Card.Card) => Result.getOrThrow(PyTorch.module(card))

describe("a PyTorch module", () => {
  it.live("gives the source network's logits, whatever the architecture", (context) =>
    Effect.gen(function* () {
      const below = yield* folder
      const prng = Prng.fromSeed("pytorch")
      const images = 8
      const runs: Array<Python.Run> = []
      const expected: Array<Float32Array> = []
      for (const [i, architecture] of [everything, ...architectures("pytorch", 2)].entries()) {
        const trained = trainedOf(architecture, prng)
        for (const { content, extension } of Result.getOrThrow(Format.pytorch(trained)))
          writeFileSync(join(below, `network_${i}${extension}`), content)
        const input = yield* Specimens.digits(trained.card, images)
        runs.push({ file: join(below, `network_${i}.py`), classes: architecture.classes, images: input })
        expected.push(yield* Trained.logits(trained, input))
      }
      const ran = yield* Effect.result(Python.logits(runs, images))
      if (Result.isFailure(ran) && ran.failure._tag === "NoPython") return context.skip(ran.failure.message)
      const { logits } = Result.getOrThrow(ran)
      for (const [i, { classes }] of runs.entries()) {
        const compared = Comparison.of(logits[i], expected[i], classes)
        assert.isBelow(compared.worst, 1e-4, `network ${i}`)
        assert.strictEqual(compared.sameTop1, images)
      }
      // Nothing is left beside the user's files.
      assert.deepStrictEqual(readdirSync(below).length, 2 * runs.length)
    }).pipe(Effect.scoped, Effect.provide([OnnxRuntime.cpu(), NodeServices.layer]))
  )

  it("holds the classes it needs and no others", () => {
    const dw = architectures("classes", 1)[0]
    const only = textOf(cardOf({ ...dw, stages: dw.stages.slice(0, 1) }))
    assert.include(only, "class DWConv(nn.Module)")
    for (const other of ["Transformer", "SA", "LSA", "MLP", "LG", "attend"])
      assert.notMatch(only, new RegExp(`^(class|def) ${other}\\b`, "m"))
    const all = textOf(cardOf(everything))
    for (const name of ["Conv", "DWConv", "SA", "LSA", "MLP", "L", "LG", "G"])
      assert.match(all, new RegExp(`^class ${name}\\(`, "m"))
  })

  it("carries classes, normalisation and provenance, whatever is in their names", () => {
    const text = textOf({ ...cardOf(everything), classes: ['"', "'''", "\\", "ä", "\n", "日本", ""] })
    assert.include(text, 'CLASSES = ["\\"", "\'\'\'", "\\\\", "ä", "\\n", "日本", ""]')
    assert.include(text, "MEAN = [0.2, 0.30000000000000004, 0.4]")
    assert.include(text, `"run": "runs/a 'run'",`)
  })

  it("says which operator it has no Python for", () => {
    const [first, ...stages] = everything.stages
    const mine = cardOf({ ...everything, stages: [{ ...first, operator: "Mine" }, ...stages] })
    const sets = {
      ...Network.standard,
      operators: { ...OperatorSet.standard, Mine: { ...OperatorSet.standard.DWConv } }
    }
    const failure = Result.getOrThrow(Result.flip(PyTorch.module(mine, sets)))
    assert.include(failure, { _tag: "NoPyTorchForm", stage: 0, name: "Mine" })
    // Another operator of a standard one's name is not the standard one.
    const sheep = { ...Network.standard, operators: { ...OperatorSet.standard, DWConv: sets.operators.Mine } }
    assert.include(Result.getOrThrow(Result.flip(PyTorch.module(cardOf(everything), sheep))), { name: "DWConv" })
  })
})
