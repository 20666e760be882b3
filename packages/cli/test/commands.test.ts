import { assert, describe, it } from "@effect/vitest"
import { ModelSpace } from "@uninet/model-space"
import { UniNet, UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { folder, here, pasted, tinyDataset, uninet } from "./support/cli.ts"

describe("uninet inspect", () => {
  it.live("counts a member of the family exactly", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* here(["inspect", "B1", "--json"])
      assert.strictEqual(code, 0)
      const costs = JSON.parse(stdout)
      assert.strictEqual(costs.parameters, 11_450_864)
      assert.strictEqual(costs.buffers, 22_673)
      assert.strictEqual(costs.fvcoreCount, 1_117_865_024)
      assert.strictEqual(costs.fvcoreByOperator.conv, 541_323_456)
      assert.strictEqual(costs.parts.length, 8)
      for (const key of ["macs", "flops", "activationBytes"]) assert.isAbove(costs[key], 0)
    })
  )

  it.live("shows an architecture of a file, as an earlier version wrote it, stage by stage, at any image size", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const file = join(below, "best.json")
      writeFileSync(file, JSON.stringify({ trial: 3, architecture: UniNet.B0 }))
      const { code, stdout } = yield* here(["inspect", file, "--image", "224"])
      assert.strictEqual(code, 0)
      assert.match(stdout, /fvcoreCount +1,117,865,024/)
      assert.match(stdout, /stage 5 │ LG +│ SA +│ .* 7 │ +7 │/)
      const drawn = yield* here(["inspect", file, "--svg", join(below, "network.svg")])
      assert.match(drawn.stdout, /network\.svg has the network's picture/)
      assert.match(readFileSync(join(below, "network.svg"), "utf8"), /^<svg [^]*>stage 5 {2}LG {2}SA</)
    })
  )

  it.live("says what is wrong with what it was given", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const file = join(below, "broken.json")
      writeFileSync(file, '{ "stages": 3 }')
      const taken = yield* here(["inspect", "B0", "--svg", file])
      assert.match(taken.stderr, /--svg .*broken\.json already exists\. Give the name of a new file/)
      const unknown = yield* here(["inspect", "B9"])
      assert.deepStrictEqual([unknown.code, unknown.stdout], [2, ""])
      assert.match(unknown.stderr, /"B9" is neither one of B0, .*\n$/)
      const broken = yield* here(["inspect", file])
      assert.strictEqual(broken.code, 1)
      assert.include(broken.stderr, "holds no network")
      const small = yield* here(["inspect", "B0", "--image", "3"])
      assert.strictEqual(small.code, 1)
      assert.include(small.stderr, "use a larger image")
    })
  )
})

/** What `uninet inspect` prints for a network in its stored form. */
const inspected = (network: object) =>
  Effect.gen(function* () {
    const file = join(yield* folder, "best.json")
    writeFileSync(file, JSON.stringify({ network }))
    return yield* here(["inspect", file, "--json"])
  })

describe("a network of which a file tells", () => {
  const { classes, image } = UniNet.B0
  const kept = {
    space: { _tag: "Named", name: "uninet" },
    facts: {
      inputs: { image: { shape: [image.channels, image.height, image.width], dtype: "float32" } },
      targets: { shape: [], dtype: "int32" },
      classes
    },
    point: UniNet.B0
  }
  it.live("is taken where its space gives this very network by now, and refused where it gives another", () =>
    Effect.gen(function* () {
      const of = Result.getOrThrow(UniNetSpace.models({ image: image.height, stage0Channels: 24 }))
      const graph = Result.getOrThrow(ModelSpace.networkDigest(UniNet.B0)(of))
      assert.strictEqual((yield* inspected({ ...kept, graph })).code, 0)
      const other = yield* inspected({ ...kept, graph: "0123456789abcdef" })
      assert.strictEqual(other.code, 1)
      assert.match(
        other.stderr,
        /best\.json is of another network than uninet now has at its point: .*\. Restore the earlier one/
      )
    })
  )

  it.live("that lacks something, or has something else there, is refused with the place", () =>
    Effect.gen(function* () {
      const { point, ...rest } = kept
      const told = yield* Effect.forEach(
        [{ ...rest }, { ...kept, point: { ...point, classes: "ten" } }, { ...kept, facts: 3 }],
        inspected
      )
      assert.deepStrictEqual(
        told.map(({ code }) => code),
        [1, 1, 1]
      )
      assert.match(told[0]?.stderr ?? "", /holds no network: network\.point: missing key\. Give JSON/)
      assert.match(told[1]?.stderr ?? "", /at classes, found "ten" but expected number/)
      assert.match(told[2]?.stderr ?? "", /holds no network: network\.facts: expected object\./)
    })
  )
})

