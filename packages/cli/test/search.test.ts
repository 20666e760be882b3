import { assert, describe, it } from "@effect/vitest"
import { type Dataset, Datasets } from "@uninet/data"
import { Safetensors } from "@uninet/nn"
import { Model } from "@uninet/onnx"
import { Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as ort from "onnxruntime-node"
import { folder, here, tinyDataset, uninet } from "./support/cli.ts"

const entriesOf = (run: string) =>
  Effect.map(Journal.read(join(run, "journal.db")), ({ entries }) => entries.map(({ entry }) => entry))

const small = ["--trials", "4", "--batch", "32", "--strategy", "evolution", "--seed", "e2e", "--finalists", "2"]

/** The share of the test split that the ONNX file classifies correctly in plain ONNX Runtime, a few images at a time. */
const accuracyOf = (file: string, dataset: Dataset.ImageDataset, batch: number) =>
  Effect.gen(function* () {
    const session = yield* Effect.promise(() => ort.InferenceSession.create(file))
    assert.deepStrictEqual(session.inputNames, ["image"])
    assert.deepStrictEqual(session.outputNames, ["logits"])
    const { inputs, size, targets } = yield* dataset.test.all
    const { channels, height, width } = dataset.image
    const area = channels * height * width
    let correct = 0
    for (let from = 0; from < size; from += batch) {
      const count = Math.min(batch, size - from)
      const tensor = new ort.Tensor("float32", inputs.image.slice(from * area, (from + count) * area), [
        count,
        channels,
        height,
        width
      ])
      const { logits } = yield* Effect.promise(() => session.run({ image: tensor }))
      const rows = Array.from({ length: count }, (_, i) =>
        Array.from(logits.data.slice(i * dataset.classes.length, (i + 1) * dataset.classes.length), Number)
      )
      rows.forEach((row, i) => {
        if (row.indexOf(Math.max(...row)) === targets[from + i]) correct++
      })
    }
    return correct / size
  })

describe("uninet search", () => {
  it.live(
    "searches, leaves the best network as files that reproduce its test accuracy, and does so the same at any number of workers, stopped, killed and resumed",
    () =>
      Effect.gen(function* () {
        const below = yield* folder
        const data = tinyDataset(below)
        const whole = join(below, "whole")
        const ran = yield* here(["search", ...small, "--dataset", data, "--out", whole, "--workers", "2", "--json"])
        assert.strictEqual(ran.code, 0, ran.stderr)
        const result = JSON.parse(ran.stdout)
        assert.deepStrictEqual(result.trials, { scored: 4, failed: 0, refused: 0 })
        assert.deepStrictEqual(readdirSync(whole).sort(), ["best.json", "best.onnx", "best.safetensors", "journal.db"])
        assert.match(ran.stderr, /trial 3: .* MACs, reward .* 4 of 4/)

        const best = JSON.parse(readFileSync(join(whole, "best.json"), "utf8"))
        assert.deepStrictEqual(best, result.best)
        const dataset = yield* Datasets.make(data)
        for (const batch of [64, 7])
          assert.strictEqual(yield* accuracyOf(join(whole, "best.onnx"), dataset, batch), best.measures.test.accuracy)
        const metadata = Result.getOrThrow(Model.metadataOf(readFileSync(join(whole, "best.onnx"))))
        assert.include(metadata, { run: "whole", trial: String(best.trial), seed: "e2e" })
        const weights = Result.getOrThrow(Safetensors.decode(readFileSync(join(whole, "best.safetensors"))))
        assert.deepStrictEqual(weights.metadata, metadata)
        const parameters = [...weights.tensors].filter(([name]) => !/running_/.test(name))
        assert.strictEqual(
          parameters.reduce((sum, [, { shape }]) => sum + shape.reduce((n, length) => n * length, 1), 0),
          best.costs.parameters
        )

        const stopped = join(below, "stopped")
        const first = yield* uninet(["search", ...small, "--dataset", data, "--out", stopped, "--workers", "1"], {
          until: /1 of 4/
        })
        assert.strictEqual(first.code, 130)
        assert.include(first.stderr, `--resume ${stopped}`)
        const kept = yield* entriesOf(stopped)
        assert.isTrue(kept.some(({ _tag }) => _tag === "Finished"))
        assert.isFalse(existsSync(join(stopped, "best.json")))
        const killed = yield* uninet(["search", "--resume", stopped, "--workers", "1"], {
          until: /[23] of 4/,
          signal: "SIGKILL"
        })
        assert.isNull(killed.code)
        const second = yield* here(["search", "--resume", stopped, "--workers", "1"])
        assert.strictEqual(second.code, 0, second.stderr)
        assert.include(second.stderr, "already in the journal")
        assert.deepStrictEqual(yield* entriesOf(stopped), yield* entriesOf(whole))
      }),
    240_000
  )

  it.live("refuses a folder that holds another search, and leaves it as it is", () =>
    Effect.gen(function* () {
      const run = join(yield* folder, "run")
      mkdirSync(run)
      writeFileSync(join(run, "journal.db"), "anything")
      const { code, stderr } = yield* here(["search", "--out", run])
      assert.strictEqual(code, 2)
      assert.match(stderr, /--out .* already holds a search\. Continue it with --resume/)
      assert.strictEqual(readFileSync(join(run, "journal.db"), "utf8"), "anything")
      assert.deepStrictEqual(readdirSync(run), ["journal.db"])
    })
  )

  it.live("refuses to resume from a journal that cannot be read, and leaves it as it is", () =>
    Effect.gen(function* () {
      const run = yield* folder
      writeFileSync(join(run, "journal.db"), "SQLite format 3\0 and then nothing")
      const { code, stderr } = yield* here(["search", "--resume", run])
      assert.strictEqual(code, 1)
      assert.match(stderr, /^uninet: --resume .*journal\.db .*\. .*\.\n$/)
      assert.strictEqual(readFileSync(join(run, "journal.db"), "utf8"), "SQLite format 3\0 and then nothing")
    })
  )

  it.live.each([
    [["--strategy", "magic"], 2, /--strategy is "magic"\. Give one of random, /],
    [["--trials", "-3"], 2, /--trials is "-3"\. Give a whole number of 1 or more\./],
    [["--trials", "many"], 2, /--trials is "many"/],
    [["--epochs", "0"], 2, /--epochs is "0"/],
    [["--target-macs", "few"], 2, /--target-macs is "few"\. Give a number of multiply-accumulates/],
    [["--no-such-flag"], 2, /Unrecognized flag: --no-such-flag/],
    [["--resume", "a", "--out", "b"], 2, /--out cannot be given with --resume/],
    [["--dataset", "nothing"], 1, /--dataset: .*nothing.*Use one of mnist/],
    [["--target-macs", "1000"], 1, /--target-macs 1000 is less than any network of the space has: .* \d+ MACs/],
    [["--strategy", "grid"], 2, /--strategy: grid: .*Use random search/],
    [["--batch", "9000"], 1, /--batch 9000 is more than the 8000 training examples of mnist\./],
    [["--fidelity", "some"], 2, /--fidelity is "some"/],
    [["--min-epochs", "3"], 2, /--min-epochs 3 is more than the 1 of --epochs\. Give at most that\./],
    [
      ["--objectives", "macs"],
      2,
      /--objectives is "macs"\. Give two or more measures or costs, such as accuracy,macs\./
    ],
    [["--objectives", "accuracy,accuracy"], 2, /--objectives has accuracy twice\. Give every objective once\./],
    [
      ["--objectives", "accuracy,speed"],
      2,
      /--objectives: the space uninet has no speed\. Give one of macs, parameters, .*accuracy, /
    ],
    [["--within", "price<=3"], 2, /--within: the space uninet has no price\. Give one of macs, /],
    [["--within", "latency<=3"], 2, /latency is asked for, but no device is known\. Give --device-file/],
    [["--within", "macs<3"], 2, /--within has "macs<3"\. Give bounds on costs, such as parameters<=200K/],
    [["--within", "macs<=3K,macs<=2K"], 2, /--within bounds macs by <= twice\. Give the tighter one alone\./],
    [
      ["--within", "macs>=3K,macs<=2K"],
      2,
      /--within asks for macs of 3000 or more and 2000 or less\. Give bounds that a/
    ],
    [["--within", "latency ms<=-0.5"], 2, /--within: the space uninet has no latency ms\. Give one of macs, /],
    [["--within", "parameters<=10"], 1, /--within: .*parameters/],
    [["--space", "nowhere"], 2, /--space is "nowhere"\. Give uninet, .*or a module/],
    [["--space", "nowhere.ts"], 2, /--space is "nowhere\.ts", which does not exist\. Give the path of a module\./],
    [["--ahead", "0"], 2, /--ahead is "0"\. Give a whole number of 1 or more\./],
    [["--screen", "1"], 2, /--screen is "1"\. Give a share between 0 and 1, such as 0\.25\./],
    [
      ["--screen", "0.25", "--objectives", "accuracy,macs"],
      2,
      /--screen cannot be given with --objectives: its predic/
    ],
    [["--screen-by", "naswot"], 2, /--screen-by is for the predictor of --screen\. Give --screen 0\.25 as well\./],
    [["--screen", "0.5", "--screen-by", "naswot,foo"], 2, /--screen-by has "foo"\. Give some of parameters, macs/],
    [
      ["--resume", "a", "--screen", "0.5"],
      2,
      /--screen cannot be given with --resume, which takes it from the journal/
    ],
    [["--max-time", "soon"], 2, /--max-time is "soon"\. Give a time, such as 90s, 10min or 2h\./],
    [["--resume", "none"], 1, /--resume none: The journal .* does not exist/],
    [["--resume", "a", "--start-with", "b"], 2, /--start-with cannot be given with --resume/],
    [["--retry-failed"], 2, /--retry-failed is for a resumed search\. Give its folder with --resume/]
  ] as const)("says in a sentence what is wrong with %s, and makes nothing", ([args, code, says]) =>
    Effect.gen(function* () {
      const cwd = yield* folder
      const ran = yield* here(["search", ...args], { cwd })
      assert.strictEqual(ran.code, code, ran.stderr)
      assert.match(ran.stderr, says)
      assert.strictEqual(ran.stdout, "")
      assert.notInclude(ran.stderr, "    at ")
      assert.deepStrictEqual(readdirSync(cwd), [])
    })
  )

  it.live("explains its flags, with examples", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* here(["search", "--help"])
      assert.strictEqual(code, 0)
      for (const flag of ["trials", "epochs", "batch", "strategy", "seed", "target-macs", "dataset", "out", "json"])
        assert.include(stdout, `--${flag}`)
      assert.include(stdout, "EXAMPLES")
    })
  )
})
