/**
 * Compares a search for accuracy under a latency ceiling with the same search under a MACs ceiling: `uninet experiment` with two arms, each
 * searched once with every seed, and the networks they found measured in turns.
 *
 *     node bench/latency-search.ts device.json [--form ceiling] [--dataset mnist] [--out runs/latency-search] [--quantile 0.02] [--trials 32] [--examples 15000] [--seeds 5] [--strategy evolution] [--again 3] [--epochs 4] [--workers 2] [--device cpu] [--rounds 60] [--dry-run]
 *
 * The device file is for UniNet's space with the data set's pictures (`uninet profile --out device.json`; MNIST's pictures have the same
 * size as Fashion-MNIST's). If it is stopped, the same command resumes it; if it is finished, the command measures the networks again. The
 * tables are written to `latency-search.md` in the folder, next to those of the experiment; `--dry-run` prints the ceilings and how long it
 * would take.
 *
 * The ceilings: for many random networks of the space, the `--quantile` of the predicted latencies is the latency ceiling: one in fifty
 * meets it. The MACs ceiling is the one at which networks take that long in the median: the networks are sorted by MACs, and the ceiling is
 * in the middle of those neighbours, as many as `around` says, whose median latency is closest. Someone who has only counted MACs, and
 * wants that latency, would choose it.
 *
 * `--form reward` uses the same figures as targets of MnasNet's reward, accuracy · (cost / target)^`--exponent` (default −0.07), and
 * excludes nothing.
 */
import { Strategies } from "@uninet/controller"
import { Datasets } from "@uninet/data"
import { Device, Form, Load, Statistics, Stopwatch } from "@uninet/latency"
import { Facts, ModelSpace } from "@uninet/model-space"
import { Contrast, type Experiment, Reward } from "@uninet/search"
import { Prng, Space } from "@uninet/search-space"
import { UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { spawn } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Reading from "./experiments/reading.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    form: { type: "string", default: "ceiling" },
    exponent: { type: "string", default: "-0.07" },
    dataset: { type: "string", default: "mnist" },
    out: { type: "string", default: "runs/latency-search" },
    quantile: { type: "string", default: "0.02" },
    trials: { type: "string", default: "32" },
    examples: { type: "string" },
    seeds: { type: "string", default: "5" },
    strategy: { type: "string", default: "evolution" },
    again: { type: "string", default: "3" },
    epochs: { type: "string", default: "4" },
    workers: { type: "string" },
    device: { type: "string" },
    rounds: { type: "string", default: "60" },
    "dry-run": { type: "boolean", default: false }
  }
})
const [deviceFile] = positionals
const { dataset, form, strategy } = values
if (deviceFile === undefined || !Strategies.isName(strategy) || (form !== "ceiling" && form !== "reward")) {
  console.error(
    `Give a device file of uninet profile, --strategy one of ${Strategies.names.join(", ")}, and --form ceiling or reward.`
  )
  process.exit(1)
}

const facts = Facts.of(await Effect.runPromise(Effect.scoped(Datasets.make(dataset))))
const of = ModelSpace.erased(Result.getOrThrow(UniNetSpace.forData()(facts)))
const text = readFileSync(deviceFile, "utf8")
const device = Result.getOrThrow(Device.parse(text))
Result.getOrThrow(Device.fits(of)(device))
const latencyOf = Device.latency(device)(of)

const draws = 20_000
const around = 201

/** The ceilings as defined above, and how MACs and latency are related. */
const ceilings = () => {
  const prng = Prng.fromSeed("ceilings")
  const drawn = Array.from({ length: draws }, () => Space.sample(prng)(of.space))
    .map((point) => ({ macs: of.costs["macs"]?.(point) ?? Number.NaN, latency: latencyOf(point) }))
    .toSorted((a, b) => a.macs - b.macs)
  const latency = Statistics.quantile(Number(values.quantile))(drawn.map((each) => each.latency))
  const half = (around - 1) / 2
  let [macs, nearest] = [Number.NaN, Infinity]
  for (let i = half; i < draws - half; i++) {
    const off = Math.abs(Statistics.median(drawn.slice(i - half, i + half + 1).map((each) => each.latency)) - latency)
    if (off < nearest) [macs, nearest] = [drawn[i]?.macs ?? macs, off]
  }
  const at = drawn.filter((each) => Math.abs(each.macs / macs - 1) < 0.05).map((each) => each.latency)
  return {
    latency: Number(latency.toPrecision(4)),
    macs: Math.round(macs),
    // For networks within 5% of that ceiling.
    quartiles: [0.25, 0.5, 0.75].map((share) => Statistics.quantile(share)(at)),
    within: drawn.filter((each) => each.macs <= macs).length / draws
  }
}

