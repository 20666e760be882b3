/** A search over many machines: the named database, and what a worker on another machine has to be told. */
import {
  ClusterEvaluator,
  type ClusterWorker,
  Database,
  Mirror,
  type SearchForeign,
  type SearchTaken,
  type VersionMismatch
} from "@uninet/cluster"
import { Datasets } from "@uninet/data"
import { Recipe } from "@uninet/model-space"
import { type Evaluator, SpaceSource, WorkerEvaluator } from "@uninet/search"
import { Surroundings } from "@uninet/trainer"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Flag } from "effect/cli"
import type { SqlClient } from "effect/sql"
import { randomUUID } from "node:crypto"
import { resolve } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { type CliFault, fault, usage } from "./CliFault.ts"
import * as command from "./command.ts"
import type * as Device from "./device.ts"
import * as format from "./format.ts"
import * as log from "./log.ts"
import * as paths from "./paths.ts"
import * as runFolder from "./runFolder.ts"
import * as training from "./training.ts"

/** The database from the environment, for keeping passwords out of command lines. */
export const variable = "UNINET_DATABASE"

/** `--database`, or what the environment says. */
export const database = Flag.Redacted("database").pipe(
  Flag.withMetavar("url"),
  Flag.optional,
  Flag.map(Option.orElse(() => Option.map(Option.fromNullishOr(process.env[variable]), (url) => Redacted.make(url))))
)

