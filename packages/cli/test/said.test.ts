/** Output is readable where it is read, and is true of what it is about. */
import { assert, describe, it } from "@effect/vitest"
import { Format } from "@uninet/cli"
import * as Effect from "effect/Effect"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { folder, here } from "./support/cli.ts"

const own = fileURLToPath(new URL("./support/configs/own.config.ts", import.meta.url))

const stripes = fileURLToPath(new URL("./support/datasets/stripes.ts", import.meta.url))

const network = (channels: number, edge = 12) =>
  JSON.stringify({
    image: { channels, height: edge, width: edge },
    classes: 2,
    stem: { channels: 8, stride: 1 },
    stages: [{ operator: "DWConv", dsm: "L", expansion: 1, channels: 8, repeats: 1, stride: 2 }],
    head: { channels: 16 },
    headDim: 8
  })

/** One pixel. */
const pixel = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC",
  "base64"
)

/** A folder of images by class, one of which is not an image. */
const photographs = (below: string) => {
  const path = join(below, "photographs")
  const files = ["a", "b"].flatMap((name) =>
    ["train", "val", "test"].flatMap((split) => [1, 2, 3, 4].map((i) => [`${split}/${name}/${i}.png`, pixel] as const))
  )
  for (const [name, bytes] of [...files, ["test/a/5.png", Buffer.from("no image")] as const]) {
    mkdirSync(dirname(join(path, name)), { recursive: true })
    writeFileSync(join(path, name), bytes)
  }
  return path
}

describe("uninet", () => {
  it.live("takes b0 for B0, and has one exit code for a run that is not there", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      const b0 = yield* here(["inspect", "b0", "--json"], { cwd })
      assert.strictEqual(b0.code, 0, b0.stderr)
      assert.deepStrictEqual(
        JSON.parse(b0.stdout),
        JSON.parse((yield* here(["inspect", "B0", "--json"], { cwd })).stdout)
      )
      for (const command of ["inspect", "evaluate", "export", "status", "train", "scale"]) {
        const ran = yield* here([command, "nowhere"], { cwd })
        assert.deepStrictEqual([command, ran.code, ran.stdout], [command, 1, ""])
        assert.match(ran.stderr, /^uninet: [^\n]*nowhere[^\n]*\. [A-Z][^\n]*\n$/)
      }
    })
  )

  it.live(
    "lists trainings beside searches, leaves out on evaluation what was left out in training, and says in a line whose weights these are not",
    () =>
      Effect.gen(function* () {
        const cwd = yield* folder
        const [small, large] = [join(cwd, "small.json"), join(cwd, "large.json")]
        writeFileSync(small, network(3))
        writeFileSync(large, network(1))
        const data = photographs(cwd)
        const one = ["--epochs", "1", "--batch", "4"]
        const trained = yield* here(
          ["train", small, "--dataset", data, "--skip-bad", ...one, "--out", "runs/photographs"],
          { cwd }
        )
        assert.strictEqual(trained.code, 0, trained.stderr)
        const evaluated = yield* here(["evaluate", "runs/photographs", "--json"], { cwd })
        assert.strictEqual(evaluated.code, 0, evaluated.stderr)
        assert.strictEqual(JSON.parse(evaluated.stdout).examples, 8)
        // For other data nobody has said so.
        const whole = yield* here(["evaluate", "runs/photographs/best.safetensors", "--dataset", data, "--json"], {
          cwd
        })
        assert.strictEqual(whole.code, 0, whole.stderr)

        const listed = yield* here(["runs"], { cwd })
        assert.match(listed.stdout, /training +│ state +│ network +│ data set +│ epochs │ +best/)
        assert.match(listed.stdout, /runs\/photographs │ finished │ small\.json │ photographs │ 1 of 1 │ accuracy /)
        const [training] = JSON.parse((yield* here(["runs", "--json"], { cwd })).stdout)
        assert.deepInclude(training, { kind: "training", state: "finished", epochs: 1, of: 1 })

        const wrong = yield* here(
          [
            "train",
            large,
            "--dataset",
            stripes,
            "--weights",
            "runs/photographs/best.safetensors",
            ...one,
            "--out",
            "runs/other"
          ],
          { cwd }
        )
        assert.strictEqual(wrong.code, 1)
        assert.match(
          wrong.stderr,
          /^uninet: [^\n]*the weights are not this network's \(of another shape or type: stem\S* \(F32 [^\n]*\); load weights for the same architecture, image size and classes\n$/
        )
        // This network does not come from a run, so the message does not mention a run's data set either.
        const misfit = yield* here(["train", large, "--dataset", data, ...one, "--out", "runs/misfit"], { cwd })
        assert.match(misfit.stderr, /give a data set that it takes, or a network made for this one\n$/)
        assert.notInclude(readFileSync(join(cwd, "runs/photographs/train.json"), "utf8"), 'skipBad": false')
      })
  )
})

describe("uninet search", () => {
  it.live("says what --ahead is, and when it keeps workers idle", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      const help = (yield* here(["search", "--help"], { cwd })).stdout
      assert.match(help, /--ahead[^]*more keep more workers busy, fewer learn sooner \(default 8\)/)
      const few = ["search", "--dry-run", "--config", own, "--trials", "3", "--workers", "3"]
      const idle = yield* here([...few, "--ahead", "1"], { cwd })
      assert.strictEqual(idle.code, 0, idle.stderr)
      assert.include(
        idle.stderr,
        "note: 1 proposal may be pending at a time (--ahead), so 2 of 3 training slots stay idle: a new search with --ahead 3 has work for all"
      )
    })
  )
})

describe("a line", () => {
  it("is as wide as the terminal, and what was cut off is seen to be", () => {
    assert.strictEqual(Format.cut("DWConv e3", 9), "DWConv e3")
    assert.strictEqual(Format.cut("DWConv e3", 8), "DWConv …")
    assert.strictEqual(Format.fitted("123456\n12\n1234567", 5), "1234…\n12\n1234…")
    assert.strictEqual(Format.fitted("123456", undefined), "123456")
  })
})