/** A file with the first stage of B0 for small images. */
const small = (below: string) => {
  const file = join(below, "small.json")
  const { head, ...rest } = UniNet.B0
  const image = { channels: 3, height: 16, width: 16 }
  writeFileSync(
    file,
    JSON.stringify({ ...rest, image, head: { ...head, channels: 16 }, stages: rest.stages.slice(0, 1) })
  )
  return file
}

describe("uninet explain", () => {
  it.live("shows what is made of a training step, stage by stage, and the operators of ONNX Runtime", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* here(["explain", "B0", "--batch", "8", "--inference"])
      assert.strictEqual(code, 0, stderr)
      assert.match(stdout, /norms: .*\n +\d+ nodes → \d+; .*batchNormInference/)
      assert.match(stdout, /│ all +│.*\nvariables 45\.\d MB, working memory/s)
      const nodes = yield* here(["explain", "B0", "--batch", "8", "--inference", "--stage", "nodes", "--json"])
      assert.isTrue(JSON.parse(nodes.stdout).nodes.some((row: { kind: string }) => row.kind === "conv2d"))
    })
  )

  it.live("shows what is made of a training step on --device cpu, and what was refused at which predicted cost", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const file = small(below)
      const on = (...more: ReadonlyArray<string>) =>
        here(["explain", file, "--batch", "16", "--device", "cpu", ...more])
      const { code, stderr, stdout } = yield* on()
      assert.strictEqual(code, 0, stderr)
      assert.match(stdout, /batch norms: .*\n +\d+ nodes → \d+; \d+ batchNorm.* predicted [\d.]+ ms, [\d.]+ without it/)
      assert.match(stdout, /refused: plain, ms/)
      assert.match(stdout, /results in use: at most .*B/)
      const { kinds } = { kinds: JSON.parse((yield* on("--measure", "--json")).stdout).measured }
      assert.isAbove(
        kinds.reduce((sum: number, { milliseconds }: { milliseconds: number }) => sum + milliseconds, 0),
        0
      )
      const wrong = yield* on("--stage", "kernels")
      assert.strictEqual(wrong.code, 2)
      assert.include(wrong.stderr, "--device cpu has no stage kernels. Give one of rewrites, layouts, nodes, memory")
      const costs = join(below, "costs.json")
      writeFileSync(costs, "{}")
      const damaged = yield* on("--cost-model", costs)
      assert.strictEqual(damaged.code, 1)
      assert.include(
        damaged.stderr,
        `is damaged or not a cost model; make one for this machine with: uninet calibrate --out ${costs}`
      )
    })
  )

  it.live("measures pieces of work beside their limits, and says which stages there are", () =>
    Effect.gen(function* () {
      const file = small(yield* folder)
      const { code, stderr, stdout } = yield* here(["explain", file, "--batch", "8", "--measure", "--json"])
      assert.strictEqual(code, 0, stderr)
      const { kernels, limits } = JSON.parse(stdout)
      for (const limit of [limits.macs, limits.bytes]) assert.isAbove(limit, 0)
      for (const { kernel, milliseconds } of kernels) if (kernel !== "JavaScript") assert.isAtLeast(milliseconds, 0)
      const unknown = yield* here(["explain", file, "--stage", "rewrite"])
      assert.strictEqual(unknown.code, 2)
      assert.include(unknown.stderr, '--stage is "rewrite"')
    })
  )
})

describe("uninet data", () => {
  it.live("shows splits, classes and figures, and draws a contact sheet once", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const sheet = join(below, "sheet.png")
      const { code, stderr, stdout } = yield* here(["data", tinyDataset(below), "--sheet", sheet, "--json"])
      assert.strictEqual(code, 0, stderr)
      const about = JSON.parse(stdout)
      assert.deepStrictEqual(about.image, { channels: 1, height: 12, width: 12 })
      assert.strictEqual(
        about.splits.reduce((sum: number, { size }: { size: number }) => sum + size, 0),
        320 + 64
      )
      const drawn = readFileSync(sheet)
      assert.strictEqual(drawn.subarray(1, 4).toString("latin1"), "PNG")
      const again = yield* here(["data", join(below, "tiny"), "--sheet", sheet])
      assert.strictEqual(again.code, 1)
      assert.match(again.stderr, /already exists/)
      assert.deepStrictEqual(readFileSync(sheet), drawn)
    })
  )

  it.live("says what was left out of a folder, and refuses a size that no memory holds", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const png = Buffer.from(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC",
        "base64"
      )
      for (const name of ["train/a/1.png", "train/a/2.png", "train/a/._1.png", "val/a/1.png", "test/a/1.png"]) {
        mkdirSync(dirname(join(below, name)), { recursive: true })
        writeFileSync(join(below, name), png)
      }
      const { code, stderr, stdout } = yield* here(["data", below])
      assert.strictEqual(code, 0, stderr)
      assert.include(stdout, "left out   files whose names are not those of images: train 1")
      const large = yield* here(["data", below, "--size", "1e9"])
      assert.strictEqual(large.code, 2)
      assert.include(large.stderr, '--image is "1e9". Give a whole number from 1 to 16384.')
      const larger = yield* here(["data", below, "--image", "9000"])
      assert.strictEqual(larger.code, 1)
      assert.include(larger.stderr, "size is 9000. Give it a whole number from 1 to 4096.")
    })
  )

  it.live("names what it cannot find", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* here(["data", "nothing"])
      assert.strictEqual(code, 1)
      assert.match(stderr, /Data set "nothing"/)
    })
  )
})

