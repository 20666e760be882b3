/** The bytes and tables that TensorBoard, Optuna and MLflow read; `tools/trial-exports.ts` checks that they can actually read them. */
import { assert, describe, it } from "@effect/vitest"
import { MlflowStore, OptunaStorage, TensorBoard, Trials } from "@uninet/export"
import type { Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"

const identity: Journal.Identity = { space: "s", seed: "7", settings: { strategy: "gp" } }
const proposed = (trial: number, point: Journal.EntryOf<"Proposed">["point"]): Journal.Stored => ({
  at: 1_700_000_000_000 + trial,
  entry: { _tag: "Proposed", trial, hash: `h${trial}`, point, line: 'a, "b"', costs: { macs: 5 }, seed: `7/${trial}` }
})
const entries: ReadonlyArray<Journal.Stored> = [
  proposed(0, { stages: [{ operator: "conv", width: 8 }], rate: 0.5 }),
  {
    at: 1_700_000_009_000,
    entry: { _tag: "Finished", trial: 0, evaluation: { measures: { accuracy: 0.75 }, epochs: 2 }, reward: 0.5 }
  },
  { at: 1_700_000_000_001, entry: { _tag: "Refused", trial: 1, hash: "h1", point: { rate: 9 }, why: "too large" } },
  proposed(2, { stages: [{ operator: null, width: 16 }], rate: 0.25 }),
  { at: 1_700_000_009_500, entry: { _tag: "Failed", trial: 2, reason: "Diverged", detail: "line\nbreak" } }
]
const trainings: ReadonlyArray<Journal.Trained> = [
  {
    trial: 0,
    step: 1,
    place: { host: "rack", process: 3, engine: "e 1" },
    begun: 1_700_000_001_000,
    ended: 1_700_000_008_000,
    curve: { epochs: [1, 2], loss: [2, 1], measures: { accuracy: [null, 0.75] } }
  }
]
const table = Trials.of("runs/demo", identity, entries, trainings)

const objectivesOf = (given: ReadonlyArray<{ name: string; direction: string }>) =>
  Trials.of("r", { ...identity, settings: { objectives: given.map((each) => ({ ...each })) } }, entries).objectives

describe("a table of trials", () => {
  it("has choices by their paths, results, and when and where it was trained", () => {
    const [first, second, third] = table.rows
    assert.deepStrictEqual(first?.parameters, { "stages.0.operator": "conv", "stages.0.width": 8, rate: 0.5 })
    assert.deepStrictEqual(
      [first.state, first.reward, first.epochs, first.begun],
      ["finished", 0.5, 2, 1_700_000_001_000]
    )
    assert.deepStrictEqual([second?.state, second?.detail], ["refused", "too large"])
    assert.deepStrictEqual([third?.state, third?.reason], ["failed", "Diverged"])
    assert.deepStrictEqual(table.objectives, [{ name: "reward", direction: "higher" }])
  })

  it("of a search for a front has its objectives, where all are known by name", () => {
    const objectives = [
      { name: "accuracy", direction: "higher" },
      { name: "macs", direction: "lower" }
    ] as const
    assert.deepStrictEqual(objectivesOf(objectives), objectives)
    assert.deepStrictEqual(objectivesOf([...objectives, { name: "own", direction: "higher" }]), table.objectives)
  })

  it("as comma-separated values quotes what has to be, and leaves empty what is not there", () => {
    const [head = "", first = "", second = ""] = Trials.csv(table).split("\r\n")
    assert.include(head, "trial,state,reward,measure.accuracy,cost.macs,epochs,begun,ended,host,engine,choice.")
    assert.match(first, /^0,finished,0\.5,0\.75,5,2,2023-11-14T22:13:21\.000Z,.*,rack,e 1,conv,8,0\.5,h0,"a, ""b""",,$/)
    assert.match(second, /^1,refused,,,,,/)
    assert.include(Trials.csv(table), '"line\nbreak"')
  })

  it("as lines of JSON has everything", () => {
    const lines = Trials.jsonl(table).trim().split("\n")
    assert.deepStrictEqual(
      lines.map((line): unknown => JSON.parse(line)),
      table.rows.map((row) => JSON.parse(JSON.stringify(row)))
    )
  })
})

describe("event files", () => {
  it("have the checksums of CRC-32C", () => {
    assert.strictEqual(TensorBoard.crc32c(new TextEncoder().encode("123456789")), 0xe3069283)
  })

  it("are records that fill them, one file for the search and one a trial", () => {
    const files = TensorBoard.files(table)
    assert.deepStrictEqual(
      [...files.keys()],
      [
        "events.out.tfevents.1700000001.uninet",
        "trial-0/events.out.tfevents.1700000001.uninet",
        "trial-2/events.out.tfevents.1700000000.uninet"
      ]
    )
    const counts = [...files.values()].map((bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      let records = 0
      for (let at = 0; at < bytes.length; records++) at += 16 + Number(view.getBigUint64(at, true))
      return records
    })
    // Version, start, two epochs, results, end.
    assert.deepStrictEqual(counts, [2, 6, 4])
    assert.include(
      Buffer.from(files.get("trial-0/events.out.tfevents.1700000001.uninet") ?? []).toString("latin1"),
      "train/loss"
    )
  })
})

describe("a storage of Optuna", () => {
  it.live("has trials with values, choices by distribution, and curves; what was refused is none", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-optuna-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const path = join(folder, "optuna.db")
      yield* OptunaStorage.write(path)(table)
      const db = new DatabaseSync(path, { readOnly: true })
      const all = (sql: string) =>
        db
          .prepare(sql)
          .all()
          .map((row) => Object.values(row))
      assert.deepStrictEqual(all("select schema_version from version_info"), [[12]])
      assert.deepStrictEqual(all("select number, state from trials"), [
        [0, "COMPLETE"],
        [1, "FAIL"]
      ])
      assert.deepStrictEqual(all("select trial_id, objective, value from trial_values"), [[1, 0, 0.5]])
      assert.deepStrictEqual(all("select step, intermediate_value from trial_intermediate_values"), [
        [1, 2],
        [2, 1]
      ])
      assert.deepStrictEqual(
        all("select param_value, distribution_json from trial_params where param_name = 'stages.0.operator'"),
        [
          [0, '{"name":"CategoricalDistribution","attributes":{"choices":["conv",null]}}'],
          [1, '{"name":"CategoricalDistribution","attributes":{"choices":["conv",null]}}']
        ]
      )
      assert.deepStrictEqual(all("select distribution_json from trial_params where param_name = 'rate' limit 1"), [
        ['{"name":"FloatDistribution","attributes":{"log":false,"step":null,"low":0.25,"high":0.5}}']
      ])
      db.close()
      const again = yield* Effect.flip(OptunaStorage.write(path)(table))
      assert.include(again.message, "optuna.db cannot be written")
    })
  )
})

describe("a file store of MLflow", () => {
  it("has a run a trial, with parameters, metrics by step, and a status; the same table gives the same files", () => {
    const files = MlflowStore.files()(table)
    assert.deepStrictEqual(MlflowStore.files()(table), files)
    const runs = [...files].filter(([path]) => /^\d{18}\/\w{32}\/meta\.yaml$/.test(path))
    assert.deepStrictEqual(
      runs.map(([, text]) => /status: (\d)/.exec(text)?.[1]),
      ["3", "4"]
    )
    const [first = ""] = runs.map(([path]) => path.replace("meta.yaml", ""))
    assert.strictEqual(files.get(`${first}params/stages.0.width`), "8")
    assert.match(files.get(`${first}metrics/train.loss`) ?? "", /^\d+ 2 1\n\d+ 1 2\n$/)
    assert.match(files.get(`${first}metrics/accuracy`) ?? "", /0\.75 3\n$/)
    assert.strictEqual(files.get(`${first}tags/mlflow.runName`), "trial-0")
  })
})
