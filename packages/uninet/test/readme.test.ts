import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

describe("the README", () => {
  it("has examples that run", () => {
    const folder = new URL("..", import.meta.url)
    const readme = readFileSync(new URL("README.md", folder), "utf8")
    const examples = [...readme.matchAll(/```ts\n([^]*?)```/g)].map(([, code = ""]) => code)
    assert.isAbove(examples.length, 0)
    for (const code of examples)
      execFileSync(process.execPath, ["--input-type=module-typescript", "--eval", code], { cwd: fileURLToPath(folder) })
  })
})
