/** `uninet dashboard`: shows the searches of a folder on a page that follows them. */
import { Mirror } from "@uninet/cluster"
import { Dashboard, type Report, type Run } from "@uninet/report"
import { Journal } from "@uninet/search"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { Argument, Command, Flag } from "effect/cli"
import { realpathSync } from "node:fs"
import { fault, said, usage } from "../internal/CliFault.ts"
import * as flags from "../internal/flags.ts"
import * as machines from "../internal/machines.ts"
import * as opening from "../internal/opening.ts"
import * as reported from "../internal/reported.ts"
import * as runFolder from "../internal/runFolder.ts"

/** A path with its links resolved; `undefined` if it leads nowhere. */
const real = (path: string): string | undefined => {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

/** The runs in a folder, by name: only those that are really in it, not elsewhere through a link; or the folder itself, if it is a run. */
const runsOf = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const found = new Map<string, string>()
  if (yield* runFolder.has(folder, runFolder.files.journal))
    return found.set(path.basename(path.resolve(folder)), folder)
  const root = real(folder)
  const names = yield* Effect.orElseSucceed(fs.readDirectory(folder), (): Array<string> => [])
  for (const name of names.toSorted()) {
    const run = path.join(folder, name)
    if (root === undefined || real(run) !== path.join(root, name)) continue
    if (yield* runFolder.has(run, runFolder.files.journal)) found.set(name, run)
  }
  return found
})

/** Searches by name, from each one's folder on this machine. */
const sourceIn = Effect.fnUntraced(function* (
  folderOf: (name: string) => Effect.Effect<string | undefined, { readonly message: string }>,
  /** What is known more accurately than from the folder. */
  better: (name: string, about: Run.About) => Effect.Effect<Run.About>
) {
  const services = yield* Effect.context<runFolder.Services>()
  const path = yield* Path.Path
  /** What is needed to build the networks of a run, made once. */
  const detailings = new Map<string, Effect.Effect<reported.Detailing, { readonly message: string }>>()
  const detailing = Effect.fnUntraced(function* (run: string) {
    const known = detailings.get(run)
    if (known !== undefined) return yield* known
    const made = yield* Effect.cached(Effect.provideContext(reported.detailing(run), services))
    detailings.set(run, made)
    return yield* made
  })
  return {
    open: Effect.fnUntraced(function* (name: string) {
      const run = yield* folderOf(name)
      if (run === undefined) return undefined
      const following = yield* Effect.provideContext(reported.follow(run), services)
      return {
        following,
        about: (begun: number) =>
          Effect.provideContext(reported.about(run, following.first, begun), services).pipe(
            Effect.flatMap((about) => better(name, { ...about, name }))
          )
      }
    }),
    detail: (name: string, trial: number) =>
      Effect.gen(function* (): Effect.fn.Return<Report.Detail | string, { readonly message: string }> {
        const run = yield* folderOf(name)
        if (run === undefined) return "There is no such search."
        const { entries } = yield* Journal.read(path.join(run, runFolder.files.journal))
        const proposed = entries.find(({ entry }) => entry.trial === trial && "point" in entry)?.entry
        if (proposed === undefined || !("point" in proposed)) return `There is no trial ${trial}.`
        return yield* (yield* detailing(run))(trial, proposed.point)
      }).pipe(Effect.catch(({ message }) => Effect.succeed(message)))
  }
})

/** The searches in a folder, for the dashboard. */
const sourceOf = Effect.fnUntraced(function* (folder: string) {
  const services = yield* Effect.context<runFolder.Services>()
  const path = yield* Path.Path
  const runs = Effect.provideContext(runsOf(folder), services)
  const within = yield* sourceIn(
    (name) => Effect.map(runs, (found) => found.get(name)),
    (_, about) => Effect.succeed(about)
  )
  return {
    list: Effect.gen(function* () {
      const found: Array<Dashboard.Listed> = []
      for (const [name, run] of yield* runs) {
        const isRunning = Journal.holder(path.join(run, runFolder.files.journal)) !== undefined
        const hasBest = yield* Effect.provideContext(runFolder.has(run, runFolder.files.best), services)
        found.push({ name, state: isRunning ? "running" : hasBest ? "finished" : "stopped" })
      }
      return { runs: found, problems: [] }
    }),
    ...within
  } satisfies Dashboard.Source
})

