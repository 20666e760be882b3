import { assert, describe, it } from "@effect/vitest"
import { Dashboard, Row } from "@uninet/report"
import { Follow, Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import { createServer } from "node:net"
import { journal } from "./support/journals.ts"
import { asked, listening } from "./support/asking.ts"

const read = journal({ trials: 30 })

/** A search that grows one entry at a time. */
const growing = () => {
  const waiting: Array<Journal.Stored> = []
  const [first, rest] = [read.entries.slice(0, 20), read.entries.slice(20)]
  let state: Dashboard.Listed["state"] = "running"
  const opened: Dashboard.Opened = {
    about: () => Effect.sync(() => ({ name: "a b", state, replay: "uninet replay" })),
    following: {
      first: { ...read, entries: first, trainings: [], damaged: 0 },
      next: Effect.sync((): Follow.Step => ({
        ...read,
        anew: false,
        entries: waiting.splice(0),
        trainings: [],
        damaged: 0
      }))
    }
  }
  return {
    opened,
    grow: () => void waiting.push(...rest),
    end: () => {
      state = "finished"
    }
  }
}

const source = (opened: Dashboard.Opened): Dashboard.Source => ({
  list: Effect.succeed({ runs: [{ name: "a b", state: "running" }], problems: ["One cannot be read."] }),
  open: (name) =>
    name === "damaged" ? Effect.fail(new Error("It is damaged.")) : Effect.succeed(name === "a b" ? opened : undefined),
  detail: (name, trial) =>
    Effect.succeed(name === "a b" ? { trial, picture: "", parts: [] } : "There is no such search.")
})

describe("a dashboard's server", () => {
  it.live("answers this machine what its source has, and nothing else", () =>
    Effect.gen(function* () {
      const { port } = yield* Dashboard.serve(source(growing().opened), { port: 0 })
      const get = (path: string, more: Parameters<typeof asked>[2] = {}) => asked(port, path, more)
      assert.match((yield* get("/")).body, /data-live/)
      assert.deepStrictEqual(JSON.parse((yield* get("/api/runs")).body).problems, ["One cannot be read."])
      assert.strictEqual(JSON.parse((yield* get("/api/runs/a%20b/trials/7")).body).trial, 7)
      assert.match((yield* get("/api/runs/a%20b/importance")).body, /"measure":"reward"/)
      assert.deepStrictEqual(yield* get("/api/runs/damaged/events"), { status: 500, body: "It is damaged.\n" })
      for (const path of [
        "/api",
        "/api/runs/",
        "/api/runs/none/events",
        "/api/runs/%ff/events",
        "/api/runs/..%2f..%2fetc/events",
        "/api/runs/a%20b/trials/-1",
        "/api/runs/a%20b",
        "/../package.json",
        "/index.html"
      ])
        assert.strictEqual((yield* get(path)).status, 404, path)
      for (const method of ["POST", "PUT", "DELETE", "OPTIONS"])
        assert.strictEqual((yield* get("/api/runs", { method })).status, 405, method)
      // A foreign page whose name now resolves to this machine.
      for (const host of ["evil.example", `evil.example:${port}`, "localhost.evil.example", "127.0.0.1.evil.example"])
        assert.strictEqual((yield* get("/api/runs", { host })).status, 403, host)
      for (const host of [`127.0.0.1:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`])
        assert.strictEqual((yield* get("/api/runs", { host })).status, 200, host)
    }).pipe(Effect.scoped)
  )

  it.live("tells of every trial, those that were there and those that come, until the search ends", () =>
    Effect.gen(function* () {
      const { end, grow, opened } = growing()
      const { port } = yield* Dashboard.serve(source(opened), { port: 0 })
      const rows = new Map<number, Row.Row>()
      const states: Array<string> = []
      const stream = yield* listening(port, "/api/runs/a%20b/events", (event, data) => {
        if (event === "rows") for (const row of JSON.parse(data)) rows.set(row.trial, row)
        if (event === "info") states.push(JSON.parse(data).state)
        if (event === "ready") grow()
        if (rows.size === 30) end()
      })
      yield* stream.until(() => states.at(-1) === "finished")
      const log = Row.log(null)
      for (const stored of read.entries) log.add(stored)
      assert.deepStrictEqual(rows, new Map(log.rows))
    }).pipe(Effect.scoped)
  )

  it.live("says in a sentence that its port is in use, and gives it back with its scope", () =>
    Effect.gen(function* () {
      const taken = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const address = taken.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const serve = Effect.scoped(Dashboard.serve(source(growing().opened), { port }))
      assert.match(
        (yield* Effect.flip(serve)).message,
        /^The dashboard cannot use port \d+: another program is using it\. Give/
      )
      yield* Effect.callback<void>((resume) => void taken.close(() => resume(Effect.void)))
      // Even while somebody is listening.
      yield* Effect.scoped(
        Effect.gen(function* () {
          const served = yield* Dashboard.serve(source(growing().opened), { port })
          const stream = yield* listening(served.port, "/api/runs/a%20b/events", () => {})
          yield* stream.until(() => stream.events() > 0)
        })
      )
      yield* serve
    }).pipe(Effect.scoped)
  )
})
