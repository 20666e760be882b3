/**
 * The trainings of a whole search compared with PyTorch's, in wall time and in alternation.
 *
 *   node bench/search-pytorch/compare.ts [--trials 32] [--rounds 3] [--devices cpu,loops] [--seed 0]
 *
 * Ours is `uninet search`, as `npm start` runs it, from the start of its process to the last trial's end: strategy, journal, data and
 * compilation included. Theirs trains the same networks on the same images with the same recipe (`search.py`), from the start of its
 * process to its end. The networks depend on the accuracies that the search saw, so where a device's networks differ from the first one's,
 * PyTorch trains that device's as well. `pnpm bench:pytorch` installs PyTorch. Prints Markdown tables.
 */
import { Mnist } from "@uninet/data"
import { Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { median, python } from "../workers.ts"

const { values: options } = parseArgs({
  options: {
    trials: { type: "string", default: "32" },
    rounds: { type: "string", default: "3" },
    devices: { type: "string", default: "cpu,loops" },
    seed: { type: "string", default: "0" }
  }
})
const rounds = Number(options.rounds)
const devices = options.devices.split(",")
const here = (path: string) => new URL(path, import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), "uninet-bench-"))
const theirPython = python()
const environment = { ...process.env, OPENBLAS_CORETYPE: undefined, OPENBLAS_L2_SIZE: undefined }

/** Runs a command until it ends; returns its output and its start time, in milliseconds since 1970. */
const run = async (command: string, args: ReadonlyArray<string>) => {
  const started = Date.now()
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"], env: environment })
  const closed = once(child, "close")
  let printed = ""
  for await (const text of child.stdout.setEncoding("utf8")) printed += text
  const [code] = await closed
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}.`)
  return { started, ended: Date.now(), printed }
}

interface Trained {
  readonly trial: number
  readonly accuracy: number
}

interface Searched {
  readonly seconds: number
  /** As in the journal: plain JSON. */
  readonly recipe: unknown
  readonly trained: ReadonlyArray<Trained & { readonly architecture: unknown }>
}

let searches = 0
const search = async (device: string): Promise<Searched> => {
  const out = join(folder, `search-${searches++}`)
  const { started } = await run(process.execPath, [
    "--disable-warning=ExperimentalWarning",
    here("../../packages/cli/src/bin.ts"),
    ...`search --dataset mnist --trials ${options.trials} --seed ${options.seed} --device ${device}`.split(" "),
    // What follows the trials is not compared, and is kept short.
    ...`--finalists 1 --final-epochs 1 --json --out ${out}`.split(" ")
  ])
  const { entries, identity } = await Effect.runPromise(Journal.read(join(out, "journal.db")))
  const points = new Map<number, unknown>()
  const trained: Array<Searched["trained"][number]> = []
  let last = started
  for (const { at, entry } of entries) {
    if (entry._tag === "Proposed") points.set(entry.trial, entry.point)
    if (entry._tag === "Failed") throw new Error(`Trial ${entry.trial} failed: ${entry.detail}`)
    if (entry._tag === "Finished") {
      last = at
      const accuracy = entry.evaluation.measures["accuracy"] ?? Number.NaN
      trained.push({ trial: entry.trial, accuracy, architecture: points.get(entry.trial) })
    }
  }
  return { seconds: (last - started) / 1000, trained, recipe: identity.settings["recipe"] }
}

const bytes = (array: Float32Array | Int32Array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength)

/** PyTorch's input: images, labels and recipe are those of the search. */
const writeData = Effect.gen(function* () {
  const data = yield* Mnist.make()
  for (const name of ["train", "validation"] as const) {
    const { inputs, targets } = yield* data[name].all
    writeFileSync(join(folder, `${name}.images`), bytes(inputs.image))
    writeFileSync(join(folder, `${name}.labels`), bytes(targets))
  }
  return [data.image.channels, data.image.height, data.image.width]
})

const pytorch = async (shape: ReadonlyArray<number>, { recipe, trained }: Searched) => {
  const networks = trained
    .toSorted((a, b) => a.trial - b.trial)
    .map(({ architecture, trial }) => ({ trial, architecture }))
  writeFileSync(join(folder, "search.json"), JSON.stringify({ networks, shape, recipe }))
  const { ended, printed, started } = await run(theirPython, [here("search.py"), folder, "2"])
  const found: ReadonlyArray<Trained> = printed
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
  return { seconds: (ended - started) / 1000, trained: found }
}

const mean = (numbers: ReadonlyArray<number>) => numbers.reduce((a, b) => a + b, 0) / numbers.length
const range = (all: ReadonlyArray<{ readonly seconds: number }>) =>
  `${Math.min(...all.map(({ seconds }) => seconds)).toFixed(1)}–${Math.max(...all.map(({ seconds }) => seconds)).toFixed(1)} s`
const percent = (share: number) => `${(100 * share).toFixed(1)}%`

try {
  const shape = await Effect.runPromise(writeData)
  const ours = new Map(devices.map((device): [string, Array<Searched>] => [device, []]))
  const theirs = new Map(devices.map((device): [string, Array<Awaited<ReturnType<typeof pytorch>>>] => [device, []]))
  for (let i = 0; i < rounds; i++)
    for (const device of devices) {
      const found = await search(device)
      const other = await pytorch(shape, found)
      ours.get(device)?.push(found)
      theirs.get(device)?.push(other)
      console.error(
        `round ${i + 1}, ${device}: ${found.trained.length} networks, ${found.seconds.toFixed(1)} s; PyTorch ${other.seconds.toFixed(1)} s`
      )
    }
  console.log(
    "| device | networks | UniNet, median | range | PyTorch, median | range | ratio, median | mean accuracy of UniNet's | of PyTorch's | mean difference ± standard error |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
  )
  for (const device of devices) {
    const [own, other] = [ours.get(device) ?? [], theirs.get(device) ?? []]
    const ratios = own.map((one, i) => (other[i]?.seconds ?? Number.NaN) / one.seconds)
    const differences = own.flatMap((one, i) =>
      one.trained.map(
        ({ accuracy, trial }) =>
          accuracy - (other[i]?.trained.find((match) => match.trial === trial)?.accuracy ?? Number.NaN)
      )
    )
    const centre = mean(differences)
    const error = Math.sqrt(mean(differences.map((d) => (d - centre) ** 2)) / differences.length)
    const accuracies = (all: ReadonlyArray<{ readonly trained: ReadonlyArray<Trained> }>) =>
      percent(mean(all.flatMap((one) => one.trained.map(({ accuracy }) => accuracy))))
    console.log(
      `| ${[
        device,
        own[0]?.trained.length,
        `${median(own.map((one) => one.seconds)).toFixed(1)} s`,
        range(own),
        `${median(other.map((one) => one.seconds)).toFixed(1)} s`,
        range(other),
        `**${median(ratios).toFixed(2)}**`,
        accuracies(own),
        accuracies(other),
        `${(100 * centre).toFixed(2)} ± ${(100 * error).toFixed(2)} points`
      ].join(" | ")} |`
    )
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
