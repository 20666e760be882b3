/**
 * The complete state of a training at one moment: its identity, its progress, and every number it needs to continue. As bytes it is a
 * safetensors file that describes its own content and that any reader of the format opens.
 *
 * Order, augmentation, mixing and noise are functions of the seed and the step, so the step is the only random state there is.
 */
import { Recipe } from "@uninet/model-space"
import { Safetensors } from "@uninet/nn"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { crc32 } from "node:zlib"
import { CheckpointUnreadable, CheckpointVersion } from "./CheckpointError.ts"
import { Selection } from "./Selection.ts"
import { Surroundings } from "./Surroundings.ts"

/** What makes two trainings the same. */
export const Identity = Schema.Struct({
  network: Schema.Struct({
    /** In one line, for people, as the caller described it. */
    line: Schema.String,
    about: Schema.Json,
    /** `Program.digest` of the training program: the network, its task, and what the recipe makes of both. */
    digest: Schema.String
  }),
  recipe: Recipe.Recipe,
  /** Its teacher's digest. Absent if it has none. */
  teacher: Schema.optionalKey(Schema.String),
  seed: Schema.String,
  /** The data set's name, its classes if it has some, and the examples of its training split. */
  dataset: Schema.Struct({
    name: Schema.String,
    classes: Schema.NullOr(Schema.Array(Schema.String)),
    examples: Schema.Int
  }),
  /** The surroundings it was trained in: more than one if that was allowed. Absent in checkpoints from before they were recorded. */
  surroundings: Schema.optionalKey(Schema.Array(Surroundings))
})
export type Identity = typeof Identity.Type

/** The progress of a training, apart from the values of its variables. */
export const State = Schema.Struct({
  /** Steps taken. Together with the completed epochs, this is the position in the data. */
  step: Schema.Int,
  /** Completed epochs, including their validation. */
  epoch: Schema.Int,
  /** Sums over the steps of the current epoch: of losses, and of what the task reports per step. */
  loss: Schema.Finite,
  measures: Schema.Record(Schema.String, Schema.Finite),
  selection: Selection,
  /** Wall time of the training so far. */
  seconds: Schema.Finite
})
export type State = typeof State.Type

/** A variable's values with their shape. */
export interface Value {
  readonly shape: ReadonlyArray<number>
  readonly data: Float32Array
}

/** Everything a training needs to continue bit for bit. */
export interface Checkpoint {
  readonly identity: Identity
  readonly state: State
  /** Parameters, running statistics, the optimiser's moments and the averages (`ema.…`), by name. */
  readonly variables: ReadonlyMap<string, Value>
  /** The weights of the best epoch so far, by name; empty before the first validation. */
  readonly best: ReadonlyMap<string, Value>
}

const format = "uninet checkpoint"

/** Raised when an older file can no longer be resumed with the same result. */
export const version = 2

const bestPrefix = "best/"
const Content = Schema.fromJsonString(Schema.Struct({ identity: Identity, state: State }))

/** Over the bytes of all tensors, in the file's order: detects a damaged file. */
const checksum = (tensors: ReadonlyMap<string, Safetensors.Entry>): string => {
  let sum = 0
  for (const { bytes } of tensors.values()) sum = crc32(bytes, sum)
  return String(sum)
}

/** The file's content. The same checkpoint always gives the same bytes. */
export const encode = ({ best, identity, state, variables }: Checkpoint): Uint8Array => {
  const tensors = new Map<string, Safetensors.Entry>()
  for (const [name, { data, shape }] of variables) tensors.set(name, Safetensors.fromFloat32(data, shape))
  for (const [name, { data, shape }] of best) tensors.set(bestPrefix + name, Safetensors.fromFloat32(data, shape))
  const content = Schema.encodeSync(Content)({ identity, state })
  return Safetensors.encode({
    tensors,
    metadata: { format, version: String(version), content, crc32: checksum(tensors) }
  })
}

/** Reads a file's content. `file` is its name, for errors. */
export const decode =
  (file: string) =>
  (bytes: Uint8Array): Result.Result<Checkpoint, CheckpointUnreadable | CheckpointVersion> => {
    const unreadable = (reason: string) => Result.fail(new CheckpointUnreadable({ file, reason }))
    const decoded = Safetensors.decode(bytes)
    if (Result.isFailure(decoded)) return unreadable(`${decoded.failure.at}: ${decoded.failure.reason}`)
    const { metadata, tensors } = decoded.success
    if (metadata["format"] !== format) return unreadable("it holds tensors, but it is not a training checkpoint")
    if (metadata["version"] !== String(version))
      return Result.fail(
        new CheckpointVersion({ file, found: metadata["version"]?.slice(0, 40) ?? "none", supported: version })
      )
    if (metadata["crc32"] !== checksum(tensors)) return unreadable("its tensors are damaged: their checksum is wrong")
    const content = Schema.decodeUnknownResult(Content)(metadata["content"])
    if (Result.isFailure(content))
      return unreadable(`its description is damaged: ${content.failure.message.replace(/\s+/g, " ")}`)
    const variables = new Map<string, Value>()
    const best = new Map<string, Value>()
    for (const [name, entry] of tensors) {
      const data = Safetensors.float32(entry)
      if (data === undefined) return unreadable(`${name} is ${entry.dtype}, not F32`)
      if (name.startsWith(bestPrefix)) best.set(name.slice(bestPrefix.length), { data, shape: entry.shape })
      else variables.set(name, { data, shape: entry.shape })
    }
    return Result.succeed({ ...content.success, variables, best })
  }
