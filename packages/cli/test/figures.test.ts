/** A command's figures for a network were measured on what it says. */
import { assert, describe, it } from "@effect/vitest"
import { Safetensors } from "@uninet/nn"
import { Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { folder, here, uninet } from "./support/cli.ts"

const stripes = fileURLToPath(new URL("./support/datasets/stripes.ts", import.meta.url))
const own = fileURLToPath(new URL("./support/configs/own.config.ts", import.meta.url))

const architecture = {
  image: { channels: 1, height: 12, width: 12 },
  classes: 2,
  stem: { channels: 8, stride: 1 },
  stages: [{ operator: "DWConv", dsm: "L", expansion: 1, channels: 8, repeats: 1, stride: 2 }],
  head: { channels: 16 },
  headDim: 8
}

describe("a trained network", () => {
  it.live(
    "is judged by the names of its classes, not on what it has learned without a word, and not where it has no numbers",
    () =>
      Effect.gen(function* () {
        const below = yield* folder
        const network = join(below, "network.json")
        writeFileSync(network, JSON.stringify(architecture))
        const run = join(below, "run")
        const args = ["train", network, "--dataset", stripes, "--epochs", "1", "--batch", "16", "--out", run]
        const trained = yield* here(args)
        assert.strictEqual(trained.code, 0, trained.stderr)

        const evaluated = (...args: ReadonlyArray<string>) => here(["evaluate", run, ...args, "--json"])
        const straight = JSON.parse((yield* evaluated()).stdout)
        const turned = yield* uninet(["evaluate", run, "--json"], { env: { UNINET_TEST_CLASSES: "bright,ramp" } })
        assert.strictEqual(turned.code, 0, turned.stderr)
        assert.deepStrictEqual(JSON.parse(turned.stdout), straight)
        const others = yield* uninet(["evaluate", run], { env: { UNINET_TEST_CLASSES: "bright,Rampe" } })
        assert.strictEqual(others.code, 1)
        assert.match(
          others.stderr,
          /^uninet: --dataset: the network distinguishes ramp, bright, but stripes has Rampe\. Give a data set whose classes are named as in the network\.\n$/
        )

        assert.deepInclude(straight, { trainedOn: "train", isSeen: false })
        assert.isFalse(JSON.parse((yield* evaluated("--split", "validation")).stdout).isSeen)
        assert.isTrue(JSON.parse((yield* evaluated("--split", "train")).stdout).isSeen)
        const seen = yield* here(["evaluate", run, "--split", "train"])
        assert.include(seen.stdout, "the network was trained on these examples: this says how well it remembers them")

        const file = join(run, "best.safetensors")
        const { metadata, tensors } = Result.getOrThrow(Safetensors.decode(readFileSync(file)))
        const name = [...tensors.keys()][0] ?? ""
        const shape = tensors.get(name)?.shape ?? []
        const numbers = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(Number.NaN)
        const spoilt = new Map(tensors).set(name, Safetensors.fromFloat32(numbers, shape))
        writeFileSync(file, Safetensors.encode({ metadata, tensors: spoilt }))
        for (const command of ["evaluate", "export"]) {
          const refused = yield* here([command, run], { cwd: below })
          assert.deepStrictEqual([refused.code, refused.stdout], [1, ""])
          assert.match(
            refused.stderr,
            /holds numbers that are not finite, in .*: its training diverged\. Train it again/
          )
        }
      }),
    120_000
  )
})

describe("a search that is finished", () => {
  it.live(
    "goes on with more trials, tests no network twice, and is not replaced by a worse one",
    () =>
      Effect.gen(function* () {
        const below = yield* folder
        const run = join(below, "run")
        const search = (...args: ReadonlyArray<string>) => here(["search", ...args], { cwd: below })
        const entries = Effect.map(Journal.read(join(run, "journal.db")), ({ entries }) =>
          entries.map(({ entry }) => entry)
        )
        const best = () => JSON.parse(readFileSync(join(run, "best.json"), "utf8"))
        const state = Effect.map(here(["status", run, "--json"]), ({ stdout }) => JSON.parse(stdout))
        const first = yield* search("--config", own, "--out", run, "--trials", "4")
        assert.strictEqual(first.code, 0, first.stderr)
        const found = best()
        const before = yield* entries

        const fewer = yield* search("--resume", run, "--trials", "2")
        assert.strictEqual(fewer.code, 2)
        assert.match(
          fewer.stderr,
          /^uninet: --trials 2 is fewer than the 4 that the journal has, which are kept and count\. Give 4 or more; /
        )
        const longer = yield* search("--resume", run, "--final-epochs", "3")
        assert.strictEqual(longer.code, 2)
        assert.match(longer.stderr, /^uninet: --final-epochs 3 can no longer be given: the finals have begun with 1, /)
        assert.deepStrictEqual([best(), yield* entries], [found, before])

        // Nothing is trained if the files exist, and the same again if they do not.
        const again = yield* search("--resume", run)
        assert.strictEqual(again.code, 0, again.stderr)
        assert.notInclude(again.stderr, "once more")
        const weights = readFileSync(join(run, "best.safetensors"))
        rmSync(join(run, "best.safetensors"))
        const mended = yield* search("--resume", run)
        assert.include(mended.stderr, "once more")
        assert.deepStrictEqual([best(), yield* entries], [found, before])
        assert.deepStrictEqual(readFileSync(join(run, "best.safetensors")), weights)
        assert.strictEqual((yield* state).state, "finished")

        const more = yield* search("--resume", run, "--trials", "6")
        assert.strictEqual(more.code, 0, more.stderr)
        const after = yield* entries
        const tested = after.filter(({ _tag }) => _tag === "Tested").map(({ trial }) => trial)
        assert.deepStrictEqual(
          tested,
          [...new Set([found.trial, best().trial])].toSorted((a, b) => a - b)
        )
        const compared = after.flatMap((entry) => (entry._tag === "Compared" ? [entry] : []))
        const reward = (trial: number) =>
          compared.find((entry) => entry.trial === trial)?.evaluation.measures["accuracy"] ?? Number.NaN
        for (const { trial } of compared) assert.isAtMost(reward(trial), reward(best().trial))
        const now = yield* state
        assert.deepStrictEqual([now.state, now.trials, now.done], ["finished", 6, 6])
        // The best of four trials out of six is not the end of a search.
        writeFileSync(join(run, "best.json"), JSON.stringify({ ...best(), of: 4 }))
        assert.strictEqual((yield* state).state, "stopped")
      }),
    180_000
  )
})
