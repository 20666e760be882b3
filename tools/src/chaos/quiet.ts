/** The journal of an undisturbed search. */
import { Journal, Search } from "@uninet/search"
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { evaluator } from "../../../packages/cluster/test/support/evaluator.ts"
import { setting, uninet } from "../../../packages/cluster/test/support/search.ts"

/** A journal's entries, each as text. */
export const entriesOf = (path: string): Promise<ReadonlyArray<string>> =>
  Effect.runPromise(Effect.map(Journal.read(path), ({ entries }) => entries.map(({ entry }) => JSON.stringify(entry))))

/** The entries of a search with this many trials in one process. */
export const quiet = async (trials: number): Promise<ReadonlyArray<string>> => {
  const folder = mkdtempSync(join(tmpdir(), "uninet-quiet-"))
  const journal = join(folder, "journal.db")
  const evaluating = evaluator({ milliseconds: 0, log: null }, 4)
  await Effect.runPromise(
    Effect.provide(Search.run(uninet, { trials, seed: "test" }), [setting, evaluating, Journal.sqlite(journal)])
  )
  const entries = await entriesOf(journal)
  rmSync(folder, { recursive: true })
  return entries
}

/** How a journal differs from the expected one, in words; `undefined` if it does not. */
export const differing = (found: ReadonlyArray<string>, expected: ReadonlyArray<string>): string | undefined => {
  const other = expected.findIndex((entry, i) => entry !== found[i])
  if (other >= 0) return `entry ${other} is ${found[other]} where the quiet search has ${expected[other]}`
  return found.length > expected.length
    ? `the journal has ${found.length} entries where the quiet search has ${expected.length}`
    : undefined
}
