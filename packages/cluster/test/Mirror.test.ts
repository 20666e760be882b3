import { assert, describe, it } from "@effect/vitest"
import { ClusterEvaluator, Mirror } from "@uninet/cluster"
import { Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { join } from "node:path"
import { database, folder, shared } from "./support/cluster.ts"
import * as Postgres from "./support/postgres.ts"

const { fresh } = shared()

const identity: Journal.Identity = { space: "s", seed: "0", settings: { strategy: "random" } }
const refused = (trial: number): Journal.Entry => ({
  _tag: "Refused",
  trial,
  hash: `${trial}`,
  point: { w: 1 },
  why: "it is large"
})

const entriesOf = (path: string) => Effect.map(Journal.read(path), ({ entries }) => entries)

describe.skipIf(Postgres.missing !== undefined).concurrent("a journal on a database", () => {
  it.live("is looked at from another machine while its search writes it, and when that has ended", () =>
    Effect.gen(function* () {
      const url = fresh()
      const at = yield* folder
      const [path, copy] = [join(at, "journal.db"), join(at, "copy", "journal.db")]
      const grown = (count: number) =>
        Effect.map(entriesOf(copy), ({ length }) => length).pipe(
          Effect.repeat({ until: (length) => length === count, schedule: Schedule.spaced("20 millis") })
        )
      yield* Effect.gen(function* () {
        const journal = yield* Journal.Journal
        yield* journal.open(identity)
        yield* journal.append(refused(0))
        yield* Effect.gen(function* () {
          yield* Mirror.publish({ search: "demo", journal: path })
          yield* Mirror.list.pipe(
            Effect.repeat({ until: ({ length }) => length > 0, schedule: Schedule.spaced("20 millis") })
          )
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* Mirror.fetch("demo", copy)
              yield* grown(1)
              yield* Effect.forEach([1, 2, 3], (trial) => journal.append(refused(trial)), { concurrency: "unbounded" })
              yield* grown(4)
            })
          )
          // What is added at the very end is copied, too.
          yield* journal.append(refused(4))
        }).pipe(Effect.scoped)
        yield* ClusterEvaluator.forget("demo")
        assert.deepStrictEqual(yield* Mirror.list, [{ search: "demo", state: "finished" }])
        yield* Effect.scoped(Mirror.fetch("demo", copy))
        assert.deepStrictEqual(yield* entriesOf(copy), yield* entriesOf(path))
        assert.strictEqual((yield* entriesOf(copy)).length, 5)
      }).pipe(Effect.provide([Journal.sqlite(path, { durability: "process" }), database(url)]))
    }).pipe(Effect.scoped)
  )
})
