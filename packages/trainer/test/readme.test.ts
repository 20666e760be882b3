import { assert, describe, it } from "@effect/vitest"
import * as Readme from "../../../tools/src/Readme.ts"

const examples = Readme.examples("trainer")
const run = (code: string): string => Readme.run("trainer", code)

describe("README", () => {
  it("has a first example that trains", () => {
    const best = /^epoch 0: 0\.\d+\nepoch 1: 0\.\d+\nbest: (0\.\d+)\n$/.exec(run(examples[0]))?.[1]
    // A tenth is chance.
    assert.isAbove(Number(best), 0.9)
  })

  it("has an example of a space's point, which has its line", () => {
    const stages = ["DWConv e1 8×1", "L DWConv e4 8×1 /2", "L DWConv e4 16×1 /2", "L DWConv e4 24×1 /2"]
    assert.strictEqual(run(examples[1]), `${[...stages, "L DWConv e4 24×2", "L DWConv e4 32×1"].join(" | ")}\n`)
  })

  it("has an example of going on that does", () => {
    const [, point, goingOn] = examples
    const printed = run(`
      ${goingOn.replace(/^import type .*$/m, "")}
      ${point}
      import { Mnist } from "@uninet/data"
      import { OnnxRuntime } from "@uninet/runtime"
      import { Layer } from "effect"
      import { mkdtempSync, readdirSync, rmSync } from "node:fs"
      import { tmpdir } from "node:os"
      import { join } from "node:path"
      options.recipe = { ...options.recipe, epochs: 1 }
      const folder = mkdtempSync(join(tmpdir(), "readme-"))
      try {
        const layer = Trainer.layer.pipe(Layer.provide([Mnist.layer, OnnxRuntime.cpu({ threads: 1 })]))
        await Effect.runPromise(Effect.andThen(begin(network, folder), goOn(network, folder)).pipe(Effect.provide(layer)))
        console.log(readdirSync(folder).join(" "))
      } finally {
        rmSync(folder, { recursive: true })
      }`)
    assert.strictEqual(printed.split("\n").at(-2), "best.safetensors step-00000125.safetensors")
  })
})
