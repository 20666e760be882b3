import { assert, describe, it } from "@effect/vitest"
import { Dataset, Mnist } from "@uninet/data"
import { Facts, ModelSpace, Recipe } from "@uninet/model-space"
import { Evaluator, Setup, SpaceSource, WorkerEvaluator } from "@uninet/search"
import { Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { data, rows } from "./support/rows.ts"

const fileOf = (name: string) => fileURLToPath(new URL(`./support/spaces/${name}`, import.meta.url))

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-space-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A module with this text. */
const written = (text: string, name = "space.mjs") =>
  Effect.map(folder, (below) => {
    const path = join(below, name)
    writeFileSync(path, text)
    return path
  })

const facts = Effect.map(Dataset.Dataset, Facts.of)
const ofRows = Effect.provide(facts, data)

/** The space of a module for rows. */
const loaded = (path: string, known: SpaceSource.Known = {}) =>
  Effect.gen(function* () {
    return yield* SpaceSource.load(yield* ofRows, known)(yield* SpaceSource.ofModule(path))
  })

const versionOf = (text: string) => Effect.flatMap(written(text), SpaceSource.ofModule)

const named = (name: string, known: SpaceSource.Known = { rows: () => rows }) =>
  Effect.flatMap(ofRows, (facts) => SpaceSource.load(facts, known)(SpaceSource.SpaceSource.cases.Named.make({ name })))

describe("where a space comes from", () => {
  it("is a module where a text ends as one, and a name otherwise", () => {
    for (const text of ["space.ts", "a/b.mts", "c.js", "/d.mjs", "e.cjs"]) assert.isTrue(SpaceSource.isModule(text))
    for (const text of ["uninet", "nas-bench-201", "ts", "space.json"]) assert.isFalse(SpaceSource.isModule(text))
  })

  it.effect(
    "is plain data: a file, and its version, which is the space's or config's own or changes with the text",
    () =>
      Effect.gen(function* () {
        const source = yield* SpaceSource.ofModule(fileOf("rows.ts"))
        assert.strictEqual(source._tag === "Module" && source.path, fileOf("rows.ts"))
        assert.match(source._tag === "Module" ? source.version : "", /^sha256:[0-9a-f]{16}$/)
        const config = yield* SpaceSource.ofModule(fileOf("rows.config.ts"))
        assert.strictEqual(config._tag === "Module" && config.version, "7")
        const codec = Schema.toCodecJson(SpaceSource.SpaceSource)
        const json: unknown = JSON.parse(JSON.stringify(yield* Schema.encodeEffect(codec)(source)))
        assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(codec)(json), source)
        assert.notDeepEqual(yield* versionOf("export default {}"), yield* versionOf("export default { }"))
      })
  )

  it.effect("is a module whose default export is a ModelSpace", () =>
    Effect.gen(function* () {
      const of = yield* loaded(fileOf("rows.ts"))
      assert.strictEqual(ModelSpace.fingerprint(of), ModelSpace.fingerprint(rows))
    })
  )

  it.effect("is a function of the data set's examples, which may refuse them", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* loaded(fileOf("forRows.ts"))).name, "rows")
      const source = yield* SpaceSource.ofModule(fileOf("forRows.ts"))
      const error = yield* Effect.flip(SpaceSource.load(yield* Effect.provide(facts, Mnist.layer))(source))
      assert.strictEqual(
        error.message,
        `the space of ${fileOf("forRows.ts")} cannot be used: it takes rows of four numbers, and there are image`
      )
    })
  )

  it.effect("is a config's field, or a name in it that is known", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* loaded(fileOf("rows.config.ts"))).name, "rows")
      assert.strictEqual((yield* loaded(fileOf("named.config.ts"), { rows: () => rows })).name, "rows")
      const error = yield* Effect.flip(loaded(fileOf("named.config.ts"), { cells: () => rows, chains: () => rows }))
      assert.strictEqual(
        error.message,
        "there is no space rows; give one of cells, chains, or a module whose default export is a ModelSpace"
      )
    })
  )

  it.effect("is a name that is known, and no other, whatever objects have", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* named("rows")).name, "rows")
      for (const name of ["row", "toString", "constructor"])
        assert.strictEqual(
          (yield* Effect.flip(named(name))).message,
          `there is no space ${name}; give one of rows, or a module whose default export is a ModelSpace`
        )
      assert.strictEqual(
        (yield* Effect.flip(named("rows", {}))).message,
        "there is no space rows; give a module whose default export is a ModelSpace"
      )
    })
  )

  it.effect("that is not there is named", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(SpaceSource.ofModule("nowhere/space.ts"))
      assert.strictEqual(error._tag, "ConfigUnreadable")
      assert.match(error.message, /nowhere\/space\.ts does not exist\. Give a module with a default export/)
    })
  )

  it.effect.each([
    [
      "export const space = 1",
      "ConfigUnreadable",
      /space\.mjs has no default export\. Give a module with a default export/
    ],
    ["export default 3", "ConfigInvalid", /space\.mjs: its default export is wrong/],
    ["export default { spce: 3 }", "ConfigInvalid", /the field spce is wrong/],
    [
      "export default { trials: 3 }",
      "SpaceUnusable",
      /is neither a ModelSpace nor a config with one; give the config one \(space: mine\)/
    ],
    ["export default () => 3", "SpaceUnusable", /cannot be used: its value is not a ModelSpace$/],
    ["export default { space: () => undefined }", "SpaceUnusable", /cannot be used: its value is not a ModelSpace$/],
    ['export default () => { throw new Error("not today") }', "SpaceUnusable", /cannot be used: not today$/]
  ] as const)("that is %j is refused as %s, in a sentence", ([text, tag, says]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.flatMap(written(text), (path) => loaded(path)))
      assert.strictEqual(error._tag, tag)
      assert.match(error.message, says)
      assert.notInclude(error.message, "\n")
    })
  )

  it.live("is enough for a worker process to train a custom space on a custom data set", () =>
    Effect.gen(function* () {
      const settings = {
        config: null,
        space: yield* SpaceSource.ofModule(fileOf("rows.ts")),
        dataset: fileOf("data.ts"),
        recipe: { ...Recipe.proxy, labelSmoothing: 0, batch: 16 }
      }
      const point = ModelSpace.write(Space.seedPoint(rows.space))(rows)
      const evaluate = Evaluator.Evaluator.use((evaluator) =>
        evaluator.evaluate({ index: 0, point, seed: "a" }, () => Effect.void)
      )
      const there = yield* Effect.provide(
        evaluate,
        WorkerEvaluator.layer({ module: Setup.module, options: Setup.toJson(settings), workers: 1 })
      )
      assert.deepStrictEqual(Object.keys(there.measures), ["mae", "mse"])
      assert.strictEqual(there.epochs, 1)
      const here = yield* Effect.provide(evaluate, Setup.evaluator(settings))
      assert.deepStrictEqual([there.measures, there.epochs], [here.measures, here.epochs])
      // When, and in which process, may differ.
      assert.deepStrictEqual(there.training?.curve, here.training?.curve)
      assert.notStrictEqual(there.training?.place.process, here.training?.place.process)
    })
  )

  it.live("is not another one than when the search began", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "space.mjs")
      writeFileSync(path, "export default { trials: 1 }")
      const source = yield* SpaceSource.ofModule(path)
      writeFileSync(path, "export default { trials: 2 }")
      const error = yield* Effect.flip(Effect.provide(Setup.space()(source), data))
      assert.strictEqual(error._tag, "ConfigChanged")
      assert.match(
        error.message,
        /space\.mjs was changed while the search was running .*Restore it, or start a new search\./
      )
    })
  )
})
