import { assert, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"

// What the READMEs of other packages print is held against them in their own tests. Beside other work the hundreds of programs may take more than a minute.
it("every example of the documentation is a program that compiles and runs", () => {
  const tool = fileURLToPath(new URL("../examples.ts", import.meta.url))
  const said = execFileSync(process.execPath, [tool, "--untested"], { encoding: "utf8", stdio: "pipe" })
  assert.match(said, /^\d+ examples type-checked, \d+ of them run$/m)
}, 180_000)
