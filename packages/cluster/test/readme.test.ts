import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Postgres from "./support/postgres.ts"

describe.skipIf(Postgres.missing !== undefined)("the README", () => {
  it("has an example that runs", async () => {
    const server = await Postgres.serve()
    try {
      const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")
      const example = /```ts\n([^]*?)```/.exec(readme)?.[1] ?? ""
      assert.include(example, "Search.run")
      const said = execFileSync(process.execPath, ["--input-type=module-typescript", "--eval", example], {
        cwd: fileURLToPath(new URL("..", import.meta.url)),
        encoding: "utf8",
        env: { ...process.env, UNINET_DATABASE: server.url("example") }
      })
      assert.match(said, /^0\.\d+\n$/)
    } finally {
      await server.remove()
    }
  })
})
