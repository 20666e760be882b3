import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const text = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8")
const program = text("../digits.ts")

describe("the program of the README", () => {
  it("is this one", () => {
    assert.strictEqual(/```ts long\n([^]*?)```/.exec(text("../../README.md"))?.[1], program)
  })

  it("runs, and goes on with what it left", { timeout: 120_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), "digits-"))
    try {
      assert.include(program, '"runs/digits.db"')
      const run = (trials: number) =>
        execFileSync(
          process.execPath,
          [
            "--input-type=module-typescript",
            "--eval",
            program
              .replace(/trials: \d+/, `trials: ${trials}`)
              .replace('"runs/digits.db"', JSON.stringify(join(folder, "runs", "digits.db")))
          ],
          { cwd: fileURLToPath(new URL("..", import.meta.url)), encoding: "utf8" }
        )
      const [trial, best] = run(1).split("\n")
      assert.match(trial ?? "", /^0\.\d{4} {2}DWConv e1 /)
      assert.match(best ?? "", /^best: trial 0, DWConv e1 /)
      assert.strictEqual(run(1), `${best}\n`)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
