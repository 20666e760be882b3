/**
 * Checks that Optuna, TensorBoard and MLflow themselves can read what `uninet export-trials` writes: the same trials, choices, values and
 * curves, and the same best trial.
 *
 *   node tools/trial-exports.ts [--environment FOLDER] [--python python3] [RUN]
 *
 * The three packages are installed from PyPI into a virtual environment, by default in the folder for temporary files, where the next run
 * finds it again. Without a run's folder, a small search is invented, with choices of all kinds, trials that failed and were refused, and
 * names in several scripts.
 */
import { MlflowStore, OptunaStorage, TensorBoard, Trials } from "@uninet/export"
import { Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import { parseArgs } from "node:util"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    environment: { type: "string", default: join(tmpdir(), "uninet-trial-exports") },
    python: { type: "string", default: "python3" }
  }
})
const here = (file: string) => new URL(`trial-exports/${file}`, import.meta.url).pathname
const python = join(values.environment, "bin", "python")

const failed = (sentence: string): never => {
  console.error(sentence)
  process.exit(1)
}

/** What a search might have left. */
const madeUp = (): Trials.Table => {
  const entries = Array.from({ length: 12 }, (_, trial): ReadonlyArray<Journal.Stored> => {
    const at = 1_760_000_000_000 + 60_000 * trial
    const point = {
      stages: [{ operator: trial % 3 === 0 ? "conv" : "注意", channels: 8 * (1 + (trial % 4)) }],
      "learning rate": 0.001 * (trial + 1),
      bias: trial % 2 === 0,
      pool: trial % 4 === 0 ? null : "max"
    }
    const costs = { macs: 1e6 * (trial + 1), parameters: 1e4 }
    if (trial === 5) return [{ at, entry: { _tag: "Refused", trial, hash: "r", point, why: "it is too large" } }]
    const proposed: Journal.Stored = {
      at,
      entry: {
        _tag: "Proposed",
        trial,
        hash: String(trial),
        point,
        line: `network ${trial}`,
        costs,
        seed: String(trial)
      }
    }
    const reward = Math.sin(trial)
    return [
      proposed,
      {
        at: at + 30_000,
        entry:
          trial === 7
            ? { _tag: "Failed", trial, reason: "Diverged", detail: "the loss: was NaN\nat step 3" }
            : { _tag: "Finished", trial, evaluation: { measures: { accuracy: reward }, epochs: 3 }, reward }
      }
    ]
  }).flat()
  const trainings = [0, 1, 2, 3, 7].map((trial): Journal.Trained => ({
    trial,
    step: 1,
    place: { host: "rack-3", process: 7, engine: "onnxruntime 1.30.0 cpu", device: "cpu" },
    begun: 1_760_000_000_500 + 60_000 * trial,
    ended: 1_760_000_029_500 + 60_000 * trial,
    curve: { epochs: [1, 2, 3], loss: [3, 2, trial === 7 ? null : 1], measures: { accuracy: [null, 0.25, 0.5] } }
  }))
  const identity = { space: "made up", seed: "1", settings: { strategy: "random" } }
  return Trials.of("made up", identity, entries, trainings)
}

const read = (folder: string) =>
  Effect.gen(function* () {
    const reader = yield* Journal.reader(join(folder, "journal.db"))
    return Trials.of(basename(folder), yield* reader.identity, yield* reader.entries(), yield* reader.trainings())
  }).pipe(Effect.scoped, Effect.runPromise)

interface Found {
  readonly trials: ReadonlyArray<{
    readonly trial: number
    readonly state: string
    readonly parameters: Readonly<Record<string, Trials.Scalar>>
    readonly value: number | null
    readonly curve: ReadonlyArray<readonly [number, number]>
  }>
  readonly best: number
}

const close = (a: number, b: number) => Math.abs(a - b) <= 1e-6 * Math.max(1, Math.abs(b))

