/** Spaces as they are named on the command line: a well-known one, or a module of one's own. */
import { SpaceSource } from "@uninet/search"
import { Grammar, MobileNet, NasBench201, VisionTransformer } from "@uninet/spaces"
import { UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import { existsSync } from "node:fs"
import { at, usage } from "./CliFault.ts"

/** Those that are known by a name. */
export const known: SpaceSource.Known = {
  uninet: UniNetSpace.forData(),
  "nas-bench-201": NasBench201.forData(),
  mobilenet: MobileNet.forData(),
  vit: VisionTransformer.forData(),
  grammar: Grammar.forData()
}

export const names: ReadonlyArray<string> = Object.keys(known)

/** The one that is searched unless another is asked for. */
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