/** A database's address in a form that may be shown, if it does not come from the environment, which the next command has as well. */
export const withoutPassword = (url: Option.Option<Redacted.Redacted>): string | undefined => {
  if (Option.isNone(url)) return undefined
  const given = Redacted.value(url.value)
  if (given === process.env[variable]) return undefined
  const found = /^(\w+:\/\/)(?:([^:@/?#]*)(?::[^@/?#]*)?@)?([^?#]*)/.exec(given)
  return found === null ? undefined : `${found[1]}${found[2] === undefined ? "" : `${found[2]}@`}${found[3]}`
}

/** Prints it on standard error. */
export const say = (line: string) => log.say(line, { event: "Machines" })

/** Whether a URL has a password, which everyone on the machine can read when it is in a command line. */
const tells = (url: string) => /^\w+:\/\/[^@/?#]*:[^@/?#]+@/.test(url) || /[?&]password=./.test(url)

/** The connection; failures name the flag. */
export const connect = Effect.fnUntraced(function* (
  url: Redacted.Redacted
): Effect.fn.Return<Context.Context<Database.Database | SqlClient.SqlClient>, CliFault, Scope.Scope> {
  const given = Redacted.value(url)
  if (given !== process.env[variable] && tells(given))
    return yield* usage(
      `--database has a password, which the process list shows to everyone on this machine. Leave it out of the URL and give it in PGPASSWORD, or in a file that PGPASSWORD_FILE names.`
    )
  return yield* Layer.build(
    Database.layer({
      url,
      onWait: (problem) =>
        say(
          `The database does not answer (${problem}); trying again for up to ${format.time(Duration.toSeconds(Database.defaultPatience))}`
        )
    })
  ).pipe(Effect.mapError(({ message }) => fault(`--database: ${message}`)))
})

/** What trains, in terms that are valid on any machine: paths inside this folder are relative to it, because the worker's folder is a copy of it. */
const Portable = Schema.Struct({
  config: Schema.NullOr(Schema.Struct({ path: Schema.String, version: Schema.String })),
  space: SpaceSource.SpaceSource,
  dataset: Schema.NullOr(Schema.String),
  recipe: Recipe.Recipe,
  skipBad: Schema.optionalKey(Schema.Boolean)
})

/** What a trial may use, in seconds and bytes, and the surroundings in which it has to be trained. */
const Limits = Schema.Struct({
  time: Schema.NullOr(Schema.Finite),
  memory: Schema.NullOr(Schema.Finite),
  surroundings: Schema.optionalKey(Surroundings.Surroundings)
})
export type Limits = typeof Limits.Type

const moved = (space: SpaceSource.SpaceSource, to: (path: string) => string): SpaceSource.SpaceSource =>
  space._tag === "Named" ? space : { ...space, path: to(space.path) }

/** How workers are told about a search's trials. */
export const described = ({ setup: { config, dataset, recipe, skipBad, space } }: training.Options) => ({
  module: "training",
  options: Schema.decodeSync(Schema.fromJsonString(Schema.Json))(
    JSON.stringify(
      Schema.encodeSync(Portable)({
        config: config === null ? null : { path: paths.portable(fileURLToPath(config.url)), version: config.version },
        space: moved(space, paths.portable),
        dataset: dataset === null || Datasets.names.includes(dataset) ? dataset : paths.portable(dataset),
        recipe,
        ...(skipBad === undefined ? {} : { skipBad })
      })
    )
  )
})

/** What the workers are told, interpreted on this machine, for its device. */
const understood = (
  options: unknown,
  device: Device.Chosen,
  { checkpoints, surroundings }: Pick<training.Options["setup"], "checkpoints" | "surroundings">
) =>
  Effect.map(
    Schema.decodeUnknownEffect(Portable)(options),
    ({ config, dataset, recipe, skipBad, space }): training.Options => ({
      device,
      setup: {
        config: config === null ? null : { url: pathToFileURL(resolve(config.path)).href, version: config.version },
        space: moved(space, (path) => resolve(path)),
        dataset: dataset === null || Datasets.names.includes(dataset) ? dataset : resolve(dataset),
        recipe,
        ...(skipBad === undefined ? {} : { skipBad }),
        ...(surroundings === undefined ? {} : { surroundings }),
        ...(checkpoints === undefined ? {} : { checkpoints })
      }
    })
  )

/** A worker's evaluator: this many processes that train as the search says. */
export const evaluator =
  (slots: number, device: Device.Chosen): ClusterWorker.Options["evaluator"] =>
  ({ limits, module, options }, checkpoints) =>
    Layer.unwrap(
      Effect.gen(function* () {
        if (module !== "training")
          return yield* fault(`it wants ${module}, which uninet worker does not know. Run that search's own worker.`)
        const { memory, surroundings, time } = yield* Schema.decodeUnknownEffect(Limits)(
          limits ?? { memory: null, time: null }
        )
        return WorkerEvaluator.layer({
          module: training.module,
          options: training.toJson(
            yield* understood(options, device, {
              ...(checkpoints === undefined ? {} : { checkpoints }),
              ...(surroundings === undefined ? {} : { surroundings })
            })
          ),
          workers: slots,
          ...(time === null ? {} : { timeLimit: `${time} seconds` as const }),
          ...(memory === null ? {} : { memoryLimit: memory })
        })
      })
    )

/** Stores the search's name in the database, next to its journal. */
const Kept = Schema.fromJsonString(Schema.Struct({ search: Schema.String }))
const file = "database.json"

/** The name of a run's search in the database: made once, and found again when it is resumed. */
const nameOf = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const kept = path.join(folder, file)
  const found = Option.flatMap(yield* Effect.option(fs.readFileString(kept)), Schema.decodeOption(Kept))
  if (Option.isSome(found)) return found.value.search
  const search = `${path.basename(folder)}-${randomUUID().slice(0, 8)}`
  yield* runFolder.write(
    kept,
    `${JSON.stringify({ search })}\n`,
    `Free disk space, then continue with: ${command.uninet("search", "--resume", yield* runFolder.shown(folder))}`
  )
  return search
})

/** How many training slots the search cannot use at a time; nothing if it can use all. */
export const idle = (places: number, ahead: number): ReadonlyArray<string> =>
  places <= ahead
    ? []
    : [
        `${format.plural(ahead, "proposal")} may be pending at a time (--ahead), so ${places - ahead} of ${places} training slots stay idle: a new search with --ahead ${places} has work for all, but learns of results later`
      ]

/** The workers on one line. */
const fleet = (workers: ReadonlyArray<ClusterEvaluator.Worker>, ahead: number): string => {
  const able = workers.filter(({ problem }) => problem === null)
  const slots = able.reduce((sum, worker) => sum + worker.slots, 0)
  const hosts = [...new Set(able.map(({ host }) => host))]
  const unable = workers.flatMap(({ host, problem }) => (problem === null ? [] : [`${host}: ${problem}`]))
  return [
    able.length === 0
      ? `There is no worker: the search waits. Start some, on any machine: ${command.uninet("worker")} --database <url>`
      : `${able.length} worker${able.length === 1 ? "" : "s"} (${hosts.join(", ")}), ${slots} trial${slots === 1 ? "" : "s"} at a time`,
    ...unable,
    ...idle(slots, ahead)
  ].join("\n")
}

/** Why no trial can be trained elsewhere. */
export type Unable = Evaluator.EvaluatorLost | SearchForeign | SearchTaken | VersionMismatch

/** A run whose trials are trained elsewhere. */
interface Elsewhere {
  readonly layer: Layer.Layer<Evaluator.Evaluator, Unable>
  /** Cleans up in the database when everything is done. */
  readonly finish: Effect.Effect<void>
}

/** The evaluator of a run on the database, and its clean-up when everything is done. */
export const run = Effect.fnUntraced(function* (
  url: Redacted.Redacted,
  folder: string,
  options: training.Options,
  limits: Limits,
  ahead: number,
  note: (line: string) => Effect.Effect<void>
): Effect.fn.Return<Elsewhere, CliFault, runFolder.Services | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const connection = yield* connect(url)
  const search = yield* nameOf(folder)
  yield* Effect.provide(Mirror.publish({ search, journal: path.join(folder, runFolder.files.journal) }), connection)
  return {
    layer: ClusterEvaluator.layer({
      search,
      ...described(options),
      limits,
      onWorkers: (workers) => note(fleet(workers, ahead))
    }).pipe(Layer.provide(Layer.succeedContext(connection))),
    finish: ClusterEvaluator.forget(search).pipe(
      Effect.provide(connection),
      Effect.andThen(Effect.ignore(fs.remove(path.join(folder, file))))
    )
  }
})
