import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { folder, here, tinyDataset } from "./support/cli.ts"

/** The single file that people copy. */
const config = fileURLToPath(new URL("../../../examples/own-operator.config.ts", import.meta.url))
/** A seed with which the first network has the operator more than once. */
const seed = "4"

describe("a custom operator with a choice of its own", () => {
  it("is one file of at most 40 lines", () => {
    assert.isAtMost(readFileSync(config, "utf8").trimEnd().split("\n").length, 40)
  })

  it.live(
    "goes through every command without being named again: the run's folder knows its module",
    () =>
      Effect.gen(function* () {
        const cwd = yield* folder
        const dataset = tinyDataset(cwd)
        const said = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
          const { code, stderr, stdout } = yield* here(args, { cwd })
          assert.strictEqual(code, 0, `uninet ${args.join(" ")}: ${stderr}`)
          return stdout
        })
        const search = ["search", "--config", config, "--dataset", dataset, "--strategy", "random", "--seed", seed]
        const size = ["--max-macs", "700K", "--finalists", "1", "--final-epochs", "1", "--workers", "1"]
        const { best } = JSON.parse(yield* said(...search, ...size, "--trials", "1", "--out", "run", "--json"))
        assert.match(best.line, /Wide\(kernel [357]\)/)
        assert.match(yield* said("verify", config, "--runs", "2"), /^2 networks of uninet keep the laws: /)
        assert.match(yield* said("replay", "run", "0"), /The same\./)
        assert.match(yield* said("evaluate", "run"), /64 examples/)
        assert.match(yield* said("scale", "run", "--image", "12", "--out", "family"), /Wide\(kernel [357]\)/)
        const larger = JSON.parse(readFileSync(join(cwd, "family", "phi-1.json"), "utf8"))
        assert.match(JSON.stringify(larger), /"operator":"Wide"/)
        yield* said("train", "family/phi-1.json", "--epochs", "1", "--dataset", dataset, "--out", "larger")
        assert.match(yield* said("evaluate", "larger"), /64 examples/)
        assert.match(yield* said("export", "larger", "--out", "larger.onnx"), /checked in ONNX Runtime on 64/)
        assert.match(yield* said("export", "larger", "--format", "pytorch", "--out", "larger.py"), /in Python: import/)
        assert.includeMembers(readdirSync(cwd), ["larger.onnx", "larger.py", "larger.safetensors"])
      }),
    { timeout: 180_000 }
  )
})
