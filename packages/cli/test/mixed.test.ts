/** A run knows the data it began with, and everything else that decides its numbers. */
import { assert, describe, it } from "@effect/vitest"
import { Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { folder, here, tinyDataset } from "./support/cli.ts"

describe("a search whose data were changed", () => {
  it.live(
    "is not gone on with and not replayed without a word, and is a mixture where that is allowed",
    () =>
      Effect.gen(function* () {
        const below = yield* folder
        const data = tinyDataset(below)
        const run = join(below, "run")
        const read = Journal.read(join(run, "journal.db"))
        const small = ["--strategy", "random", "--batch", "32", "--finalists", "1", "--final-epochs", "1"]
        const begun = ["search", ...small, "--dataset", data, "--trials", "1", "--workers", "1", "--out", run]
        assert.strictEqual((yield* here(begun)).code, 0)
        const before = yield* read
        const [surroundings] = before.identity.surroundings ?? []
        assert.match(JSON.stringify(surroundings), /"engine":"onnxruntime \S+ cpu.*","host":"\w+ \w+"/)

        // Labels are swapped; their number, names and order in the files stay the same.
        const labels = join(data, "train-labels-idx1-ubyte")
        writeFileSync(
          labels,
          readFileSync(labels).map((byte, i) => (i < 8 ? byte : 1 - byte))
        )
        const said = new RegExp(
          `the data's content was ${surroundings?.data} and is now [0-9a-f]{16}\\. Restore what it was`
        )
        const on = ["search", "--resume", run, "--trials", "2", "--workers", "1"]
        const refused = yield* here(on)
        assert.strictEqual(refused.code, 1)
        assert.match(refused.stderr, said)
        assert.include(refused.stderr, "--allow-mixed")
        const replayed = yield* here(["replay", run, "0"])
        assert.strictEqual(replayed.code, 1)
        assert.match(replayed.stderr, /the data's content is [0-9a-f]{16} here, but the search's is /)
        assert.deepStrictEqual(yield* read, before)
        assert.isFalse(JSON.parse((yield* here(["status", run, "--json"])).stdout).isMixed)

        // As --allow-mixed does before anything is trained.
        const path = join(run, "journal.db")
        yield* Effect.provide(
          Journal.Journal.use((journal) =>
            journal.open({
              ...before.identity,
              surroundings: [{ ...(surroundings ?? { data: "", software: "", engine: "", host: "" }), data: "other" }]
            })
          ),
          Journal.sqlite(path, { existing: "resume", mixed: "allow" })
        )
        assert.include((yield* here(["status", run, "--once"])).stdout, "a mixture: its trials ran with different data")
      }),
    120_000
  )
})
