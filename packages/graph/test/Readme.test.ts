import { assert, describe, it } from "@effect/vitest"
import { Op } from "@uninet/graph"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"

const folder = new URL("..", import.meta.url)
const readme = readFileSync(new URL("README.md", folder), "utf8")

describe("README", () => {
  it("its example prints what it says", () => {
    const [, code, output] = /```ts\n(.*?)```\n\nprints\n\n```\n(.*?)```/s.exec(readme) ?? []
    const printed = execFileSync(process.execPath, ["--input-type=module-typescript", "--eval", code], { cwd: folder })
    assert.strictEqual(printed.toString(), output)
  })

  it("its table has a row for every op, in the order of the definitions", () => {
    const rows = [...readme.matchAll(/^\| `(\w+)` +\|[^|]+\|[^|]*\|$/gm)].map(([, kind]) => kind)
    assert.deepStrictEqual(rows, Object.keys(Op.definitions))
  })
})
