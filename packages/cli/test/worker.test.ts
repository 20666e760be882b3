import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import * as Postgres from "../../cluster/test/support/postgres.ts"
import { folder, tinyDataset, uninet } from "./support/cli.ts"

if (Postgres.missing !== undefined) console.warn(Postgres.missing)

let server: Postgres.Server
beforeAll(async () => {
  if (Postgres.missing === undefined) server = await Postgres.serve()
})
afterAll(() => server?.remove())

describe.skipIf(Postgres.missing !== undefined)("uninet search on a database", () => {
  it.live(
    "is trained by uninet worker, stopped and resumed, and never says the password",
    () =>
      Effect.gen(function* () {
        const here = yield* folder
        tinyDataset(here)
        const database = ["--database", server.url("cli")]
        const small = [
          "--trials",
          "2",
          "--batch",
          "32",
          "--strategy",
          "evolution",
          "--finalists",
          "1",
          "--final-epochs",
          "1"
        ]
        const stopped = yield* uninet(["search", ...database, ...small, "--dataset", "tiny", "--out", "run"], {
          cwd: here,
          until: /No worker is there: the search waits\. Start some/
        })
        assert.strictEqual(stopped.code, 130)
        assert.include(stopped.stderr, "--resume run")
        let worker = 0
        const working = yield* Effect.forkChild(
          uninet(["worker", ...database, "--workers", "1"], { cwd: here, onStart: (pid) => (worker = pid) })
        )
        const ran = yield* uninet(["search", ...database, "--resume", "run", "--json"], { cwd: here })
        assert.strictEqual(ran.code, 0, ran.stderr)
        assert.deepStrictEqual(JSON.parse(ran.stdout).trials, { scored: 2, failed: 0, refused: 0 })
        assert.match(ran.stderr, /1 worker \(.*\), 1 trial at a time/)
        assert.deepStrictEqual(readdirSync(join(here, "run")).sort(), [
          "best.json",
          "best.onnx",
          "best.safetensors",
          "journal.db"
        ])
        process.kill(worker, "SIGINT")
        const worked = yield* Fiber.join(working)
        assert.strictEqual(worked.code, 130)
        assert.match(worked.stderr, /^trial 1 of run-.*: accuracy 0\.\d+, .* s$/m)
        for (const { stderr, stdout } of [stopped, ran, worked])
          for (const secret of [Postgres.password, encodeURIComponent(Postgres.password)])
            assert.notInclude(stdout + stderr, secret)
      }),
    120_000
  )

  it.live("says in a sentence what is wrong with its flags", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      for (const [args, code, says] of [
        [
          ["worker"],
          2,
          /^uninet: --database is missing\. Give the URL of a PostgreSQL database, .*UNINET_DATABASE\.\n$/
        ],
        [
          ["worker", "--database", "mysql://u:hush@h/d"],
          1,
          /^uninet: --database: .* its URL is none of PostgreSQL's\. .*\n$/
        ],
        [
          ["dashboard", "--database", "mysql://u:hush@h/d"],
          1,
          /^uninet: --database: .* its URL is none of PostgreSQL's\. .*\n$/
        ],
        [
          ["search", "--database", "postgresql://h/d", "--workers", "2"],
          2,
          /^uninet: --workers cannot be given with --database/
        ]
      ] as const) {
        const ran = yield* uninet(args, { cwd })
        assert.strictEqual(ran.code, code, ran.stderr)
        assert.match(ran.stderr, says)
        assert.notInclude(ran.stderr + ran.stdout, "hush")
        assert.deepStrictEqual(readdirSync(cwd), [])
      }
    })
  )
})
