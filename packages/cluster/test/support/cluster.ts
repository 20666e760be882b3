/** Searches, drivers and workers on a PostgreSQL server for the tests. */
import { afterAll, beforeAll, inject } from "@effect/vitest"
import { ClusterEvaluator, ClusterWorker, Database } from "@uninet/cluster"
import { ModelSpace } from "@uninet/model-space"
import { Evaluator, Journal, Search, type Trial } from "@uninet/search"
import { Space } from "@uninet/search-space"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { type ChildProcess, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Timing from "../../src/internal/timing.js"
import { evaluator, Options } from "./evaluator.ts"
import * as Postgres from "./postgres.ts"
import { setting, uninet } from "./search.ts"

if (Postgres.missing !== undefined) console.warn(Postgres.missing)

const using = (server: () => Postgres.Access) => {
  let databases = 0
  /** Test files share a server. */
  const own = randomUUID().slice(0, 8)
  /** The result of a query; nothing before the database has its tables. */
  const asked = (url: string, text: string) =>
    Effect.promise(() =>
      server()
        .ask(new URL(url).pathname.slice(1), text)
        .catch((cause) => {
          if (/relation "\w+" does not exist/.test(String(cause))) return ""
          throw cause
        })
    )
  return {
    /** The URL of a new database. */
    fresh: () => server().url(`test_${own}_${++databases}`),
    asked,
    /** Waits until a query gives this result. */
    untilAsked: (url: string, text: string, wanted: string) =>
      asked(url, text).pipe(
        Effect.repeat({ until: (given) => given === wanted, schedule: Schedule.spaced("100 millis") }),
        Effect.asVoid
      )
  }
}

/** The server that all files share, which nobody stops. */
export const shared = () => {
  const port = inject("postgres")
  const server = port === undefined ? undefined : Postgres.at(port)
  const running = (): Postgres.Access => {
    if (server === undefined) throw new Error("tests that need the server are skipped where there is none")
    return server
  }
  return { server: running, ...using(running) }
}

/** A server for the tests in a file that stop it. */
export const own = () => {
  let server: Postgres.Server | undefined
  beforeAll(async () => {
    if (Postgres.missing === undefined) server = await Postgres.serve()
  })
  afterAll(() => server?.remove())
  const running = (): Postgres.Server => {
    if (server === undefined) throw new Error("the server is there from the first test on")
    return server
  }
  return { server: running, ...using(running) }
}

/** Everything is checked more often, so that nothing waits for it; timeouts are as long as usual, so that a busy machine changes nothing. */
const hurried: Timing.Timing = {
  poll: Duration.millis(50),
  interval: Duration.millis(150),
  attempt: Duration.seconds(5),
  silence: Duration.seconds(8)
}

/** When to give up. */
export interface Pace extends Partial<Pick<Timing.Timing, "attempt" | "silence">> {
  readonly patience?: Duration.Input
}

export const database = (url: string, { patience = "30 seconds", ...timing }: Pace = {}) =>
  Layer.fresh(Database.layer({ url: Redacted.make(url), patience })).pipe(
    Layer.provideMerge(Layer.succeed(Timing.Timing, { ...hurried, ...timing }))
  )

export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-cluster-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

export const trials = 12
const search = Search.run(uninet, { trials, seed: "test" })

const entriesOf = Journal.Journal.use(({ entries }) =>
  Effect.map(entries, (stored) => stored.map(({ entry }) => entry))
)

/** The journal that the search produces in this process, without a database. */
export const local: Effect.Effect<ReadonlyArray<Journal.Entry>, unknown> = Effect.runSync(
  Effect.cached(
    Effect.andThen(search, entriesOf).pipe(
      Effect.provide([setting, evaluator({ milliseconds: 0, log: null }, 4), Journal.memory])
    )
  )
)

export interface Setup extends Pace {
  readonly url: string
  readonly search?: string
  readonly milliseconds?: number
  readonly log?: string
  readonly more?: Partial<ClusterEvaluator.Options>
}

export const cluster = ({ log, milliseconds = 20, more = {}, search = "demo", url, ...pace }: Setup) =>
  Layer.fresh(
    ClusterEvaluator.layer({ search, module: "formula", options: { milliseconds, log: log ?? null }, ...more })
  ).pipe(Layer.provide(database(url, pace)))

/** The journal that the search produces on a database. */
export const onCluster = (
  setup: Setup,
  journal: Layer.Layer<Journal.Journal, unknown> = Journal.memory
): Effect.Effect<ReadonlyArray<Journal.Entry>, unknown> =>
  Effect.andThen(search, entriesOf).pipe(Effect.provide([setting, cluster(setup), journal], { local: true }))

export const makes: ClusterWorker.Options["evaluator"] = ({ module, options }) =>
  module === "formula"
    ? evaluator(Schema.decodeUnknownSync(Options)(options))
    : Layer.effect(Evaluator.Evaluator, Effect.fail(new Error(`there is no module ${module}.`)))

/** A worker in this process. */
export const worker = (url: string, options: Partial<ClusterWorker.Options> = {}, pace?: Pace) =>
  ClusterWorker.run({ slots: 2, evaluator: makes, ...options }).pipe(
    Effect.scoped,
    Effect.provide(database(url, pace), { local: true })
  )

/** A worker or a driver in a separate process, which ends with the scope, and its output so far. */
export const spawned = (script: string, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = fileURLToPath(new URL(`./${script}.ts`, import.meta.url))
      const child = spawn(process.execPath, [path, ...args], { stdio: ["ignore", "pipe", "pipe"] })
      let said = ""
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding("utf8").on("data", (text: string) => {
          said += text
        })
      return { child, said: () => said }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

export const until = (condition: () => boolean) =>
  Effect.sync(condition).pipe(
    Effect.repeat({ until: (met) => met, schedule: Schedule.spaced("20 millis") }),
    Effect.asVoid
  )

export const ended = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) resume(Effect.void)
    else child.on("close", () => resume(Effect.void))
  })

/** How often each trial was started. */
export const counts = (log: string): ReadonlyMap<number, number> => {
  const found = new Map<number, number>()
  for (const line of existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []) {
    const trial = Number(line.split(" ")[1])
    found.set(trial, (found.get(trial) ?? 0) + 1)
  }
  return found
}

const point = ModelSpace.write(Space.seedPoint(uninet.space))(uninet)
export const trial = (index: number, more: Partial<Trial.Trial> = {}): Trial.Trial => ({
  index,
  point,
  seed: `trial ${index}`,
  ...more
})
export const evaluate = (given: Trial.Trial, report: Evaluator.Report = () => Effect.void) =>
  Evaluator.Evaluator.use((evaluator) => evaluator.evaluate(given, report))

/** The message of a failure. */
export const failed = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), ({ message }) => message)

/** The message for a database that cannot be used. */
export const open = (url: string, pace?: Pace) =>
  failed(Effect.provide(Effect.void, database(url, pace), { local: true }))
