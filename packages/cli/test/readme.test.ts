import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { here } from "./support/cli.ts"

const page = readFileSync(new URL("../../../docs/command-line.md", import.meta.url), "utf8")

describe("the page of the command line", () => {
  it.live("names the flags that there are", () =>
    Effect.gen(function* () {
      const { stdout } = yield* here(["search", "--help"])
      const row = /\| `uninet search`.*/.exec(page)?.[0] ?? ""
      const flags = [...row.matchAll(/--[a-z-]+/g)].map(([flag]) => flag)
      assert.isAbove(flags.length, 10)
      for (const flag of flags) assert.include(stdout, flag)
    })
  )
})
