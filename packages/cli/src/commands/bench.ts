/** `uninet bench`: compares latency, memory, size and accuracy of models on this machine. */
import { Dataset, Normalised } from "@uninet/data"
import { Comparison, OnnxModel } from "@uninet/export"
import { Form, Load, Memory, Statistics, Stopwatch, Target } from "@uninet/latency"
import { Setup } from "@uninet/search"
import Table from "cli-table3"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Stream from "effect/Stream"
import { Argument, Command, Flag } from "effect/cli"
import { availableParallelism } from "node:os"
import { at, fault, said, usage } from "../internal/CliFault.ts"
import * as counting from "../internal/counting.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as networks from "../internal/networks.ts"
import * as plans from "../internal/plan.ts"
import * as runFolder from "../internal/runFolder.ts"
import * as targets from "../internal/target.ts"

/** What is measured: its bytes, and the file they come from, if there is one. */
interface Subject extends Stopwatch.Subject {
  readonly path: string | undefined
}

/** An ONNX file, the one that a search wrote (in its folder or next to the file), or an untrained network. */
const subjectOf = Effect.fnUntraced(function* (name: string, config: Option.Option<string>) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const is = (file: string) => Effect.orElseSucceed(fs.exists(file), () => false)
  const candidates = name.endsWith(".onnx")
    ? [name]
    : [
        path.join(name, runFolder.files.onnx),
        ...(path.basename(name) === runFolder.files.best ? [path.join(path.dirname(name), runFolder.files.onnx)] : [])
      ]
  for (const file of candidates)
    if (yield* is(file)) {
      const bytes = yield* Effect.mapError(fs.readFile(file), at(name))
      return { name, file: bytes, path: file } satisfies Subject
    }
  if (name.endsWith(".onnx"))
    return yield* fault(`${name} does not exist. Give an ONNX file, a search's folder or best.json, or a network.`)
  const { of, point } = yield* networks.read(networks.named(name), config)
  const model = yield* Effect.mapError(Effect.fromResult(of.model(point)), at(name))
  return { name, file: yield* Effect.mapError(Effect.fromResult(Form.of(model)), at(name)), path: undefined }
})

/** The most examples on which accuracy is measured; more take long and add little. */
const mostExamples = 10_000
const chunk = 256

/** The share of test examples that a file classifies correctly, according to its own card, with Wilson's score interval (95%). */
const accuracyOf = Effect.fnUntraced(function* (name: string, file: string, dataset: string) {
  const { card, outputs } = yield* OnnxModel.open(file, { threads: availableParallelism() })
  const logits = Object.entries(card.outputs).find(
    ([, { shape }]) => shape.length === 1 && shape[0] === card.classes?.length
  )?.[0]
  if (logits === undefined || card.classes === null)
    return yield* fault(`--dataset: ${name} is not a classifier, so it has no accuracy. Leave --dataset out.`)
  const [, height = null] = card.picture === null ? [] : (card.inputs[card.picture.input]?.shape ?? [])
  const services = yield* Effect.mapError(
    Layer.build(Setup.dataset(undefined, dataset, height === null ? {} : { size: height })),
    at("--dataset")
  )
  const found = Context.get(services, Dataset.Dataset)
  const data: Dataset.DatasetShape =
    Dataset.isImages(found) && card.picture !== null ? Normalised.by(card.picture)(found) : found
  const size = Math.min(data.test.size, mostExamples)
  let [right, done] = [0, 0]
  yield* data.test.batches({ batch: chunk }).pipe(
    Stream.takeWhile(() => done < size),
    Stream.runForEach((batch) =>
      Effect.map(outputs({ size: batch.size, inputs: batch.inputs }), (given) => {
        const each = card.classes?.length ?? 1
        const rows = given[logits] ?? new Float32Array()
        for (let i = 0; i < batch.size; i++)
          if (Comparison.argMax(rows.subarray(i * each, (i + 1) * each)) === batch.targets[i]) right++
        done += batch.size
      })
    ),
    Effect.mapError(at(name))
  )
  if (done === 0) return yield* fault(`--dataset: ${dataset} has no test examples. Give another one.`)
  const [share, z] = [right / done, 1.96]
  const [centre, half] = [
    (share + (z * z) / (2 * done)) / (1 + (z * z) / done),
    (z * Math.sqrt((share * (1 - share)) / done + (z * z) / (4 * done * done))) / (1 + (z * z) / done)
  ]
  return { value: share, low: centre - half, high: centre + half, examples: done }
})

const places = (milliseconds: number) => (milliseconds < 10 ? 3 : milliseconds < 100 ? 2 : 1)

/** `1.31 (1.29 … 1.33)`. */
const interval = ({ high, low, value }: Statistics.Interval, digits: number) =>
  `${value.toFixed(digits)} (${low.toFixed(digits)} … ${high.toFixed(digits)})`

