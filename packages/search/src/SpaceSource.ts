/**
 * Where a space comes from, as data: what a worker process, another machine or a later command needs to get the same space again.
 *
 * A module's default export is a `ModelSpace`, a function that makes one for a data set's `Facts`, or a config (`defineConfig`) with such a
 * `space`. A function with two parameters also receives the source's `only`, which allows its space to be restricted.
 */
import { type Facts, ModelSpace } from "@uninet/model-space"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Config from "./Config.ts"
import type { ConfigError } from "./ConfigError.ts"
import { detailOf } from "./internal/detail.ts"

/** The only candidates to keep in a space, by the space's own names: `{ operators: ["Conv", "DWConv"] }`. */
export const Only = Schema.Record(Schema.String, Schema.Array(Schema.Union([Schema.String, Schema.Finite])))
export type Only = typeof Only.Type

/** A space known by a name, or a module's; whole, or restricted to some candidates. */
export const SpaceSource = Schema.TaggedUnion({
  Named: { name: Schema.String, only: Schema.optionalKey(Only) },
  /** The module's file and its version: a config's own, or a digest of the module's text. */
  Module: { path: Schema.String, version: Schema.String, only: Schema.optionalKey(Only) }
})
export type SpaceSource = typeof SpaceSource.Type

/** Spaces by name, each made for the examples at hand. */
export type Known = Readonly<Record<string, Config.SpaceFor>>

/** A space was asked for by an unknown name. */
export class NoSpace extends Schema.TaggedError<NoSpace>()("NoSpace", {
  name: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    const names = this.known.length === 0 ? "" : `one of ${this.known.join(", ")}, or `
    return `there is no space ${this.name}; give ${names}a module whose default export is a ModelSpace`
  }
}

/** A module or a name gives no space, or none for these examples. */
export class SpaceUnusable extends Schema.TaggedError<SpaceUnusable>()("SpaceUnusable", {
  /** The name or the module's file. */
  from: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `the space of ${this.from} cannot be used: ${this.problem}`
  }
}

/** The errors of finding a space. */
export type SpaceError = NoSpace | SpaceUnusable | ConfigError

/** Whether a text names a module's file rather than a space known by name. */
export const isModule = (text: string): boolean => /\.[cm]?[jt]s$/.test(text)

/** The source for a module's file, as it is now. */
export const ofModule = (path: string): Effect.Effect<SpaceSource, ConfigError> =>
  Effect.map(Config.importModule(path), ({ path, version }) => SpaceSource.cases.Module.make({ path, version }))

/** A module's space: its default export, or a field of its config. */
const spaceIn = (path: string) =>
  Effect.gen(function* () {
    const module = yield* Config.importModule(path)
    const { exported } = module
    if (ModelSpace.isModelSpace(exported) || Result.isResult(exported) || Predicate.isFunction(exported))
      return exported
    const { config } = yield* Config.read(module)
    if (config.space === undefined)
      return yield* new SpaceUnusable({
        from: path,
        problem: "its default export is neither a ModelSpace nor a config with one; give the config one (space: mine)"
      })
    return config.space
  })

/**
 * The space of a source, for examples with these facts.
 *
 * Fails with `NoSpace`, `SpaceUnusable`, or a `ConfigError` of its module.
 *
 * @example
 * ```ts
 * import { SpaceSource } from "@uninet/search"
 * import { NasBench201 } from "@uninet/spaces"
 * import { Console, Effect } from "effect"
 *
 * // Spaces that your own command line offers by name, each made for the data at hand.
 * const known: SpaceSource.Known = { cells: NasBench201.forData({ cells: 2 }) }
 * const facts = {
 *   inputs: { image: { shape: [3, 32, 32], dtype: "float32" } },
 *   targets: { shape: [], dtype: "int32" },
 *   classes: 10
 * } as const
 * const program = Effect.gen(function* () {
 *   const space = yield* SpaceSource.load(facts, known)({ _tag: "Named", name: "cells" })
 *   yield* Console.log(String(space), SpaceSource.isModule("mine.ts"), SpaceSource.isModule("cells"))
 *   yield* SpaceSource.load(facts, known)({ _tag: "Named", name: "cell" }).pipe(
 *     Effect.catchTag("NoSpace", ({ message }) => Console.log(message))
 *   )
 * })
 * Effect.runPromise(program)
 * ```
 */
export const load = (facts: Facts.Facts, known: Known = {}) =>
  Effect.fnUntraced(function* (source: SpaceSource): Effect.fn.Return<ModelSpace.Any, SpaceError> {
    const names = Object.keys(known)
    const named = (name: string) =>
      Object.hasOwn(known, name) ? Effect.succeed(known[name]) : Effect.fail(new NoSpace({ name, known: names }))
    const from = source._tag === "Named" ? source.name : source.path
    const unusable = (problem: string) => new SpaceUnusable({ from, problem })
    let given: unknown = source._tag === "Named" ? yield* named(source.name) : yield* spaceIn(source.path)
    if (typeof given === "string") given = yield* named(given)
    const make = given
    if (source.only !== undefined && !(Predicate.isFunction(make) && make.length > 1))
      return yield* unusable(`it cannot be restricted to ${JSON.stringify(source.only)}; leave the restriction out`)
    const made: unknown = Predicate.isFunction(make)
      ? yield* Effect.try({ try: (): unknown => make(facts, source.only), catch: (cause) => unusable(detailOf(cause)) })
      : make
    const found: unknown = Result.isResult(made)
      ? yield* Effect.mapError(Effect.fromResult(made), (error) => unusable(detailOf(error)))
      : made
    return ModelSpace.isModelSpace(found) ? found : yield* unusable("its value is not a ModelSpace")
  })
