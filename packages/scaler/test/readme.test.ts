import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

describe("the README", () => {
  it("has examples that run", () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")
    const examples = [...readme.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code)
    const said = examples.map((code) =>
      execFileSync(process.execPath, ["--input-type=module-typescript", "--eval", code], {
        cwd: fileURLToPath(new URL("..", import.meta.url)),
        encoding: "utf8"
      })
    )
    assert.match(said[0], /│ 2 +│ 3 +│ \d+ +│ \d+ +│/)
    assert.match(said[1], /depth: \d.*, width: \d.*, resolution: \d/)
    assert.match(said[2], /│ 2 +│ 3 +│ \d+ +│ \d+ +│ \d+ +│/)
  })
})
