/** Trained networks that others learn from, and their logits for a training split, which many trainings share. */
import { Dataset } from "@uninet/data"
import type { Recipe } from "@uninet/model-space"
import type { Runtime } from "@uninet/runtime"
import { Digest } from "@uninet/search-space"
import { Surroundings, Teacher } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { at, type CliFault, fault, said } from "./CliFault.ts"
import * as classes from "./classes.ts"
import * as paths from "./paths.ts"
import * as runFolder from "./runFolder.ts"
import * as trained from "./trained.ts"

type Needs = Dataset.Dataset | runFolder.Services

/** A teacher in the form that a plan and workers use. */
export const Named = Schema.Struct({
  /** A run's folder, or a file of weights. */
  file: Schema.String,
  /** A file with its logits for the training split; absent if recipes change the examples, so that it is run on every batch. */
  logits: Schema.optionalKey(Schema.String)
})
export type Named = typeof Named.Type

/** In the form stored in a journal. */
export const portable = ({ file, logits }: Named): Named => ({
  file: paths.portable(file),
  ...(logits === undefined ? {} : { logits: paths.portable(logits) })
})

/** The network in a file or a run's folder, which has to know the classes of the data set. `flag`: how it was given. */
export const network = Effect.fnUntraced(function* (
  file: string,
  flag: string
): Effect.fn.Return<trained.Trained, CliFault, Needs> {
  const data = yield* Dataset.Dataset
  const found = yield* Effect.mapError(trained.read(file, Option.none()), at(flag))
  const names = classes.namesIn(found.metadata)
  if (names !== undefined && data.classes !== undefined && !Equal.equals(names, data.classes))
    return yield* fault(
      `${flag} ${found.name}: it distinguishes ${classes.listed(names)}, but ${data.name} has ${classes.listed(data.classes)}. Give a teacher that was trained on the same classes in the same order.`
    )
  return found
})

/** A teacher with its logits, for a worker. */
export const read = Effect.fnUntraced(function* ({
  file,
  logits
}: Named): Effect.fn.Return<Teacher.Teacher, CliFault, Needs> {
  const fs = yield* FileSystem.FileSystem
  const teacher = yield* network(file, "the teacher")
  if (logits === undefined) return teacher
  const bytes = yield* Effect.mapError(fs.readFile(logits), at("the teacher's logits"))
  // A copy is aligned for floats.
  return { ...teacher, logits: new Float32Array(bytes.slice().buffer) }
})

/**
 * The location of a teacher's logits inside a folder: the same file if teacher, data, engine and software are the same. None if the recipe
 * changes the examples.
 */
export const place = Effect.fnUntraced(function* (
  file: string,
  { digest, folder, recipe }: { readonly digest: string; readonly folder: string; readonly recipe: Recipe.Recipe }
): Effect.fn.Return<Named, CliFault, Needs | Runtime> {
  if (!Teacher.knows(recipe)) return { file }
  const path = yield* Path.Path
  const surroundings = yield* Effect.mapError(Surroundings.here, said)
  const name = Digest.of([digest, recipe.imageSize, surroundings])
  return { file, logits: path.join(folder, "teachers", `${name}.logits`) }
})

/** Computes a teacher's logits if they do not exist yet. */
export const prepare = Effect.fnUntraced(function* ({ file, logits }: Named, { imageSize }: Recipe.Recipe) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  if (logits === undefined || (yield* Effect.orElseSucceed(fs.exists(logits), () => false))) return
  const teacher = yield* network(file, "the teacher")
  const table = yield* Effect.mapError(Teacher.logitsOf(yield* Dataset.Dataset, imageSize)(teacher), said)
  const remedy = "Free disk space, then run the command again."
  yield* Effect.ignore(fs.makeDirectory(path.dirname(logits), { recursive: true }))
  yield* runFolder.write(logits, new Uint8Array(table.buffer), remedy)
})