/**
 * The searches whose journals are in a database, for the dashboard: each is copied to this machine when it is opened, and its copy grows as
 * the original does.
 */
const sourceOnDatabase = Effect.fnUntraced(function* (url: Redacted.Redacted) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const connection = yield* machines.connect(url)
  const scope = yield* Effect.scope
  const services = Context.merge(connection, yield* Effect.context<runFolder.Services>())
  const copies = yield* fs.makeTempDirectoryScoped({ prefix: "uninet-dashboard-" })
  const listed = Effect.provideContext(Mirror.list, services)
  /** The folder of each search that was opened. Names from the database do not decide any path. */
  const folders = new Map<string, string>()
  const one = yield* Semaphore.make(1)
  const folderOf = (search: string) =>
    Effect.gen(function* () {
      const known = folders.get(search)
      if (known !== undefined) return known
      const folder = path.join(copies, String(folders.size))
      yield* Mirror.fetch(search, path.join(folder, runFolder.files.journal)).pipe(Scope.provide(scope))
      folders.set(search, folder)
      return folder
    }).pipe(one.withPermit, Effect.provideContext(services))
  const within = yield* sourceIn(
    (name) =>
      Effect.gen(function* () {
        return (yield* listed).some(({ search }) => search === name) ? yield* folderOf(name) : undefined
      }),
    (name, about) =>
      Effect.map(
        Effect.orElseSucceed(listed, () => []),
        (all) => ({
          ...about,
          state: all.find(({ search }) => search === name)?.state ?? "stopped"
        })
      )
  )
  return {
    list: Effect.match(listed, {
      onFailure: ({ message }) => ({ runs: [], problems: [message] }),
      onSuccess: (all) => ({ runs: all.map(({ search, state }) => ({ name: search, state })), problems: [] })
    }),
    ...within
  } satisfies Dashboard.Source
})

export const dashboard = Command.make(
  "dashboard",
  {
    folder: Argument.String("folder").pipe(
      Argument.optional,
      Argument.withDescription("Where the runs' folders are, or one of them (default runs)")
    ),
    database: machines.database.pipe(
      Flag.withDescription(
        `Without a folder: the searches in this PostgreSQL database, whichever machine drives them (default: the environment's ${machines.variable}, else runs)`
      )
    ),
    port: flags
      .whole("port", 0, 65_535)
      .pipe(
        Flag.withDefault(8380),
        Flag.withDescription("The port of this machine to serve on (default 8380); 0 picks a free one")
      ),
    open: Flag.Boolean("open").pipe(Flag.withDefault(false), Flag.withDescription("Open it in the browser"))
  },
  Effect.fnUntraced(
    function* ({ database, folder: given, open, port }) {
      const fs = yield* FileSystem.FileSystem
      const folder = Option.getOrElse(given, () => "runs")
      const url = Option.isNone(given) ? Option.getOrUndefined(database) : undefined
      if (
        url === undefined &&
        !(yield* Effect.orElseSucceed(
          Effect.map(fs.stat(folder), ({ type }) => type === "Directory"),
          () => false
        ))
      )
        return yield* (Option.isNone(given) ? fault : usage)(
          `${folder} is not a folder that can be read. Give the one that holds the runs' folders.`
        )
      const source = yield* url === undefined ? sourceOf(folder) : sourceOnDatabase(url)
      const served = yield* Dashboard.serve(source, { port })
      yield* Console.log(
        `${served.url} shows the searches of ${url === undefined ? folder : "the database"}; Ctrl-C stops it`
      )
      if (open) yield* opening.browser(served.url)
      return yield* Effect.never
    },
    Effect.scoped,
    Effect.mapError(said)
  )
).pipe(
  Command.withDescription("Look at searches in the browser while they run: the views of a report, live"),
  Command.withExamples([
    { command: "uninet dashboard --open", description: "All searches in runs/" },
    { command: "uninet dashboard runs/demo --port 9000", description: "One, on another port" },
    {
      command: "uninet dashboard --database postgresql://uninet@db.lab/uninet",
      description: "Searches that other machines drive"
    }
  ])
)