/** How a tool's trials differ from the table's; nothing if they are the same. MLflow, and columns with several types, only store text. */
const differing = (tool: string, table: Trials.Table, { best, trials }: Found): ReadonlyArray<string> => {
  const rows = table.rows.filter(({ state }) => state !== "refused")
  const of = (row: Trials.Row) => Trials.valueOf(table.objectives[0] ?? { name: "reward", direction: "higher" })(row)
  const states = { finished: "COMPLETE", failed: "FAIL", running: "RUNNING", refused: "" }
  const problems = rows.flatMap((row, i) => {
    const found = trials[i]
    if (found === undefined || found.trial !== row.trial) return [`trial ${row.trial} is missing`]
    const value = row.state === "finished" ? of(row) : undefined
    const curve = (row.curve?.epochs ?? []).flatMap((epoch, e) => {
      const loss = row.curve?.loss[e] ?? null
      return loss === null ? [] : [[epoch, loss] as const]
    })
    return [
      ...(found.state === states[row.state] ? [] : [`trial ${row.trial} is ${found.state}`]),
      ...((value === undefined) === (found.value === null) && (value === undefined || close(found.value ?? 0, value))
        ? []
        : [`trial ${row.trial} is worth ${found.value}, not ${value}`]),
      ...Object.entries(row.parameters).flatMap(([name, is]) => {
        const other = found.parameters[name]
        const isSame =
          typeof is === "number" && typeof other === "number" ? close(other, is) : String(other) === String(is)
        return isSame || (is === null && other === null) || (is === true && other === "True")
          ? []
          : [`trial ${row.trial} has ${name} ${String(other)}, not ${String(is)}`]
      }),
      ...(Object.keys(found.parameters).length === Object.keys(row.parameters).length
        ? []
        : [`trial ${row.trial} has other choices`]),
      ...(found.curve.length === curve.length &&
      curve.every(([e, loss], k) => found.curve[k]?.[0] === e && close(found.curve[k]?.[1] ?? 0, loss))
        ? []
        : [`trial ${row.trial} has another curve: ${JSON.stringify(found.curve)}`])
    ]
  })
  const expected = rows
    .filter(({ state }) => state === "finished")
    .toSorted((a, b) => (of(b) ?? 0) - (of(a) ?? 0) || a.trial - b.trial)[0]?.trial
  const all = [
    ...problems,
    ...(trials.length === rows.length ? [] : [`it has ${trials.length} trials, not ${rows.length}`]),
    ...(best === expected ? [] : [`its best is trial ${best}, not ${expected}`])
  ]
  return all.map((problem) => `${tool}: ${problem}`)
}

if (!existsSync(python)) {
  console.log(`installing Optuna, TensorBoard and MLflow into ${values.environment}`)
  if (spawnSync(values.python, ["-m", "venv", values.environment], { stdio: "inherit" }).status !== 0)
    failed(`${values.python} makes no environment. Name a Python from 3.10 on, with its venv module, by --python.`)
  const pip = spawnSync(python, ["-m", "pip", "install", "--quiet", "--requirement", here("requirements.txt")], {
    stdio: "inherit"
  })
  if (pip.status !== 0) {
    rmSync(values.environment, { recursive: true, force: true })
    failed("The packages cannot be had: pip says above why. Run this again once it can get them.")
  }
}

const [run] = positionals
const table = run === undefined ? madeUp() : await read(run)
const out = mkdtempSync(join(tmpdir(), "uninet-exports-"))
try {
  await Effect.runPromise(OptunaStorage.write(join(out, "optuna.db"))(table))
  for (const [folder, files] of [
    ["tensorboard", TensorBoard.files(table)] as const,
    ["mlruns", MlflowStore.files()(table)] as const
  ])
    for (const [name, content] of files) {
      const file = join(out, folder, name)
      mkdirSync(name.endsWith("/") ? file : dirname(file), { recursive: true })
      if (!name.endsWith("/")) writeFileSync(file, content)
    }
  const ran = spawnSync(
    python,
    [here("read.py"), ...["optuna.db", "tensorboard", "mlruns"].map((name) => join(out, name))],
    {
      encoding: "utf8",
      maxBuffer: 2 ** 28
    }
  )
  if (ran.status !== 0) failed(`${ran.stderr}\nThey cannot be read, as is said above.`)
  // what read.py prints
  const found: Readonly<Record<string, Found>> = JSON.parse(ran.stdout.trim().split("\n").at(-1) ?? "{}")
  const problems = Object.entries(found).flatMap(([tool, each]) => differing(tool, table, each))
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) failed(`${problems.length} differences.`)
  for (const [tool, { best, trials }] of Object.entries(found))
    console.log(`${tool}: the same ${trials.length} trials, the same best (trial ${best})`)
} finally {
  rmSync(out, { recursive: true, force: true })
}
