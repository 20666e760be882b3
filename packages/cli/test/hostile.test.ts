/** Nonsensical or malicious input is refused in a sentence that names the place: quickly, and without using the memory it asks for. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { folder, here } from "./support/cli.ts"

const network = (repeats: number) =>
  JSON.stringify({
    image: { channels: 1, height: 12, width: 12 },
    classes: 2,
    stem: { channels: 8, stride: 1 },
    stages: [{ operator: "DWConv", dsm: "L", expansion: 1, channels: 8, repeats, stride: 2 }],
    head: { channels: 16 },
    headDim: 8
  })

const config = (name: string) => fileURLToPath(new URL(`./support/configs/${name}.config.ts`, import.meta.url))

describe("uninet", () => {
  it.live.each([
    [
      ["evaluate", "run", "--batch", "2147483648"],
      2,
      /--batch is "2147483648"\. Give a whole number from 1 to 1048576\./
    ],
    [["evaluate", "run", "--batch", "1e999"], 2, /--batch is "1e999"\. Give a whole number from 1 to/],
    [["verify", "--path", "1e9"], 2, /--path is "1e9"\. Give the one that was printed with the network/],
    [["verify", "--path", "1000000000"], 2, /--path is "1000000000"/],
    [
      ["verify", "--runs", "9007199254740993"],
      2,
      /--runs is "9007199254740993"\. Give a whole number from 1 to 100000\./
    ],
    [["data", "mnist", "--size", "1e9"], 2, /--size is "1e9"\. Give a whole number from 1 to 16384\.|--image is "1e9"/],
    [["search", "--ahead", "4294967296"], 2, /--ahead is "4294967296"/],
    [["search", "--workers", "1000000"], 2, /--workers is "1000000"\. Give a whole number from 1 to 1024\./],
    [["search", "--dry-run", "--within", "macs<=1"], 1, /--within: .*macs/],
    [["search", "--dry-run", "--config", config("nope")], 1, /the kit's "Nope" is not defined\. Use some of Conv, /],
    [
      ["search", "--dry-run", "--config", config("rate")],
      1,
      /rate\.config\.ts: the field recipe\.learningRate is wrong: Expected a value less than or equal to 1000000/
    ]
  ] as const)("refuses %s", ([args, code, says]) =>
    Effect.gen(function* () {
      const ran = yield* here(args, { cwd: yield* folder })
      assert.strictEqual(ran.code, code, ran.stderr)
      assert.match(ran.stderr, says)
      assert.strictEqual(ran.stdout, "")
      assert.strictEqual(ran.stderr.split("\n").filter((line) => line.startsWith("uninet: ")).length, 1)
    })
  )

  it.live(
    "refuses a network of billions of blocks, and a table that unpacks to more than its numbers can be held",
    () =>
      Effect.gen(function* () {
        const below = yield* folder
        const file = join(below, "network.json")
        for (const repeats of [2 ** 31, 1e6, 1025]) {
          writeFileSync(file, network(repeats))
          const ran = yield* here(["inspect", file])
          assert.deepStrictEqual([ran.code, ran.stdout], [1, ""])
          assert.match(ran.stderr, /stages.{1,3}0.{1,3}repeats/)
        }
        const table = join(below, "table.json.gz")
        writeFileSync(table, gzipSync(Buffer.alloc(2 ** 27 + 1, " ")))
        const before = process.memoryUsage().rss
        const ran = yield* here(["benchmark", table])
        assert.strictEqual(ran.code, 1)
        assert.match(
          ran.stderr,
          /table\.json\.gz is not a benchmark table: it cannot be read \(Error: it unpacks to more than 128 MiB\)/
        )
        assert.isBelow(process.memoryUsage().rss - before, 2 ** 30)
        writeFileSync(table, "{}")
        const budgets = yield* here(["benchmark", table, "--budgets", "4294967296"])
        assert.strictEqual(budgets.code, 2)
        assert.include(
          budgets.stderr,
          '--budgets is "4294967296". Give whole numbers from 1 to 10000000, such as 100,200.'
        )
      })
  )

  it.live(
    "describes a network of half a billion classes, and quotes the beginning and the end of a name without end",
    () =>
      Effect.gen(function* () {
        const file = join(yield* folder, "network.json")
        const one: Record<string, unknown> = JSON.parse(network(1))
        writeFileSync(file, JSON.stringify({ ...one, classes: 557_502_103 }))
        const ran = yield* here(["inspect", file])
        assert.strictEqual(ran.code, 0, ran.stderr)
        assert.include(ran.stdout, "│ 9,477,535,911 │")
        const facts = {
          inputs: { image: { shape: [1, 8, 8], dtype: "float32" } },
          targets: { shape: [], dtype: "int32" },
          classes: 2
        }
        const space = { _tag: "Named", name: "x".repeat(70_000) }
        writeFileSync(file, JSON.stringify({ network: { space, facts, point: one } }))
        const unknown = yield* here(["inspect", file])
        assert.strictEqual(unknown.code, 1)
        assert.match(
          unknown.stderr,
          /^uninet: .*network\.json: there is no space x+ … \(\d+ more characters\) … x+; give one of .*module/
        )
        assert.isBelow(unknown.stderr.length, 1100)
      })
  )
})
