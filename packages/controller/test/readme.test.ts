import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

describe("the README", () => {
  it("has examples that run", () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")
    const said = [...readme.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) =>
      execFileSync(process.execPath, ["--input-type=module-typescript", "--eval", code ?? ""], {
        cwd: fileURLToPath(new URL("..", import.meta.url)),
        encoding: "utf8"
      })
    )
    assert.strictEqual(said.length, 2)
    assert.isAbove(Number(said[0]), 7.5)
    assert.strictEqual(said[1], "6\n")
  })
})
