/** Spaces as they are named on the command line: a well-known one, or a module of your own. */
import type { ModelSpace } from "@uninet/model-space"
import { SpaceSource } from "@uninet/search"
import { Grammar, MobileNet, NasBench201, VisionTransformer } from "@uninet/spaces"
import { UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import { existsSync } from "node:fs"
import { at, usage } from "./CliFault.ts"

/** What UniNet's space can be restricted to, by the names of its options. */
const UniNetOnly = Schema.Struct({
  operators: Schema.Array(Schema.String),
  dsms: Schema.Array(Schema.String),
  expansions: Schema.Array(Schema.Finite),
  widths: Schema.Array(Schema.Finite),
  depths: Schema.Array(Schema.Finite)
}).mapFields(Struct.map(Schema.optionalKey))

/** The spaces known by name. */
export const known: SpaceSource.Known = {
  uninet: (facts, only) =>
    Result.flatMap(
      Schema.decodeUnknownResult(UniNetOnly)(only ?? {}, { onExcessProperty: "error" }),
      (options): Result.Result<ModelSpace.Some, { readonly message: string }> => UniNetSpace.forData(options)(facts)
    ),
  "nas-bench-201": NasBench201.forData(),
  mobilenet: MobileNet.forData(),
  vit: VisionTransformer.forData(),
  grammar: Grammar.forData()
}

export const names: ReadonlyArray<string> = Object.keys(known)

/** The space that is searched by default. */
export const standard = SpaceSource.SpaceSource.cases.Named.make({ name: "uninet" })

/** What `--space` names. */
export const named = Effect.fnUntraced(function* (text: string) {
  if (SpaceSource.isModule(text)) {
    if (!existsSync(text)) return yield* usage(`--space is "${text}", which does not exist. Give the path of a module.`)
    return yield* Effect.mapError(SpaceSource.ofModule(text), at("--space"))
  }
  if (!names.includes(text))
    return yield* usage(`--space is "${text}". Give ${names.join(", ")}, or a module such as my-space.ts.`)
  return SpaceSource.SpaceSource.cases.Named.make({ name: text })
})
