import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { folder, uninet } from "./support/cli.ts"

const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8")
const here = fileURLToPath(new URL("..", import.meta.url))

describe("the README", () => {
  it.live("has an example that runs", () =>
    Effect.gen(function* () {
      const journal = join(yield* folder, "demo.db")
      const example = /```ts\n([^]*?)```/.exec(readme)?.[1] ?? ""
      assert.include(example, "trials: 64")
      assert.include(example, '"demo.db"')
      // One trial shows that it runs.
      const short = example.replace("trials: 64", "trials: 1").replace('"demo.db"', JSON.stringify(journal))
      const { output, problem } = yield* Effect.callback<{ readonly output: string; readonly problem: Error | null }>(
        (resume) => {
          const child = execFile(
            process.execPath,
            ["--input-type=module-typescript", "--eval", short],
            { cwd: here },
            (problem, output) => resume(Effect.succeed({ output, problem }))
          )
          return Effect.sync(() => child.kill())
        }
      )
      assert.isNull(problem, problem?.message)
      assert.match(output, /^0\.\d{4} {2}DWConv e1 /)
    })
  )

  it.live("names the flags that there are", () =>
    Effect.gen(function* () {
      const { stdout } = yield* uninet(["search", "--help"])
      const row = /\| `uninet search`.*/.exec(readme)?.[0] ?? ""
      const flags = [...row.matchAll(/--[a-z-]+/g)].map(([flag]) => flag)
      assert.isAbove(flags.length, 10)
      for (const flag of flags) assert.include(stdout, flag)
    })
  )
})
