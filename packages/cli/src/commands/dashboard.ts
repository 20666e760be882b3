/** `uninet dashboard`: the searches of a folder as a page that follows them. */
import { Dashboard, type Report } from "@uninet/report"
import { Journal } from "@uninet/search"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { Argument, Command, Flag } from "effect/cli"
import { realpathSync } from "node:fs"
import { fault, said, usage } from "../internal/CliFault.ts"
import * as flags from "../internal/flags.ts"
import * as opening from "../internal/opening.ts"
import * as reported from "../internal/reported.ts"
import * as runFolder from "../internal/runFolder.ts"

/** Where a path leads, links followed; `undefined` where that is nowhere. */
const real = (path: string): string | undefined => {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

/** The runs of a folder by name: those that lie in it, and not elsewhere by a link; or the folder itself, where it is one. */
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

/** The searches of a folder, for the dashboard. */
const sourceOf = Effect.fnUntraced(function* (folder: string) {
  const services = yield* Effect.context<runFolder.Services>()
  const path = yield* Path.Path
  const runs = Effect.provideContext(runsOf(folder), services)
  /** What it takes to build networks of a run, once. */
  const detailings = new Map<string, Effect.Effect<reported.Detailing, { readonly message: string }>>()
  const detailing = Effect.fnUntraced(function* (run: string) {
    const known = detailings.get(run)
    if (known !== undefined) return yield* known
    const made = yield* Effect.cached(Effect.provideContext(reported.detailing(run), services))
    detailings.set(run, made)
    return yield* made
  })
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
    open: Effect.fnUntraced(function* (name: string) {
      const run = (yield* runs).get(name)
      if (run === undefined) return undefined
      const following = yield* Effect.provideContext(reported.follow(run), services)
      return {
        following,
        about: (begun: number) =>
          Effect.map(Effect.provideContext(reported.about(run, following.first, begun), services), (about) => ({
            ...about,
            name
          }))
      }
    }),
    detail: (name, trial) =>
      Effect.gen(function* (): Effect.fn.Return<Report.Detail | string, { readonly message: string }> {
        const run = (yield* runs).get(name)
        if (run === undefined) return "There is no such search."
        const { entries } = yield* Journal.read(path.join(run, runFolder.files.journal))
        const proposed = entries.find(({ entry }) => entry.trial === trial && "point" in entry)?.entry
        if (proposed === undefined || !("point" in proposed)) return `There is no trial ${trial}.`
        return yield* (yield* detailing(run))(trial, proposed.point)
      }).pipe(Effect.catch(({ message }) => Effect.succeed(message)))
  } satisfies Dashboard.Source
})

export const dashboard = Command.make(
  "dashboard",
  {
    folder: Argument.String("folder").pipe(
      Argument.withDefault("runs"),
      Argument.withDescription("Where the runs' folders are, or one of them (default runs)")
    ),
    port: flags
      .whole("port", 0, 65_535)
      .pipe(
        Flag.withDefault(8380),
        Flag.withDescription("The port of this machine to serve on (default 8380); 0 takes any that is free")
      ),
    open: Flag.Boolean("open").pipe(Flag.withDefault(false), Flag.withDescription("Open it in the browser"))
  },
  Effect.fnUntraced(
    function* ({ folder, open, port }) {
      const fs = yield* FileSystem.FileSystem
      if (
        !(yield* Effect.orElseSucceed(
          Effect.map(fs.stat(folder), ({ type }) => type === "Directory"),
          () => false
        ))
      )
        return yield* (folder === "runs" ? fault : usage)(
          `${folder} is not a folder that can be read. Give the one that holds the runs' folders.`
        )
      const { url } = yield* Dashboard.serve(yield* sourceOf(folder), { port })
      yield* Console.log(`${url} has the searches of ${folder}; Ctrl-C ends`)
      if (open) yield* opening.browser(url)
      return yield* Effect.never
    },
    Effect.scoped,
    Effect.mapError(said)
  )
).pipe(
  Command.withDescription("Look at searches in the browser while they run: the views of a report, live"),
  Command.withExamples([
    { command: "uninet dashboard --open", description: "All searches in runs/" },
    { command: "uninet dashboard runs/demo --port 9000", description: "One, on another port" }
  ])
)
