import { assert, describe, it } from "@effect/vitest"
import { Recipe } from "@uninet/model-space"
import { Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import { copyFileSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { folder, here } from "./support/cli.ts"

const own = fileURLToPath(new URL("./support/configs/own.config.ts", import.meta.url))

describe("uninet search with a config module", () => {
  it.live("searches by its fields and layers, with flags before fields, and goes on only with the same code", () =>
    Effect.gen(function* () {
      const run = join(yield* folder, "run")
      // Next to the packages, which it imports.
      const config = join(own, "..", `copy-${process.pid}.config.ts`)
      yield* Effect.acquireRelease(
        Effect.sync(() => copyFileSync(own, config)),
        () => Effect.sync(() => rmSync(config, { force: true }))
      )
      const ran = yield* here(["search", "--config", config, "--out", run, "--trials", "4", "--json"])
      assert.strictEqual(ran.code, 0, ran.stderr)
      const { best, trials } = JSON.parse(ran.stdout)
      assert.deepStrictEqual(trials, { scored: 4, failed: 0, refused: 0 })
      // The module that has it, from which `uninet evaluate` and `uninet train` take it again.
      assert.match(best.dataset, /copy-\d+\.config\.ts$/)
      const { entries, identity } = yield* Journal.read(join(run, "journal.db"))
      assert.strictEqual(identity.seed, "own")
      assert.strictEqual(identity.settings["strategy"], "evolution")
      assert.deepStrictEqual(identity.settings["own"], ["space", "dataset", "strategy", "evaluator"])
      for (const { entry } of entries)
        if (entry._tag === "Proposed") assert.notMatch(JSON.stringify(entry.point), /"operator":"(SA|LSA|MLP)"/)
      writeFileSync(config, `// another text\nexport { default } from "./own.config.ts"`)
      const changed = yield* here(["search", "--resume", run, "--trials", "5"])
      assert.strictEqual(changed.code, 1)
      assert.match(
        changed.stderr,
        /^uninet: The journal .* belongs to another search: its code is "sha256:\w+", not "sha/
      )
    })
  )

  it.live("finds the one that lies in the working folder, and names the field that is wrong", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      writeFileSync(join(cwd, "uninet.config.ts"), "export default { trials: 4, workers: 0 }")
      const { code, stderr } = yield* here(["search"], { cwd })
      assert.strictEqual(code, 1)
      assert.match(stderr, /^uninet: .*uninet\.config\.ts: the field workers is wrong: .*\.\n$/)
      assert.deepStrictEqual(readdirSync(cwd), ["uninet.config.ts"])
    })
  )

  it.live("refuses finals that end before a recipe's pictures have grown, before anything is searched", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      const recipe = Recipe.toJson({ ...Recipe.proxy, epochs: 3, progressive: [{ epochs: 3, size: 8 }] })
      writeFileSync(join(cwd, "uninet.config.ts"), `export default { recipe: ${JSON.stringify(recipe)} }`)
      const { code, stderr } = yield* here(["search", "--final-epochs", "2"], { cwd })
      assert.strictEqual(code, 2)
      assert.match(stderr, /--final-epochs 2 is fewer than the 3 epochs of smaller pictures in the recipe/)
      assert.deepStrictEqual(readdirSync(cwd), ["uninet.config.ts"])
    })
  )

  it.live("says that one is not there", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* here(["search", "--config", "nowhere.ts"], { cwd: yield* folder })
      assert.strictEqual(code, 1)
      assert.match(stderr, /^uninet: --config: .*nowhere\.ts does not exist\. Give a module .*\.\n$/)
    })
  )
})
