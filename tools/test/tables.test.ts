/** Published benchmarks as tables: invented results in their formats. */
import { assert, describe, it } from "@effect/vitest"
import { Table } from "@uninet/controller"
import * as Effect from "effect/Effect"
import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gunzipSync } from "node:zlib"

const script = fileURLToPath(new URL("../nats-bench.py", import.meta.url))
const hasPython = spawnSync("python3", ["--version"]).status === 0

/** A stand-in for nats_bench: cells, three of which are in the folder, and sizes. */
const api = `ARCHS = {
    "tss": ["|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|none~2|",
            "|nor_conv_1x1~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|",
            "|nor_conv_1x1~0|+|none~0|none~1|+|none~0|none~1|none~2|"],
    "sss": ["8:64:16:56:24"],
}

class Api:
    def __init__(self, space):
        self.archs = ARCHS[space]
    def __len__(self):
        return len(self.archs)
    def arch(self, index):
        return self.archs[index]
    def get_more_info(self, index, dataset, iepoch=None, hp="12", is_random=True):
        assert hp in ("200", "90") and is_random is False
        if index == 3:
            raise FileNotFoundError
        return {"valid-accuracy": 80.0 + index} if dataset == "cifar10-valid" else {"test-accuracy": 90.0 + index}
    def get_cost_info(self, index, dataset, hp="12"):
        return {"flops": 7.78305 + index, "params": 0.073306}

def create(folder, space, fast_mode, verbose):
    return Api(space)
`

describe.skipIf(!hasPython)("tools/nats-bench.py", () => {
  it.effect.each([
    {
      space: "tss",
      rows: [
        [[0, 0, 0, 0, 0, 0], 80, 90, 7783050, 73306],
        [[3, 3, 1, 4, 2, 0], 81, 91, 8783050, 73306],
        [[2, 0, 0, 0, 0, 1], 82, 92, 9783050, 73306]
      ]
    },
    { space: "sss", rows: [[[0, 7, 1, 6, 2], 80, 90, 7783050, 73306]] }
  ])("gives the networks of $space as a table", ({ rows, space }) =>
    Effect.gen(function* () {
      const folder = mkdtempSync(join(tmpdir(), "uninet-tables-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      writeFileSync(join(folder, "nats_bench.py"), api)
      const out = join(folder, "table.json.gz")
      execFileSync("python3", [script, folder, "cifar10", out, "--space", space], {
        env: { ...process.env, PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: "1" },
        stdio: "pipe"
      })
      const bytes = readFileSync(out)
      assert.deepStrictEqual(JSON.parse(gunzipSync(bytes).toString()).rows, rows)
      const table = yield* Table.fromBytes(bytes)
      assert.strictEqual(table.size, rows.length)
      assert.strictEqual(table.optimum, Math.max(...rows.map(([, , report]) => Number(report))))
    })
  )

  it.each([
    { what: "a folder that is not there", args: ["none", "cifar10", "table.json"], says: "none is no folder" },
    {
      what: "a result in a folder that is not there",
      args: [".", "cifar10", "none/table.json"],
      says: "none is no fold"
    },
    { what: "a result in another form", args: [".", "cifar10", "table.csv"], says: "ends neither in .json" },
    {
      what: "trainings that there are not",
      args: [".", "cifar10", "table.json", "--epochs", "13"],
      says: "200, 12 epochs"
    }
  ])("refuses $what before it reads anything, and needs no nats_bench for it", ({ args, says }) => {
    const { status, stderr } = spawnSync("python3", [script, ...args], { cwd: tmpdir(), encoding: "utf8" })
    assert.notStrictEqual(status, 0)
    assert.include(stderr, says)
    assert.notInclude(stderr, "Traceback")
  })
})
