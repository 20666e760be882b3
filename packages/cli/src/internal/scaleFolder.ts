/** The folder of a family: its settings, the search's journal if there is one, and a file for every member. */
import { Recipe, type Scaling } from "@uninet/model-space"
import { Coefficients, type Compound } from "@uninet/scaler"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { type CliFault, fault } from "./CliFault.ts"
import * as networks from "./networks.ts"
import * as runFolder from "./runFolder.ts"

export const files = { settings: "scale.json", journal: runFolder.files.journal } as const

/** How the coefficients are found. */
export const Method = Schema.TaggedUnion({
  Given: { coefficients: Coefficients.Coefficients },
  Published: {},
  Searched: { dataset: Schema.String, recipe: Recipe.Recipe, seed: Schema.String }
})
export type Method = typeof Method.Type

/** The content of `scale.json`: everything that decides the family. */
export const Settings = Schema.Struct({
  /** As it was given. */
  network: Schema.String,
  baseline: networks.Network,
  method: Method,
  phis: Schema.Array(Schema.Finite),
  /** Multiply-accumulates instead of φ. */
  targetMacs: Schema.NullOr(Schema.Finite),
  fixedImage: Schema.Boolean,
  /** The file with the weights that the members inherit. */
  inherit: Schema.NullOr(Schema.String)
})
export type Settings = typeof Settings.Type

const Text = Schema.fromJsonString(Settings)

/** Writes the settings into a new folder, and returns the folder. */
export const begin = Effect.fnUntraced(function* (place: runFolder.Place, settings: Settings) {
  const path = yield* Path.Path
  const { folder } = yield* runFolder.create(place)
  yield* runFolder.write(
    path.join(folder, files.settings),
    `${JSON.stringify(Schema.encodeSync(Settings)(settings), null, 2)}\n`,
    "Free disk space, then start again."
  )
  return folder
})

/** The settings of a folder, given as `--resume`. */
export const settings = Effect.fnUntraced(function* (
  folder: string
): Effect.fn.Return<Settings, CliFault, runFolder.Services> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const name = yield* runFolder.shown(folder)
  const text = yield* Effect.mapError(fs.readFileString(path.join(folder, files.settings)), () =>
    fault(`--resume ${name} has no ${files.settings}. Give a folder that uninet scale wrote.`)
  )
  return yield* Effect.mapError(Schema.decodeEffect(Text)(text), (error) =>
    fault(
      `--resume ${name}: its ${files.settings} is damaged or of another version (${error.message.split("\n").join(" ")}). Scale the network again.`
    )
  )
})

/** The name of a member's files, without the extension. */
export const stem = ({ phi }: Pick<Compound.Member<unknown>, "phi">): string => `phi-${Number(phi.toFixed(3))}`

/** The content of a member's file. */
export interface Described {
  readonly phi: number
  readonly target: number
  readonly effective: number | null
  readonly factors: Compound.Member<unknown>["factors"]
  readonly costs: Readonly<Record<string, number>>
  /** Where its weights are inherited: whether it computes the same as the baseline, and which layers do not. */
  readonly inherited?: { readonly exact: boolean; readonly approximate: ReadonlyArray<Scaling.Approximation> }
  /** On one line, for people. */
  readonly line: string
  /** What `uninet train`, `inspect` and `scale` read. */
  readonly network: networks.Network
}

export const describe = (
  { costs, effective, factors, phi, point, target }: Compound.Member<unknown>,
  found: Omit<networks.Found, "point">,
  approximate?: ReadonlyArray<Scaling.Approximation>
): Described => ({
  phi,
  target,
  effective,
  factors,
  costs,
  ...(approximate === undefined ? {} : { inherited: { exact: approximate.length === 0, approximate } }),
  line: found.of.line(point),
  network: networks.kept({ ...found, point })
})
