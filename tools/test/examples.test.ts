import { assert, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"

// The output of other packages' READMEs is checked in their own tests. On a busy machine the hundreds of programs may take more than a
// minute.
it("every example of the documentation is a program that compiles and runs", () => {
  const tool = fileURLToPath(new URL("../examples.ts", import.meta.url))
  const said = execFileSync(process.execPath, [tool, "--untested"], { encoding: "utf8", stdio: "pipe" })
  assert.match(said, /^\d+ examples type-checked, \d+ of them run$/m)
}, 180_000)
