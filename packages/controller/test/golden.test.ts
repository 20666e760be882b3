/** On spaces whose choices are listed, the proposals are the same as in the version before there were numbers. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { domains, played, strategies } from "./support/played.ts"
import { provided } from "./support/strategies.ts"

/** Hashes of the first 90 proposals, from the version that had no continuous choices; those of bananas are from the version that introduced it. */
const golden: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  mixed: {
    random: "aca321a65330b140",
    grid: "NotEnumerable",
    evolution: "af49e75881035531",
    "local-search": "00fd0bf35b1a9d49",
    tpe: "0fc7eceddf5b0c71",
    gp: "a42a2794157346df",
    bananas: "265fc5602bfc97f2",
    nsga2: "952735b853570bee",
    "nsga2 by crowding": "36086ef00007c068"
  },
  light: {
    random: "0ef3685b977ae8bb",
    grid: "2c3d077a1f9a1430",
    evolution: "b363ec532b170a68",
    "local-search": "21445fc91d5ef23c",
    tpe: "6ccea9308c9ae520",
    gp: "d0133e4c38acbf4b",
    bananas: "9b46bc097914702c",
    nsga2: "f680a892c64b2ba6",
    "nsga2 by crowding": "e56b545f0dcc57a1"
  },
  row: {
    random: "71c4c67bfbd56852",
    grid: "NotEnumerable",
    evolution: "62068a2ffaba191c",
    "local-search": "34a09fed3eebe36e",
    tpe: "c92ddd3f377700db",
    gp: "08e647737a709388",
    bananas: "35518e2e6b6d7a67",
    nsga2: "3e7527c7a1e10853",
    "nsga2 by crowding": "fdb622b62e66cbc5"
  },
  chained: {
    random: "61593f26af9c6030",
    grid: "NotEnumerable",
    evolution: "bf1bf703c23acc3c",
    "local-search": "7d22ae65369030c5",
    tpe: "b7e9a87c1fc80a16",
    gp: "ebb800f5a62b0138",
    bananas: "62f139396c566aea",
    nsga2: "9d0fa19c0dd4727d",
    "nsga2 by crowding": "6d621c36161e78a8"
  }
}

/** The same for the first 1,500, which are more than any strategy remembers. */
const later: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  row: { tpe: "bf8530a016504ff8", "local-search": "9be88033473ff279", evolution: "73637755fd746203" },
  chained: { tpe: "772a2bb112090034", "local-search": "4129dde5f88272e7", evolution: "7335c18322a3f87f" }
}

describe("the first proposals", () => {
  it.effect.each(Object.entries(domains))("on the space %s are what they always were", ([space, on]) =>
    Effect.gen(function* () {
      for (const [name, make] of Object.entries(strategies)) {
        assert.strictEqual(yield* on((domain) => played(name, make, domain, 90)), golden[space]?.[name], name)
      }
    }).pipe(provided)
  )

  it.effect.each(Object.entries(later))("on the space %s are the same for longer", ([space, hashes]) =>
    Effect.gen(function* () {
      for (const [name, hash] of Object.entries(hashes)) {
        const make = strategies[name]
        const on = domains[space]
        assert.isTrue(make !== undefined && on !== undefined)
        if (make === undefined || on === undefined) continue
        assert.strictEqual(yield* on((domain) => played(name, make, domain, 1500)), hash, name)
      }
    }).pipe(provided)
  )
})