const table = (rows: ReadonlyArray<readonly [ReadonlyArray<number>, number, number]>) =>
  JSON.stringify({
    name: "toy",
    choices: [
      { name: "a", options: ["x", "y"] },
      { name: "b", options: ["x", "y", "z"] }
    ],
    columns: ["choice", "search", "report"],
    rows
  })
const rows = [0, 1].flatMap((a) => [0, 1, 2].map((b) => [[a, b], 80 + a + b, 90 + a + b] as const))

describe("uninet benchmark", () => {
  it.live("plays strategies on a table", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const file = join(below, "toy.json")
      writeFileSync(file, table(rows))
      const { code, stderr, stdout } = yield* here([
        "benchmark",
        file,
        "--strategies",
        "random,evolution",
        "--budgets",
        "2,6",
        "--seeds",
        "3",
        "--json"
      ])
      assert.strictEqual(code, 0, stderr)
      const played = JSON.parse(stdout)
      assert.strictEqual(played.optimum, 93)
      const all = played.rows.filter(({ budget }: { budget: number }) => budget === 6)
      assert.deepStrictEqual(
        all.map(({ mean }: { mean: number }) => mean),
        [93, 93]
      )
    })
  )

  it.live("refuses tables with missing rows and strategies that it does not know", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const file = join(below, "toy.json")
      writeFileSync(file, table(rows.slice(1)))
      const missing = yield* here(["benchmark", file])
      assert.strictEqual(missing.code, 1)
      assert.include(missing.stderr, "is not a benchmark table")
      const unknown = yield* here(["benchmark", file, "--strategies", "random,magic"])
      assert.strictEqual(unknown.code, 2)
      assert.match(unknown.stderr, /--strategies has "magic"/)
    })
  )
})

describe("uninet verify", () => {
  const space = fileURLToPath(new URL("support/crookedSpace.ts", import.meta.url))

  it.live("finds the planted bug, makes it small and says how to see it again", () =>
    Effect.gen(function* () {
      const found = yield* uninet(["verify", space, "--runs", "200", "--seed", "1", "--json"])
      assert.strictEqual(found.code, 1)
      const { law, point, replay } = JSON.parse(found.stdout)
      assert.strictEqual(law, "blocks")
      const crooked = point.stages.filter(({ operator }: { operator: string }) => operator === "Miscounted")
      assert.strictEqual(crooked.length, 1)
      const again = yield* pasted(`${replay} --json`)
      assert.strictEqual(again.code, 1)
      assert.deepStrictEqual(JSON.parse(again.stdout).point, point)
    })
  )

  it.live("says that UniNet's own space keeps the laws", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* here(["verify", "--runs", "2"])
      assert.strictEqual(code, 0)
      assert.match(stdout, /^2 networks of uninet keep the laws: .*gradients.*alive/)
    })
  )
})

describe("uninet", () => {
  it.live("suggests what a mistyped command may have meant", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* here(["serch"])
      assert.strictEqual(code, 2)
      assert.match(stderr, /Unknown subcommand "serch"[^]*search/)
    })
  )

  it.live("says in a sentence of a path that nothing can be at", () =>
    Effect.gen(function* () {
      const file = small(yield* folder)
      for (const args of [["search"], ["calibrate"], ["report", "runs/demo"]]) {
        const { code, stderr } = yield* here([...args, "--out", join(file, "x.html")])
        assert.strictEqual(code, 2)
        assert.include(stderr, `--out is "${join(file, "x.html")}", which cannot be used: part of the path is a file`)
      }
    })
  )

  it.live("says in a sentence of a table that is not there, or is a folder", () =>
    Effect.gen(function* () {
      for (const [path, says] of [
        ["none.json", 'table is "none.json", which does not exist. Give another path.'],
        [".", 'table is ".", which is not a file. Give another path.']
      ] as const) {
        const { code, stderr } = yield* here(["benchmark", path])
        assert.strictEqual(code, 2)
        assert.include(stderr, says)
      }
    })
  )

  it.live("says its version", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* here(["--version"])
      assert.strictEqual(code, 0)
      assert.match(stdout, /\d+\.\d+\.\d+/)
    })
  )
})
