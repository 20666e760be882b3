/**
 * The resolved description of one network: the meaning of a point in UniNet's space, with every width, depth and stride worked
 * out. Plain JSON data. Two architectures are the same network exactly when their descriptions are equal, so the hash of the
 * description identifies the network in a journal.
 *
 * @example
 * ```ts
 * import { Prng, Space } from "@uninet/search-space"
 * import { Architecture, UniNetSpace } from "@uninet/uninet"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const space = yield* Effect.fromResult(UniNetSpace.make({ image: 28, channels: 1, classes: 10 }))
 *   const architecture = Space.sample(Prng.fromSeed("demo"))(space)
 *   console.log(Architecture.hash(architecture))
 *   console.log(Architecture.print(architecture))
 * })
 *
 * Effect.runSync(program)
 * ```
 */
import { Digest } from "@uninet/search-space"
import type * as Arr from "effect/Array"
import * as Schema from "effect/Schema"

const Positive = Schema.Int.check(Schema.isGreaterThan(0))

/** Blocks of a stage: no network that anybody trains has as many as the limit, and just inspecting one with more takes minutes and gigabytes. */
const Repeats = Positive.check(Schema.isLessThanOrEqualTo(1024))

/** The values of an operator's or module's own choices, by name. */
const Settings = Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Finite, Schema.Boolean, Schema.Null]))

/**
 * One stage: a downsampling module that applies the stride and changes the channels, then `repeats` blocks of one operator.
 *
 * - `operator`: the general operator's name: `Conv`, `DWConv`, `SA`, `LSA`, `MLP`, or a user's own.
 * - `dsm`: the downsampling module's name: `L`, `LG`, `G`, or a user's own; `null` for none (stage 0), in which case the stage's first
 *   block applies the stride and changes the channels.
 * - `expansion`: the ratio e of the hidden to the outer channels.
 * - `channels`: the stage's output channels.
 * - `repeats`: the number of operator blocks, 1 to 1024.
 * - `stride`: the factor by which the stage divides height and width (rounded up).
 * - `settings`, `dsmSettings`: the values of the operator's and the module's own choices, if they have any.
 */
export const Stage = Schema.Struct({
  operator: Schema.NonEmptyString,
  dsm: Schema.NullOr(Schema.NonEmptyString),
  expansion: Schema.Finite.check(Schema.isGreaterThan(0)),
  channels: Positive,
  repeats: Repeats,
  stride: Positive,
  settings: Schema.optionalKey(Settings),
  dsmSettings: Schema.optionalKey(Settings)
})
export type Stage = typeof Stage.Type

/**
 * One network: image → stem → stages (the first is stage 0, which is not searched) → head → `classes` logits.
 * `headDim` is the width of one attention head in every stage.
 */
export const Architecture = Schema.Struct({
  image: Schema.Struct({ channels: Positive, height: Positive, width: Positive }),
  classes: Positive,
  stem: Schema.Struct({ channels: Positive, stride: Positive }),
  stages: Schema.Array(Stage).check(Schema.isMinLength(1)),
  head: Schema.Struct({ channels: Positive }),
  headDim: Positive
})
export type Architecture = typeof Architecture.Type

/** The network's identity: 16 hexadecimal digits (64-bit FNV-1a of the description's JSON with ordered keys). */
export const hash = (architecture: Architecture): string => Digest.of(architecture)

/**
 * The height and width of the feature map before stage 0 (index 0) and after every stage (index i + 1):
 * `ceil(size / stride)` at every step.
 */
export const featureMaps = (
  architecture: Pick<Architecture, "image" | "stem" | "stages">
): Arr.NonEmptyReadonlyArray<{ readonly height: number; readonly width: number }> => {
  let map = {
    height: Math.ceil(architecture.image.height / architecture.stem.stride),
    width: Math.ceil(architecture.image.width / architecture.stem.stride)
  }
  const maps: Arr.NonEmptyArray<typeof map> = [map]
  for (const { stride } of architecture.stages) {
    map = { height: Math.ceil(map.height / stride), width: Math.ceil(map.width / stride) }
    maps.push(map)
  }
  return maps
}

/** The network as a small table, one line per part. */
export const print = (architecture: Architecture): string => {
  const maps = featureMaps(architecture)
  const at = (i: number) => (maps[i] === undefined ? "" : `${maps[i].height}×${maps[i].width}`)
  const { classes, head, headDim, image, stages, stem } = architecture
  const rows = [
    ["part", "operator", "dsm", "e", "channels", "repeats", "stride", "map"],
    ["image", "", "", "", `${image.channels}`, "", "", `${image.height}×${image.width}`],
    ["stem", "conv 3×3", "", "", `${stem.channels}`, "", `${stem.stride}`, at(0)],
    ...stages.map((s, i) => [
      `stage ${i}`,
      `${s.operator}${settings(s.settings)}`,
      s.dsm === null ? "-" : `${s.dsm}${settings(s.dsmSettings)}`,
      `${s.expansion}`,
      `${s.channels}`,
      `${s.repeats}`,
      `${s.stride}`,
      at(i + 1)
    ]),
    ["head", `${classes} classes`, "", "", `${head.channels}`, "", "", ""]
  ]
  const widthOf = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0))
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widthOf(column)))
      .join("  ")
      .trimEnd()
  )
  return [...lines, `attention heads are ${headDim} wide`].join("\n")
}

/** The network in one line, for logs: `DWConv e1 8×1 | L DWConv e4 16×2 /2 | …` (channels × repeats, / stride). */
export const line = (architecture: Architecture): string =>
  architecture.stages
    .map(
      (s) =>
        `${s.dsm === null ? "" : `${s.dsm}${settings(s.dsmSettings)} `}${s.operator}${settings(s.settings)} e${s.expansion} ${s.channels}×${s.repeats}` +
        (s.stride === 1 ? "" : ` /${s.stride}`)
    )
    .join(" | ")

/** `(kernel 5)` after a name with its own choices. */
const settings = (chosen: Stage["settings"] = {}): string => {
  const said = Object.entries(chosen).map(([name, value]) => `${name} ${value}`)
  return said.length === 0 ? "" : `(${said.join(", ")})`
}
