import { assert, describe, it } from "@effect/vitest"
import { Op } from "@uninet/graph"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"

const folder = new URL("..", import.meta.url)
const readme = readFileSync(new URL("README.md", folder), "utf8")

describe("README", () => {
  it("its examples print what they say", () => {
    const examples = [...readme.matchAll(/```ts\n((?:(?!```).)*)```\n\nprints\n\n```\n(.*?)```/gs)]
    assert.strictEqual(examples.length, 2)
    for (const [, code, output] of examples) {
      const args = ["--input-type=module-typescript", "--eval", code]
      assert.strictEqual(execFileSync(process.execPath, args, { cwd: folder }).toString(), output)
    }
  })

  it("its table has a row for every op, in the order of the definitions", () => {
    const rows = [...readme.matchAll(/^\| `(\w+)` +\|[^|]+\|[^|]*\|$/gm)].map(([, kind]) => kind)
    assert.deepStrictEqual(rows, Object.keys(Op.definitions))
  })
})