/** A note on other load, if there was enough to mention. `drift`: that of the reference network, if it is known. */
export const loadNote = (others: number, drift = 0): ReadonlyArray<string> =>
  others > Load.quiet
    ? [
        `other programs used ${others.toFixed(1)} cores during the measurement, which widens the intervals; a quiet machine gives better figures`
      ]
    : drift > Stopwatch.steady
      ? [
          `the machine's own speed varied by ${format.percent(drift, 0)} during the measurement, so the quickest rounds count; a steadier machine gives better figures`
        ]
      : []

export const bench = Command.make(
  "bench",
  {
    models: Argument.String("model").pipe(
      Argument.withDescription(
        `ONNX files, folders or best.json of searches, ${networks.family.join(", ")}, or networks as JSON, which are measured untrained`
      ),
      Argument.variadic({ min: 1 })
    ),
    on: targets.on,
    batch: flags.batch.pipe(Flag.withDefault(1), Flag.withDescription("Examples at a time (default 1)")),
    rounds: flags
      .whole("rounds", 3, 10_000)
      .pipe(Flag.withDefault(15), Flag.withDescription("Rounds in which every model is measured (default 15)")),
    dataset: Flag.String("dataset").pipe(
      Flag.withMetavar("name|folder"),
      Flag.optional,
      Flag.withDescription("Data set on whose test examples the accuracy of classifiers is measured (default: none)")
    ),
    config: networks.config,
    json: flags.json
  },
  Effect.fnUntraced(function* ({ batch, config, dataset, json, models, on, rounds }) {
    const target = yield* targets.named(on, batch)
    const twice = models.find((name, i) => models.indexOf(name) !== i)
    if (twice !== undefined) return yield* usage(`${twice} is given twice. Give every model once.`)
    yield* Effect.scoped(
      Effect.gen(function* () {
        const subjects = yield* Effect.forEach(models, (name) => subjectOf(name, config))
        const memory = yield* Effect.forEach(subjects, Memory.planned(target))
        const onTurn = yield* counting.make(`rounds of ${format.plural(models.length, "model")}`)
        const measured = yield* Stopwatch.measure({ target, rounds, onTurn })(subjects)
        const data = Option.isNone(dataset) ? undefined : yield* plans.datasetNamed(dataset.value, process.cwd())
        const accuracies = yield* Effect.forEach(subjects, ({ name, path }) =>
          data === undefined || path === undefined ? Effect.succeed(null) : Effect.scoped(accuracyOf(name, path, data))
        )
        const first = measured.models[0]?.latency
        const rows = measured.models.map(({ latency, name, spread }, i) => ({
          model: name,
          latency,
          spread,
          // Compared with itself, the ratio is exactly 1.
          ratio: i === 0 ? { value: 1, low: 1, high: 1 } : Statistics.ratio(latency, first ?? latency),
          memory: memory[i] ?? 0,
          bytes: subjects[i]?.file.length ?? 0,
          accuracy: accuracies[i] ?? null
        }))
        if (json) {
          const { machine, others, reference } = measured
          return yield* Console.log(JSON.stringify({ target, machine, reference, others, models: rows }, null, 2))
        }
        const some = rows.length > 1
        const table = new Table({
          head: [
            "model",
            "ms",
            ...(some ? ["ratio"] : []),
            "memory",
            "file",
            ...(data === undefined ? [] : ["accuracy"])
          ],
          colAligns: ["left", "right", ...(some ? ["right" as const] : []), "right", "right", "right"],
          style: { head: [], border: [], compact: true }
        })
        for (const { accuracy, bytes, latency, memory, model, ratio } of rows)
          table.push([
            model,
            interval(latency, places(latency.value)),
            ...(some ? [ratio.low === 1 && ratio.high === 1 ? "1" : interval(ratio, 2)] : []),
            `${format.count(memory)}B`,
            `${format.count(bytes)}B`,
            ...(data === undefined
              ? []
              : [
                  accuracy === null
                    ? "untrained"
                    : `${format.percent(accuracy.value, 2)} ± ${(50 * (accuracy.high - accuracy.low)).toFixed(2)}`
                ])
          ])
        yield* Console.log(
          [
            format.fitted(table.toString()),
            `${Target.print(target)} of ${measured.machine.processor}, ONNX Runtime ${measured.machine.onnxruntime}; 95% intervals${some ? "; ratios to the first" : ""}`,
            ...loadNote(measured.others, measured.reference.drift)
          ].join("\n")
        )
      })
    )
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("Compare models on this machine: latency, memory, size, accuracy"),
  Command.withExamples([
    { command: "uninet bench runs/a/best.onnx runs/b/best.onnx", description: "Two networks, on one thread" },
    { command: "uninet bench runs/a runs/b --dataset mnist --for cpu:2 --batch 8", description: "With their accuracy" },
    { command: "uninet bench B0 B1 --json", description: "The family, untrained" }
  ])
)