const arms = ["macs", "latency"] as const
const found = ceilings()
const seeds = Array.from({ length: Reading.count("seeds", values.seeds) }, (_, seed) => String(seed))
const arm = (cost: (typeof arms)[number]) =>
  form === "ceiling"
    ? { within: { [cost]: { max: found[cost] } } }
    : { reward: Reward.mnas({ cost, target: found[cost], exponent: Number(values.exponent) }) }
const experiment = {
  dataset: Datasets.names.includes(dataset) ? dataset : resolve(dataset),
  strategy,
  seeds,
  budget: { trials: Reading.count("trials", values.trials) },
  ...(values.examples === undefined ? {} : { examples: Reading.count("examples", values.examples) }),
  deviceFile: "device.json",
  retrain: { seeds: Reading.count("again", values.again), epochs: Reading.count("epochs", values.epochs) },
  arms: { macs: arm("macs"), latency: arm("latency") }
} satisfies Experiment.Input

mkdirSync(values.out, { recursive: true })
writeFileSync(join(values.out, "device.json"), text)
const file = join(values.out, "latency-search.json")
writeFileSync(file, `${JSON.stringify(experiment, null, 2)}\n`)
const quartiles = found.quartiles.map((milliseconds) => milliseconds.toFixed(3))
const bounds = form === "ceiling" ? "Ceilings" : "Targets"
console.error(
  `${bounds}: ${found.latency} ms, or ${found.macs} MACs, about which half of the networks take ${quartiles[0]} to ${quartiles[2]} ms (median ${quartiles[1]}) and under which ${(100 * found.within).toFixed(0)}% of random networks are`
)

/** Runs or resumes it: the experiment handles Ctrl-C itself. */
const folder = join(values.out, "experiment")
const bin = fileURLToPath(new URL("../packages/cli/src/bin.ts", import.meta.url))
const more = [
  ...(values.workers === undefined ? [] : ["--workers", values.workers]),
  ...(values.device === undefined ? [] : ["--device", values.device]),
  ...(values["dry-run"] ? ["--dry-run"] : [])
]
process.on("SIGINT", () => {})
const code = await new Promise<number>((resolve) => {
  spawn(process.execPath, [bin, "experiment", file, "--out", folder, ...more], { stdio: "inherit" }).on(
    "close",
    (code) => resolve(code ?? 1)
  )
})
if (code !== 0 || values["dry-run"]) process.exit(code)

interface Results {
  readonly contrasts: ReadonlyArray<Contrast.Contrast>
  readonly arms: ReadonlyArray<{
    readonly name: string
    readonly searches: ReadonlyArray<{
      readonly seed: string
      readonly best: {
        readonly point: unknown
        readonly costs: Readonly<Record<string, number>>
      } | null
    }>
    readonly trained: ReadonlyArray<{ readonly seed: string; readonly test: Readonly<Record<string, number>> }>
  }>
}
const results: Results = JSON.parse(readFileSync(join(folder, "results.json"), "utf8"))

