import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

describe("the README", () => {
  it("has an example that runs", () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")
    const example = /```ts\n([^]*?)```/.exec(readme)?.[1] ?? ""
    assert.include(example, "Ppo.make")
    const said = execFileSync(process.execPath, ["--input-type=module-typescript", "--eval", example], {
      cwd: fileURLToPath(new URL("..", import.meta.url)),
      encoding: "utf8"
    })
    assert.match(said, /^\{ reward: \d+, hash: '[0-9a-f]{16}' \}\n$/)
  })
})
