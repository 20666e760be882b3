import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { folder, here, tinyDataset, tinyNetwork } from "./support/cli.ts"
import { made, points } from "./support/run.ts"

/** Networks that differ in width; the wider ones are declared to be better. */
const networks = Array.from({ length: 8 }, (_, i) => ({
  architecture: { ...tinyNetwork, head: { channels: 8 * (i + 1) } },
  result: 0.5 + i / 100
}))

describe("uninet rank", () => {
  it.live("ranks a file's networks, and certifies the order by their results", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const file = join(below, "networks.json")
      writeFileSync(file, JSON.stringify(networks))
      const { code, stdout } = yield* here(["rank", file, "--by", "parameters,macs", "--json"])
      assert.strictEqual(code, 0)
      const said = JSON.parse(stdout)
      assert.deepStrictEqual(
        said.networks.map((network: { readonly ranks: { readonly macs: number } }) => network.ranks.macs),
        [8, 7, 6, 5, 4, 3, 2, 1]
      )
      assert.strictEqual(said.certificates.parameters.overall.spearman.value, 1)
      assert.isFalse(said.certificates.parameters.overall.clears)
      const table = yield* here(["rank", file, "--by", "macs,ridge"])
      assert.match(table.stdout, /\nridge (orders|is) /)
      assert.match(table.stdout, /macs orders them as MACs do/)
    })
  )

  it.live("scores on images of a data set, the same for a seed", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const file = join(below, "networks.json")
      writeFileSync(file, JSON.stringify(networks.slice(0, 1)))
      const score = (...rest: ReadonlyArray<string>) =>
        Effect.map(
          here(["rank", file, "--by", "naswot,snip", "--batch", "4", "--device", "portable", "--json", ...rest]),
          ({ stdout }) => JSON.parse(stdout).networks[0].scores
        )
      const onNoise = yield* score()
      assert.isAbove(onNoise.snip, 0)
      assert.deepStrictEqual(yield* score(), onNoise)
      assert.notDeepEqual(yield* score("--dataset", tinyDataset(below)), onNoise)
    })
  )

  it.live("extrapolates what a search's trials were after their first epochs, those that were stopped as well", () =>
    Effect.gen(function* () {
      const accuracies = Array.from({ length: 12 }, (_, i) => 0.5 + ((5 * i) % 12) / 30)
      const given = { accuracies, stopped: [3] }
      const run = yield* made(yield* folder, "run", given)
      writeFileSync(join(run, "best.json"), JSON.stringify({ architecture: points(given)[0] }))
      const { code, stderr, stdout } = yield* here(["rank", run, "--by", "curve,trees", "--after", "1", "--json"])
      assert.strictEqual(code, 0, stderr)
      const { certificates, networks } = JSON.parse(stdout)
      assert.deepStrictEqual([networks.length, networks[3].result], [12, null])
      assert.isAbove(certificates.curve.overall.spearman.value, 0.99)
      assert.strictEqual(certificates.curve.networks, 11)
      assert.approximately(networks[3].scores.curve, accuracies[3] ?? 0, 0.02)
      assert.isNumber(networks[3].scores.trees)
      // Without it, what was not trained to the end is not a result.
      const ended = JSON.parse((yield* here(["rank", run, "--by", "macs", "--json"])).stdout)
      assert.strictEqual(ended.networks.length, 11)
      const all = yield* here(["rank", run, "--by", "curve", "--after", "2"])
      assert.match(all.stderr, /--after is 2, but the longest trials of .*run have 2 epochs\. Give fewer\./)
    })
  )

  it.live("says what is wrong with what it was given", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "cells.json")
      writeFileSync(file, '["|none~0|"]')
      for (const [args, code, text] of [
        [["nothing.json"], 2, /"nothing.json" is neither a space \(uninet, /],
        [["uninet", "--by", "taste"], 2, /--by has "taste". Give some of parameters, /],
        [
          ["uninet", "--by", "curve"],
          2,
          /--by has curve, which uses first epochs\. Give a search's folder, and the number of epochs with --after/
        ],
        [["uninet", "--after", "1"], 2, /"uninet" is not a search's folder, so there are no first epochs/],
        [["uninet", "--batch", "5"], 2, /Give an even number of 4 or more/],
        [[file], 1, /element 0: "\|none~0\|" is not a cell of NAS-Bench-201/]
      ] as const) {
        const ran = yield* here(["rank", ...args])
        assert.deepStrictEqual([ran.code, ran.stdout], [code, ""])
        assert.match(ran.stderr, text)
      }
    })
  )
})
