import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Postgres from "../../cluster/test/support/postgres.ts"
import { folder, here, tinyDataset, uninet } from "./support/cli.ts"

if (Postgres.missing !== undefined) console.warn(Postgres.missing)

/** As it may appear in a command line. */
const withoutPassword = (url: string): string => {
  const bare = new URL(url)
  bare.password = ""
  return bare.href
}

let server: Postgres.Server
beforeAll(async () => {
  if (Postgres.missing === undefined) server = await Postgres.serve()
})
afterAll(() => server?.remove())

describe.skipIf(Postgres.missing !== undefined)("uninet search on a database", () => {
  it.live(
    "is trained by workers that come and go, stopped and resumed, and nobody ever says the password",
    () =>
      Effect.gen(function* () {
        const cwd = yield* folder
        tinyDataset(cwd)
        // The URL has no password; it is in a file, as is usual for secrets in containers.
        writeFileSync(join(cwd, "password"), `${Postgres.password}\n`)
        const env = { PGPASSWORD_FILE: join(cwd, "password") }
        const database = ["--database", withoutPassword(server.url("cli"))]
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
          cwd,
          env,
          until: /There is no worker: the search waits\. Start some/,
          signal: "SIGTERM"
        })
        assert.strictEqual(stopped.code, 130)
        assert.include(stopped.stderr, "--resume run")
        const searching = yield* Effect.forkChild(
          uninet(["search", ...database, "--resume", "run", "--json"], { cwd, env })
        )
        // One that is removed while it trains, as an orchestrator would do.
        const health = join(cwd, "health")
        const words: Array<string> = []
        const gone = yield* uninet(["worker", ...database, "--workers", "1", "--health", health], {
          cwd,
          env: { ...env, UNINET_LOG: "json" },
          until: /"Taken"/,
          signal: "SIGTERM",
          onText: () => words.push(readFileSync(health, "utf8"))
        })
        assert.strictEqual(gone.code, 130)
        assert.include(words, "ready\n")
        assert.isFalse(existsSync(health))
        // Its current trial belongs to nobody the moment it has ended.
        assert.strictEqual(server.sql("cli", "select count(claim) from uninet_trial where outcome is null"), "0")
        assert.deepStrictEqual(
          gone.stderr
            .trim()
            .split("\n")
            .map((line) => JSON.parse(line).event)
            .slice(0, 2),
          ["Ready", "Taken"]
        )
        let worker = 0
        const working = yield* Effect.forkChild(
          uninet(["worker", ...database, "--workers", "1"], { cwd, env, onStart: (pid) => (worker = pid) })
        )
        const ran = yield* Fiber.join(searching)
        assert.strictEqual(ran.code, 0, ran.stderr)
        assert.deepStrictEqual(JSON.parse(ran.stdout).trials, { scored: 2, failed: 0, refused: 0 })
        assert.match(ran.stderr, /1 worker \(.*\), 1 trial at a time/)
        assert.deepStrictEqual(readdirSync(join(cwd, "run")).sort(), [
          "best.json",
          "best.onnx",
          "best.safetensors",
          "journal.db"
        ])
        process.kill(worker, "SIGINT")
        const worked = yield* Fiber.join(working)
        assert.strictEqual(worked.code, 130)
        assert.match(worked.stderr, /^trial 1 of run-.*: accuracy 0\.\d+, .* s$/m)
        for (const { stderr, stdout } of [stopped, ran, gone, worked])
          for (const secret of [Postgres.password, encodeURIComponent(Postgres.password)])
            assert.notInclude(stdout + stderr, secret)
      }),
    300_000
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
          ["worker", "--database", "mysql://u@h/d"],
          1,
          /^uninet: --database: .* its URL is not a PostgreSQL URL\. .*\n$/
        ],
        [
          ["dashboard", "--database", "mysql://u@h/d"],
          1,
          /^uninet: --database: .* its URL is not a PostgreSQL URL\. .*\n$/
        ],
        [
          ["worker", "--database", "postgresql://u:hush@h/d"],
          2,
          /^uninet: --database has a password, .* Leave it out of the URL and give it in PGPASSWORD, or .*PGPASSWORD_FILE names\.\n$/
        ],
        [
          ["worker", "--database", "postgresql://h/d", "--health", "nowhere/health"],
          2,
          /^uninet: --health nowhere\/health cannot be written: ENOENT: .*\n$/
        ],
        [
          ["search", "--database", "postgresql://h/d", "--workers", "2"],
          2,
          /^uninet: --workers cannot be given with --database/
        ]
      ] as const) {
        const ran = yield* here(args, { cwd })
        assert.strictEqual(ran.code, code, ran.stderr)
        assert.match(ran.stderr, says)
        assert.notInclude(ran.stderr + ran.stdout, "hush")
        assert.deepStrictEqual(readdirSync(cwd), [])
      }
      const secret = yield* here(["worker", "--database", "postgresql://h/d"], {
        env: { PGPASSWORD_FILE: "/nowhere/password" }
      })
      assert.strictEqual(secret.code, 1)
      assert.match(secret.stderr, /its password, \/nowhere\/password, cannot be read .*as PGPASSWORD_FILE, or /)
    })
  )

  it.live("says so as JSON, one object a line, where the environment asks for that", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* here(["worker", "--database", "postgresql://u:hush@h/d"], {
        env: { UNINET_LOG: "json" }
      })
      assert.strictEqual(code, 2)
      const { event, message, time } = JSON.parse(stderr)
      assert.deepStrictEqual([event, stderr.endsWith("}\n")], ["Fault", true])
      assert.match(message, /^uninet: --database has a password/)
      assert.isFalse(Number.isNaN(Date.parse(time)))
      const flag = yield* here(["worker", "--helth", "x"], { env: { UNINET_LOG: "json" } })
      assert.strictEqual(JSON.parse(flag.stderr).event, "Fault")
      const wrong = yield* here(["worker"], { env: { UNINET_LOG: "yaml" } })
      assert.deepStrictEqual(
        [wrong.code, wrong.stderr],
        [2, 'uninet: The environment\'s UNINET_LOG is "yaml". Give json or text, or leave it out.\n']
      )
    })
  )
})
