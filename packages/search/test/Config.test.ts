import { assert, describe, it } from "@effect/vitest"
import { ModelSpace, Recipe } from "@uninet/model-space"
import { OnnxRuntime } from "@uninet/runtime"
import { Config, Evaluator, Setup, SpaceSource, WorkerEvaluator } from "@uninet/search"
import { Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const own = fileURLToPath(new URL("./support/configs/own.config.ts", import.meta.url))

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-config-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const written = (text: string) =>
  Effect.map(folder, (below) => {
    const path = join(below, "uninet.config.ts")
    writeFileSync(path, text)
    return path
  })

const versionOf = (text: string) => Effect.map(Effect.flatMap(written(text), Config.load), ({ version }) => version)

describe("a config module", () => {
  it.effect("is found in the working folder by its name", () =>
    Effect.gen(function* () {
      const path = yield* written("export default {}")
      assert.strictEqual(Config.find(join(path, "..")), path)
      assert.isUndefined(Config.find(tmpdir()))
    })
  )

  it.effect("holds the flags' fields, amounts as a person writes them", () =>
    Effect.gen(function* () {
      const path = yield* written(
        'export default { trials: 3, strategy: "evolution", targetMacs: "1.5M", maxMacs: 2000000, seed: 7 }'
      )
      const { config, version } = yield* Config.load(path)
      assert.deepStrictEqual(config, {
        trials: 3,
        strategy: "evolution",
        targetMacs: 1.5e6,
        maxMacs: 2e6,
        seed: 7
      })
      assert.match(version, /^sha256:[0-9a-f]{16}$/)
      assert.deepStrictEqual(Config.ownLayers(config), [])
    })
  )

  it.effect("has a version of its text, or its own", () =>
    Effect.gen(function* () {
      assert.notStrictEqual(yield* versionOf("export default {}"), yield* versionOf("export default { }"))
      assert.strictEqual(yield* versionOf('export default { version: "3" }'), "3")
    })
  )

  it.effect.each([
    ["", "ConfigUnreadable", /has no default export\. Give a module with a default export, such as defineConfig/],
    ["export const a = ;", "ConfigUnreadable", /cannot be imported/],
    ['import "./nowhere.ts"\nexport default {}', "ConfigUnreadable", /cannot be imported \(.*nowhere/],
    ["export default { trails: 3 }", "ConfigInvalid", /the field trails is wrong/],
    ["export default { trials: 0 }", "ConfigInvalid", /the field trials is wrong: .*1/],
    ['export default { targetMacs: "few" }', "ConfigInvalid", /the field targetMacs is wrong: give a number of multi/],
    ['export default { strategy: "magic" }', "ConfigInvalid", /the field strategy is wrong: .*"ppo"/],
    [
      "export default { operators: {} }",
      "ConfigInvalid",
      /the field operators is wrong: there is no such field; the fields are trials, .*version\. Correct it\./
    ],
    ["export default { space: {} }", "ConfigInvalid", /the field space is wrong: Expected .*a ModelSpace/],
    ["export default { reward: 'more' }", "ConfigInvalid", /the field reward is wrong: Expected .*a function of costs/],
    ["export default { within: { macs: { most: 'few' } } }", "ConfigInvalid", /the field within\.macs\.most is wrong/],
    [
      "export default { objectives: [{ name: 'heads', direction: 'up', of: () => 1 }] }",
      "ConfigInvalid",
      /the field objectives\.0\.direction is wrong: .*"higher" \| "lower"/
    ],
    ["export default { ahead: 0 }", "ConfigInvalid", /the field ahead is wrong/],
    ["export default { recipe: { epochs: 1 } }", "ConfigInvalid", /the field recipe\.batch is wrong/],
    ["export default 3", "ConfigInvalid", /its default export is wrong/]
  ] as const)("that is %j is refused as %s, in a sentence", ([text, tag, says]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.flatMap(written(text), Config.load))
      assert.strictEqual(error._tag, tag)
      assert.match(error.message, says)
      assert.notInclude(error.message, "\n")
    })
  )

  it.effect("that is not there is named", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Config.load("nowhere/uninet.config.ts"))
      assert.match(error.message, /nowhere\/uninet\.config\.ts does not exist\./)
    })
  )

  it.effect("holds a custom space, data set, strategy, reward and objectives, and says that it does", () =>
    Effect.gen(function* () {
      const path = fileURLToPath(new URL("./support/spaces/rows.config.ts", import.meta.url))
      const { config, version } = yield* Config.load(path)
      assert.strictEqual(version, "7")
      assert.deepStrictEqual(Config.ownLayers(config), ["space", "dataset", "strategy", "reward", "objectives"])
      assert.deepStrictEqual(config.within, { width: { min: 2, max: 8 } })
      assert.strictEqual(config.ahead, 1)
    })
  )

  it.live("gives the space and every worker its own operators, modules and evaluator", () =>
    Effect.gen(function* () {
      const loaded = yield* Config.load(own)
      const { config, url, version } = loaded
      assert.deepStrictEqual(Config.ownLayers(config), ["space", "evaluator"])
      const source = yield* SpaceSource.ofModule(own)
      const of = yield* Setup.space()(source).pipe(Effect.provide(Setup.training(loaded, "mnist", OnnxRuntime.cpu())))
      const printed = Space.print(of.space)
      for (const name of ["Conv", "DWConv", "Own"]) assert.include(printed, name)
      for (const name of ["LSA", "MLP", "LG"]) assert.notInclude(printed, name)
      const settings = { config: { url, version }, space: source, dataset: "mnist", recipe: Recipe.proxy }
      const workers = WorkerEvaluator.layer({ module: Setup.module, options: Setup.toJson(settings), workers: 1 })
      const point = ModelSpace.write(Space.seedPoint(of.space))(of)
      const { measures } = yield* Evaluator.Evaluator.use((evaluator) =>
        evaluator.evaluate({ index: 0, point, seed: "a" }, () => Effect.void)
      ).pipe(Effect.provide(workers))
      assert.isNumber(measures["pid"])
      assert.notStrictEqual(measures["pid"], process.pid)
      for (const changed of [
        { ...settings, config: { url, version: "of yesterday" } },
        {
          ...settings,
          config: null,
          space: SpaceSource.SpaceSource.cases.Module.make({ path: own, version: "of yesterday" })
        }
      ]) {
        const error = yield* Effect.flip(
          Layer.build(WorkerEvaluator.layer({ module: Setup.module, options: Setup.toJson(changed), workers: 1 }))
        )
        assert.match(error.message, /own\.config\.ts was changed while the search was running/)
      }
    })
  )
})
