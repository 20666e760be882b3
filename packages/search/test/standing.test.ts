/** Rungs that are kept in order as results arrive give the same order as sorting everything again for each result. */
import { assert, describe, it } from "@effect/vitest"
import { Pareto } from "@uninet/controller"
import { Fidelity } from "@uninet/search"
import { Prng } from "@uninet/search-space"
import * as fc from "fast-check"
import * as Standing from "../src/internal/standing.js"
import * as Simple from "./support/simple.ts"

/** Objectives of trials: on a coarse grid with many ties, along a trade-off, similar, or arbitrary. */
const streams: Readonly<Record<string, (prng: Prng.Prng, width: number) => ReadonlyArray<number>>> = {
  grid: (prng, width) => Array.from({ length: width }, () => prng.nextInt(4)),
  anyhow: (prng, width) => Array.from({ length: width }, () => prng.nextFloat()),
  "trade-off": (prng, width) => {
    const u = prng.nextInt(1000)
    return Array.from({ length: width }, (_, m) => (m === 0 ? u : (-u * (m + 1)) % 997) + prng.nextInt(2))
  },
  alike: (prng, width) => {
    const u = prng.nextInt(50)
    return Array.from({ length: width }, () => u + prng.nextInt(3))
  },
  "one by one": (prng, width) => {
    const u = prng.nextInt(10_000)
    return Array.from({ length: width }, (_, m) => u * (m + 1))
  }
}

const kind = fc.constantFrom(...Object.keys(streams))
const width = fc.integer({ min: 1, max: 3 })

const entrants = (name: string, seed: number, width: number, count: number): ReadonlyArray<Fidelity.Entrant> => {
  const prng = Prng.fromSeed(seed)
  // trials come back in a different order from the one in which they started
  const trials = prng.permutation(count)
  return Array.from({ length: count }, (_, i) => ({
    trial: trials[i] ?? i,
    objectives: streams[name]?.(prng, width) ?? []
  }))
}

describe("ranks and orders", () => {
  it("are those of fronts taken off one after the other", () => {
    fc.assert(
      fc.property(kind, fc.nat(), width, fc.nat(60), (name, seed, width, count) => {
        const all = entrants(name, seed, width, count)
        const points = all.map(({ objectives }) => objectives)
        assert.deepStrictEqual(Pareto.ranks(points), Simple.ranks(points))
        assert.deepStrictEqual(
          Fidelity.order(all).map(({ trial }) => trial),
          Simple.order(all).map(({ trial }) => trial)
        )
        const front = Pareto.of(all).members
        assert.deepStrictEqual(
          front,
          all.filter((_, i) => Simple.ranks(points)[i] === 0)
        )
      }),
      { numRuns: 300 }
    )
  })
})

/**
 * The first place, or first waiting trial, that differs from what sorting everything gives; all are compared after every `every`-th result.
 * Limits are among the first third to sixth, and now and then everything.
 */
const strays = (all: ReadonlyArray<Fidelity.Entrant>, width: number, every: number, leave: (i: number) => boolean) => {
  const standing = Standing.make(width)
  const prng = Prng.fromSeed("limits")
  const here: Array<Fidelity.Entrant> = []
  const gone = new Set<number>()
  for (const [i, entrant] of all.entries()) {
    here.push(entrant)
    standing.add(entrant)
    const limit = prng.nextInt(20) === 0 ? here.length : Math.floor(here.length / (3 + prng.nextInt(4)))
    const asked = standing.first(limit)
    const first = asked !== undefined && asked.place < limit ? asked : undefined
    if (i % every === every - 1 || i === all.length - 1) {
      const order = Fidelity.order(here)
      const place = order.findIndex(({ trial }) => !gone.has(trial))
      const expected = place < 0 || place >= limit ? undefined : { trial: order[place]?.trial, place }
      if (first?.trial !== expected?.trial || first?.place !== expected?.place) return { i, first, expected }
      const places = here.length < 100 ? order.keys() : [order.indexOf(entrant)].values()
      for (const expected of places) {
        const { trial } = order[expected] ?? entrant
        const place = standing.place(trial, limit)
        if (expected < limit ? place !== expected : place < limit) return { i, trial, limit, expected, place }
      }
    }
    if (first !== undefined && leave(i)) {
      gone.add(first.trial)
      standing.leave(first.trial)
    }
  }
  return undefined
}

describe("a standing", () => {
  it("has everyone's place and the first that waits after every result", () => {
    fc.assert(
      fc.property(kind, fc.nat(), width, fc.nat(200), fc.integer({ min: 1, max: 5 }), (name, seed, width, count, n) =>
        assert.isUndefined(strays(entrants(name, seed, width, count), width, 1, (i) => i % n === 0))
      ),
      { numRuns: 300 }
    )
  })

  it.each(["anyhow", "trade-off", "alike", "grid", "one by one"])(
    "of two thousand with two objectives (%s) has them too",
    (name) => assert.isUndefined(strays(entrants(name, 7, 2, 2000), 2, 23, (i) => i % 3 === 0))
  )

  it("of a front of thousands has them beside equal members, at its ends, and where better ones come in", () => {
    const prng = Prng.fromSeed("front")
    const trials = prng.permutation(3000)
    const all = Array.from(trials, (trial, i) => {
      const u = prng.nextInt(i % 500 === 499 ? 5000 : 1500)
      const better = i % 50 === 49 ? 1.5 : 0
      return { trial, objectives: [u + better, better - u] }
    })
    assert.isUndefined(strays(all, 2, 11, (i) => i % 4 === 0))
  })
})

const kinds: Readonly<Record<string, Fidelity.Fidelity>> = {
  halving: Fidelity.halving({ epochs: 9 }),
  asha: Fidelity.asha({ epochs: 9 }),
  "asha by two": Fidelity.asha({ epochs: 8, factor: 2 }),
  median: Fidelity.median({ epochs: 4, grace: 3 })
}

describe("a ladder", () => {
  it("lets go on whom the plain definition lets go on, in the same order", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(kinds)),
        kind,
        fc.nat(),
        width,
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 6 }),
        (fidelity, name, seed, width, count, ahead) => {
          const play = (ladder: Fidelity.Ladder) => {
            const prng = Prng.fromSeed(seed)
            const results = entrants(name, seed, width, count).toSorted((a, b) => a.trial - b.trial)
            const running: Array<Fidelity.Promotion> = []
            const log: Array<Fidelity.Promotion> = []
            let begun = 0
            for (;;) {
              while (running.length < ahead) {
                const closed = begun === count
                const promoted = ladder.next({ closed, idle: running.length === 0 })
                const next = promoted ?? (closed ? undefined : { trial: begun++, rung: 0 })
                if (next === undefined) break
                if (promoted !== undefined) log.push(promoted)
                ladder.enter(next.rung)
                running.push(next)
              }
              const done = running.shift()
              if (done === undefined) return log
              const { objectives } = results[done.trial] ?? { objectives: [] }
              const noisy = objectives.map((objective) => objective + done.rung * prng.nextInt(2))
              ladder.told(done.rung, prng.nextInt(9) === 0 ? undefined : { trial: done.trial, objectives: noisy })
            }
          }
          const fidelityOf = kinds[fidelity] ?? Fidelity.full
          assert.deepStrictEqual(play(Fidelity.ladder(fidelityOf)), play(Simple.ladder(fidelityOf)))
        }
      ),
      { numRuns: 400 }
    )
  })
})