const rows = results.arms.flatMap(({ name, searches, trained }) =>
  searches.flatMap(({ best, seed }) => {
    if (best === null) return []
    const tests = trained.filter((each) => each.seed === seed).map(({ test }) => test["accuracy"] ?? Number.NaN)
    const model = Result.getOrThrow(of.model(Result.getOrThrow(ModelSpace.read(best.point)(of))))
    return [
      {
        arm: name,
        seed,
        costs: best.costs,
        accuracy: Contrast.estimate(tests).mean,
        file: Result.getOrThrow(Form.of(model))
      }
    ]
  })
)
console.error(`measuring ${rows.length} networks in turns …`)
const measured = await Effect.runPromise(
  Stopwatch.measure({ target: device.target, rounds: Number(values.rounds) })(
    rows.map(({ arm, file, seed }) => ({ name: `${arm} ${seed}`, file }))
  )
)
// Assumes the machine to be as fast as when it was profiled.
const pace = device.reference / measured.reference.milliseconds
const latencies = rows.map((_, i) => pace * (measured.models[i]?.latency.value ?? Number.NaN))

const table = (head: ReadonlyArray<string>, body: ReadonlyArray<ReadonlyArray<string>>) =>
  [head, head.map((_, i) => (i === 0 ? "---" : "---:")), ...body].map((row) => `| ${row.join(" | ")} |`).join("\n")

/** The pairs of seeds: how one arm's figure compares with the other's. */
const paired = (of: (i: number) => number) =>
  Contrast.estimate(
    seeds.flatMap((seed) => {
      const [macs, latency] = arms.map((arm) => rows.findIndex((row) => row.arm === arm && row.seed === seed))
      return macs === undefined || latency === undefined || macs < 0 || latency < 0 ? [] : [of(latency) - of(macs)]
    })
  )
const interval = ({ high, low, mean }: Contrast.Estimate, shown: (value: number) => string) =>
  low === null || high === null ? shown(mean) : `${shown(mean)} (${shown(low)} … ${shown(high)})`
const ratio = (values: (i: number) => number) =>
  interval(
    paired((i) => Math.log(values(i))),
    (value) => Math.exp(value).toFixed(3)
  )
const percent = (share: number) => `${(100 * share).toFixed(2)}%`

const isDisturbed = measured.others > Load.quiet || measured.reference.drift > Stopwatch.steady
const byMacs = rows.filter(({ arm }) => arm === "macs")
const slower = byMacs.filter(({ costs }) => (costs["latency"] ?? Number.NaN) > found.latency)
const tables = [
  `${bounds}: ${found.latency} ms; ${found.macs} MACs, about which half of the networks take ${quartiles[0]} to ${quartiles[2]} ms. ${values.trials} trials by ${strategy} on ${dataset}${values.examples === undefined ? "" : `, ${values.examples} examples an epoch`}.`,
  `Of the ${byMacs.length} networks found by their MACs ${slower.length} take longer than ${found.latency} ms by prediction: on so many the latency binds.`,
  `Measured on ${measured.machine.processor}, ${isDisturbed ? "by the quickest tenth" : "in the median"} of ${values.rounds} turns, others with ${measured.others.toFixed(2)} cores, drift ${percent(measured.reference.drift)}; as on the machine when it was profiled.`,
  "",
  table(
    [`${form === "ceiling" ? "ceiling" : "reward"} of`, "seed", "test accuracy", "MACs", "ms predicted", "ms measured"],
    rows.map(({ accuracy, arm, costs, seed }, i) => [
      arm,
      seed,
      percent(accuracy),
      `${((costs["macs"] ?? Number.NaN) / 1e6).toFixed(2)} M`,
      (costs["latency"] ?? Number.NaN).toFixed(3),
      latencies[i]?.toFixed(3) ?? ""
    ])
  ),
  "",
  "latency against macs, paired by seed, with 95% intervals:",
  "",
  table(
    ["accuracy, points", "measured latency, ratio", "predicted latency, ratio", "MACs, ratio"],
    [
      [
        interval(
          paired((i) => 100 * (rows[i]?.accuracy ?? Number.NaN)),
          (value) => `${value > 0 ? "+" : ""}${value.toFixed(2)}`
        ),
        ratio((i) => latencies[i] ?? Number.NaN),
        ratio((i) => rows[i]?.costs["latency"] ?? Number.NaN),
        ratio((i) => rows[i]?.costs["macs"] ?? Number.NaN)
      ]
    ]
  )
].join("\n")
writeFileSync(join(values.out, "latency-search.md"), `${tables}\n`)
console.log(`\n${tables}`)
