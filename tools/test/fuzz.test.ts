/** A small part of `node tools/fuzz.ts`: the same inputs in every run, and some new ones, whose seed is printed. */
import { assert, describe, it } from "vitest"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { formats } from "../src/fuzz/formats.ts"
import { attempt } from "../src/fuzz/run.ts"

const fresh = String(Date.now())
console.log(`fuzz seed: ${fresh}`)

describe("what is read from outside", () => {
  it.each(formats)("is taken, or refused in a sentence, by the reader of a $name", async (format) => {
    const folder = mkdtempSync(join(tmpdir(), "uninet-fuzz-"))
    const write = process.stderr.write
    // Lines of progress.
    process.stderr.write = () => true
    try {
      for (const seed of ["fixed", fresh])
        for (let i = 0; i < 12; i++) {
          const { problem } = await attempt(format, `${seed}/${i}`, folder)
          assert.isUndefined(
            problem,
            `${problem?.what}\n  again: node tools/fuzz.ts --again "${format.name}" ${problem?.seed}`
          )
        }
    } finally {
      process.stderr.write = write
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
