import { assert, describe, it } from "@effect/vitest"
import { UniNet } from "@uninet/uninet"
import { Coefficients } from "@uninet/scaler"
import { Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { folder, here, tinyDataset, uninet } from "./support/cli.ts"

const stage = { operator: "DWConv", expansion: 2, channels: 8, repeats: 1 }

const architecture = {
  image: { channels: 1, height: 12, width: 12 },
  // A folder of IDX files has ten.
  classes: 10,
  stem: { channels: 8, stride: 1 },
  stages: [
    { ...stage, dsm: null, expansion: 1, stride: 1 },
    { ...stage, dsm: "L", stride: 2 },
    { ...stage, dsm: "LG", operator: "SA", repeats: 2, channels: 16, stride: 2 }
  ],
  head: { channels: 32 },
  headDim: 8
}

const prepare = Effect.map(folder, (below) => {
  const network = join(below, "network.json")
  writeFileSync(network, JSON.stringify(architecture))
  return { below, network, dataset: tinyDataset(below) }
})

const json = (file: string) => JSON.parse(readFileSync(file, "utf8"))

describe("uninet scale", () => {
  it.live(
    "of B0 is the published family, one file a member, which inspect reads",
    () =>
      Effect.gen(function* () {
        const below = yield* folder
        const { code, stderr, stdout } = yield* here([
          "scale",
          "B0",
          "--phi",
          "1..6",
          "--out",
          join(below, "b"),
          "--json"
        ])
        assert.strictEqual(code, 0, stderr)
        const { baseline, coefficients, members, method } = JSON.parse(stdout)
        assert.deepStrictEqual([method, coefficients, baseline.costs.parameters], ["Published", null, 11_450_864])
        assert.deepStrictEqual(
          members.map((m: { readonly costs: { readonly parameters: number } }) => m.costs.parameters),
          [11_450_864, 16_211_472, 24_020_184, 43_796_288, 72_883_072, 116_687_344]
        )
        const names = readdirSync(join(below, "b")).filter((name) => name.startsWith("phi"))
        assert.deepStrictEqual(
          names,
          [1, 2, 3, 4, 5, 6].map((phi) => `phi-${phi}.json`)
        )
        const inspected = JSON.parse((yield* here(["inspect", join(below, "b/phi-2.json"), "--json"])).stdout)
        assert.deepStrictEqual(inspected.network.point, UniNet.B2)
        assert.strictEqual(inspected.macs, members[1].costs.macs)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "of a run has members that train, from the weights that they inherit",
    () =>
      Effect.gen(function* () {
        const { below, dataset, network } = yield* prepare
        const train = (...args: ReadonlyArray<string>) =>
          here(["train", ...args, "--dataset", dataset, "--epochs", "1", "--batch", "32", "--json"])
        const inside = (name: string) => join(below, name)
        assert.strictEqual((yield* train(network, "--out", inside("run"))).code, 0)
        const { code, stderr, stdout } = yield* uninet(
          ["scale", "run", "--phi", "1..2", "--inherit", "--out", "family"],
          {
            cwd: below
          }
        )
        assert.strictEqual(code, 0, stderr)
        assert.match(stdout, /│ φ │ +input │ depth │ width │ parameters │ +MACs │ × baseline │ +memory │/)
        assert.match(stdout, /family\/ has phi-1\.json, phi-2\.json; train one with: .* train family\/phi-1\.json/)
        const [one, two] = [1, 2].map((phi) => json(join(below, `family/phi-${phi}.json`)))
        assert.closeTo(one.costs.macs / one.target, 1, 0.03)
        assert.closeTo(two.costs.macs / one.target, 2, 0.06)
        assert.isAbove(two.costs.parameters, one.costs.parameters)
        const trained = yield* train(
          inside("family/phi-1.json"),
          "--weights",
          inside("family/phi-1.safetensors"),
          "--out",
          inside("one")
        )
        assert.strictEqual(trained.code, 0, trained.stderr)
        assert.include(json(join(below, "one/train.json")).weights, "phi-1.safetensors")
        const other = yield* train(
          inside("family/phi-2.json"),
          "--weights",
          inside("family/phi-1.safetensors"),
          "--out",
          inside("two")
        )
        assert.strictEqual(other.code, 1)
        assert.match(other.stderr, /uninet: .*phi-1\.safetensors: the weights are not this network's/)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "searches the coefficients, and goes on after a kill without training anything twice",
    () =>
      Effect.gen(function* () {
        const { below, dataset, network } = yield* prepare
        const settings = ["--search", "--image", "12", "--dataset", dataset, "--batch", "32", "--workers", "1"]
        const begin = ["scale", network, ...settings, "--seed", "s", "--phi", "1,2", "--out", "family"]
        const killed = yield* uninet(begin, { cwd: below, until: /trial 1:/, signal: "SIGKILL" })
        assert.notStrictEqual(killed.code, 0)
        const resumed = yield* uninet(["scale", "--resume", "family", "--json"], { cwd: below })
        assert.strictEqual(resumed.code, 0, resumed.stderr)
        assert.match(resumed.stderr, /^[2-9] trials already in the journal/)
        const { coefficients, grid, members } = JSON.parse(resumed.stdout)
        assert.closeTo(Coefficients.product(coefficients), 2, 0.1)
        assert.isAbove(grid.length, 2)
        const best = Math.max(...grid.map(({ accuracy }: { readonly accuracy: number }) => accuracy))
        assert.include(
          grid
            .filter(({ accuracy }: { readonly accuracy: number }) => accuracy === best)
            .map((each: { readonly coefficients: unknown }) => JSON.stringify(each.coefficients)),
          JSON.stringify(coefficients)
        )
        for (const { network, costs, target } of members) {
          assert.closeTo(costs.macs / target, 1, 0.03)
          assert.strictEqual(network.point.image.height, 12)
        }
        const { entries, identity } = yield* Journal.read(join(below, "family/journal.db"))
        // It knows its data, as a search's journal does.
        assert.match(JSON.stringify(identity.surroundings), /^\[\{"data":"[0-9a-f]{16}","software":"uninet /)
        const finished = entries.filter(({ entry }) => entry._tag === "Finished")
        assert.strictEqual(finished.length, grid.length)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "answers mistakes in a sentence that names the bound, and writes nothing",
    () =>
      Effect.gen(function* () {
        const { below, dataset, network } = yield* prepare
        const out = join(below, "out")
        const said = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
          const { code, stderr } = yield* here(["scale", ...args, "--out", out])
          return `${code}: ${stderr.split("\n")[0]}`
        })
        const messages = yield* Effect.all(
          [
            said("B0", "--phi", "7"),
            said("B1", "--phi", "30"),
            said(network, "--target-macs", "1K"),
            ...["3..1", "a", "-1", "1..", "1000", "1.5..3"].map((phi) => said(network, `--phi=${phi}`)),
            said(network, "--phi", "1", "--target-macs", "1M"),
            said(network, "--coefficients", "1,1,1"),
            said(network, "--epochs", "2"),
            said("B0", "--inherit"),
            said(network, "--inherit"),
            said("nowhere.json"),
            said("B1", "--search", "--dataset", dataset)
          ],
          { concurrency: 2 }
        )
        const expected = [
          /^1: uninet: --phi: there is no published member at φ = 7 of a family whose members are at φ = 0 to 6/,
          /^1: uninet: --phi: φ = \d+ \(.* MACs\) is out of reach: the image stops at its limit of 1024 pixels/,
          /^1: uninet: --target-macs: the target of 1,000 MACs is below the baseline's [\d,]+;/,
          ...Array.from(
            { length: 6 },
            () => /^2: uninet: --phi is ".*"\. Give numbers from 0 to 100, such as 2, or 1,2,3/
          ),
          /^2: uninet: --phi and --target-macs both say how large/,
          /^2: uninet: --coefficients: the coefficients 1, 1, 1 .* give α·β²·γ² = 1\.000; give three numbers/,
          /^2: uninet: --epochs has no meaning without --search/,
          /^2: uninet: --inherit needs trained weights, and there are none here for B0/,
          /^1: uninet: .*network\.safetensors cannot be read/,
          /^1: uninet: "nowhere\.json" is neither one of B0, /,
          /^1: uninet: --dataset: .*1×12×12/
        ]
        expected.forEach((pattern, i) => assert.match(messages[i], pattern))
        assert.notInclude(readdirSync(below), "out")
      }).pipe(Effect.scoped),
    120_000
  )
})
