/**
 * The report's page, live: served on this machine and only to it. Each search is followed as its journal grows.
 *
 * @example
 * ```ts
 * import { Dashboard } from "@uninet/report"
 * import { Effect } from "effect"
 *
 * const source: Dashboard.Source = {
 *   list: Effect.succeed({ runs: [], problems: [] }),
 *   open: () => Effect.succeed(undefined),
 *   detail: () => Effect.succeed("There is none.")
 * }
 * const program = Effect.scoped(Effect.flatMap(Dashboard.serve(source, { port: 0 }), ({ url }) => Effect.log(url)))
 * ```
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type { Follow } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { createServer } from "node:http"
import * as Html from "./Html.ts"
import * as Importance from "./Importance.ts"
import type { Detail } from "./Report.ts"
import * as Run from "./Run.ts"
import * as Table from "./Table.ts"

/** A search in the list. */
export interface Listed {
  readonly name: string
  readonly state: Run.Info["state"]
}

/** A search that is being followed. */
export interface Opened {
  readonly following: Follow.Following
  /** What is said about it besides its journal, as of now, when this many trials have been started. */
  readonly about: (begun: number) => Effect.Effect<Run.About>
}

/** Where searches come from. Only what it lists is ever opened. */
export interface Source {
  /** All searches, and a sentence for each one that cannot be read. */
  readonly list: Effect.Effect<{ readonly runs: ReadonlyArray<Listed>; readonly problems: ReadonlyArray<string> }>
  /** A search by its name; `undefined` if there is none. Fails with a sentence if it cannot be read. */
  readonly open: (name: string) => Effect.Effect<Opened | undefined, { readonly message: string }>
  /** The structure of a trial's network, or why it cannot be shown. */
  readonly detail: (name: string, trial: number) => Effect.Effect<Detail | string>
}

/** Where the dashboard is served. */
export interface Options {
  /** 0 takes any free port. */
  readonly port: number
}

/** A running dashboard. */
export interface Served {
  readonly url: string
  /** The port in use. */
  readonly port: number
}

/** The port is not available. */
export class PortUnavailable extends Schema.TaggedError<PortUnavailable>()("PortUnavailable", {
  port: Schema.Int,
  problem: Schema.String
}) {
  override get message() {
    return `The dashboard cannot use port ${this.port}: ${this.problem}. Give another one with --port, or 0 for any free one.`
  }
}

/** Names that only this machine has for itself: with any other name, a foreign page could have sent the user's browser here. */
const isOurs = (host: string | undefined) => /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i.test(host ?? "")

/** Rows per message: as many as a browser processes at a time. */
const chunk = 400

/** Milliseconds between two looks at a journal; longer if looking takes long. */
const pause = 200

const text = (status: number, content: string) => HttpServerResponse.text(`${content}\n`, { status })

const nothing = text(404, "Not found.")

const encoder = new TextEncoder()

const message = (event: string, data: unknown) => encoder.encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)

/** How many trials were started. */
const begunIn = ({ rows }: Run.Run["log"]): number =>
  [...rows.values()].reduce((sum, { state }) => sum + Number(state !== "refused" && state !== "repeated"), 0)

/** A search as it was first read. */
const opened = ({ about, following: { first } }: Opened) => {
  const begun = first.entries.filter(({ entry }) => entry._tag === "Proposed").length
  return Effect.map(about(begun), (about) => Run.of(first, about))
}

