import { assert, describe, it, vi } from "@effect/vitest"
import * as Team from "../src/internal/team.js"

describe("a team", () => {
  it("does every stretch once, though a thread that found none left in one phase looks on only in the next", () => {
    const at = 4
    const memory = new Int32Array(new SharedArrayBuffer(1024))
    const count = 8
    const table = 256
    for (let i = 0; i < count; i++) memory.set([i, i + 1], table / 4 + 2 * i)
    const done: Array<number> = []
    const team: Team.Team = { memory, at, run: (from) => void done.push(from) }
    Team.lead(team, table, 2)
    done.length = 0
    // The helper is awake, and has asked for a stretch of the phase that is over: another passes before it goes on.
    const words: { readonly add: (memory: Int32Array, index: number, value: number) => number } = Atomics
    const { add } = words
    let adds = 0
    const added = vi.spyOn(words, "add").mockImplementation((memory, index, value) => {
      const before = add(memory, index, value)
      if (++adds === 2) {
        added.mockRestore()
        Team.lead(team, table, count)
        Team.end(team)
      }
      return before
    })
    Team.help(team)
    assert.deepStrictEqual(done, [0, 1, 2, 3, 4, 5, 6, 7])
  })
})
