import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { here } from "./support/cli.ts"

describe("the guide to a custom space", () => {
  it.live("has a space that its own command verifies", () =>
    Effect.gen(function* () {
      const guide = readFileSync(new URL("../../../docs/guides/space.md", import.meta.url), "utf8")
      const [, space = ""] = [...guide.matchAll(/```ts\n([^]*?)```/g)].map(([, code = ""]) => code)
      // Next to this file, from which the packages can be found.
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(fileURLToPath(new URL("guide-", import.meta.url)))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      writeFileSync(join(folder, "space.ts"), space)
      const { code, stderr, stdout } = yield* here(["verify", join(folder, "space.ts"), "--runs", "2"])
      assert.strictEqual(code, 0, stderr)
      assert.match(stdout, /^2 networks of stack of convolutions keep the laws: /m)
    })
  )
})