/** A search as messages: its description, all its rows, and then changes. Ends when the listener disconnects. */
const follow = (search: Opened): Stream.Stream<Uint8Array> =>
  Stream.callback<Uint8Array>((queue) =>
    Effect.gen(function* () {
      const { about, following } = search
      let run = yield* opened(search)
      let said = ""
      let silent = 0
      const tell = Effect.fnUntraced(function* (trials: Iterable<number>) {
        const info = JSON.stringify(run.info)
        if (info !== said) yield* Queue.offer(queue, message("info", run.info))
        said = info
        const rows = [...new Set(trials)].flatMap((trial) => run.log.rows.get(trial) ?? [])
        for (let from = 0; from < rows.length; from += chunk)
          yield* Queue.offer(queue, message("rows", rows.slice(from, from + chunk)))
      })
      yield* tell(run.log.rows.keys())
      yield* Queue.offer(queue, message("ready", {}))
      for (;;) {
        const began = performance.now()
        const step = yield* Effect.result(following.next)
        // A journal that is missing for a moment, or is being copied, is tried again.
        if (step._tag === "Success") {
          const { anew, entries, identity, isCut, trainings } = step.success
          if (anew) {
            run = Run.of(step.success, yield* about(begunIn(run.log)))
            yield* Queue.offer(queue, message("anew", {}))
            yield* tell(run.log.rows.keys())
          } else if (entries.length > 0 || silent % 2 === 1) {
            // The search's state is also checked now and then, because a search ends without an entry.
            for (const stored of entries) run.log.add(stored)
            for (const trained of trainings) run.log.train(trained)
            const now = yield* about(begunIn(run.log))
            run = { log: run.log, info: Run.informed({ identity, isCut }, run.log, now) }
            yield* tell(entries.map(({ entry }) => entry.trial))
          }
          silent = entries.length > 0 ? 0 : silent + 1
        }
        // An occasional line shows that the server is still there, and detects a client that is gone.
        if (silent > 0 && silent % 50 === 0) yield* Queue.offer(queue, encoder.encode(": \n\n"))
        yield* Effect.sleep(Math.max(pause, 3 * (performance.now() - began)))
      }
    })
  )

/** How many trials importances are computed from while a search runs, so that the server keeps responding. */
const most = 600

/** The importances of a search's choices. The server answers other requests in between. */
const importancesOf = Effect.fnUntraced(function* (search: Opened) {
  const run = yield* opened(search)
  const table = Run.table(run)
  const found: Array<Importance.Importance> = []
  for (const name of ["reward", ...run.info.measures.map(({ name }) => name)].slice(0, 6)) {
    if (Table.numbers(name)(table) === undefined) continue
    yield* Effect.sleep(1)
    found.push(Importance.of(name, { most })(table))
  }
  return found
})

const json = (value: unknown) => HttpServerResponse.text(JSON.stringify(value), { contentType: "application/json" })

const headers = { "x-content-type-options": "nosniff", "cache-control": "no-store" }

/** Answers a request. */
const answer = (source: Source, page: string) =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    if (!isOurs(request.headers["host"]))
      return text(403, "Only this machine is served: open http://localhost with the port.")
    if (request.method !== "GET") return text(405, "This server is read-only. Use GET.")
    const [path = ""] = request.url.split("?")
    if (path === "/") return HttpServerResponse.html(page)
    if (path === "/api/runs") return json(yield* source.list)
    const [, encoded = "", what = "", trial = ""] =
      /^\/api\/runs\/([^/]+)\/(events|importance|trials\/(\d{1,9}))$/.exec(path) ?? []
    const name = yield* Effect.try(() => decodeURIComponent(encoded)).pipe(Effect.orElseSucceed(() => ""))
    if (what === "") return nothing
    if (trial !== "") return json(yield* source.detail(name, Number(trial)))
    const found = yield* Effect.result(source.open(name))
    if (found._tag === "Failure") return text(500, found.failure.message)
    const search = found.success
    if (search === undefined) return nothing
    return what === "events"
      ? HttpServerResponse.stream(follow(search), { contentType: "text/event-stream" })
      : json(yield* importancesOf(search))
  }).pipe(Effect.map(HttpServerResponse.setHeaders(headers)))

/**
 * Serves the searches of a source on 127.0.0.1 while the scope is open. No request can stop it or change anything.
 *
 * Fails with `PortUnavailable`, and with `PageUnavailable` if the page's scripts cannot be bundled.
 */
export const serve = (
  source: Source,
  { port }: Options
): Effect.Effect<Served, PortUnavailable | Html.PageUnavailable, Scope.Scope> =>
  Effect.gen(function* () {
    const page = yield* Html.live
    const node = createServer()
    const server = yield* Effect.mapError(
      // Streams with a listener never end by themselves.
      NodeHttpServer.make(() => node, { port, host: "127.0.0.1", disablePreemptiveShutdown: true }),
      ({ cause }) =>
        new PortUnavailable({
          port,
          problem:
            cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE"
              ? "another program is using it"
              : cause instanceof Error
                ? cause.message
                : String(cause)
        })
    )
    yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
    yield* server.serve(answer(source, page))
    const address = node.address()
    const own = typeof address === "object" && address !== null ? address.port : port
    return { url: `http://localhost:${own}/`, port: own }
  })
