/** `uninet classify`: classifies images with an exported network. */
import { ImageFile } from "@uninet/data"
import { Classification, OnnxModel } from "@uninet/export"
import { Model } from "@uninet/nn"
import Table from "cli-table3"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Argument, Command, Flag } from "effect/cli"
import { availableParallelism } from "node:os"
import { fault, said } from "../internal/CliFault.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"

const config = {
  model: Argument.String("model").pipe(Argument.withDescription("An ONNX file that uninet export or search wrote")),
  images: Argument.String("image").pipe(
    Argument.withDescription("Image files: JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP, PPM, PGM"),
    Argument.variadic({ min: 1 })
  ),
  top: flags
    .whole("top")
    .pipe(Flag.withDefault(3), Flag.withDescription("How many classes are named for each image (default 3)")),
  invert: Flag.Boolean("invert").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Invert black and white, for dark digits on a light background: MNIST's are light on dark")
  ),
  threads: flags.threads.pipe(Flag.optional, Flag.withDescription("Of the engine (default: one for each core)")),
  json: flags.json
}

/** An image's classification, or why it cannot be read. */
type Row =
  | { readonly image: string; readonly classes: ReadonlyArray<Classification.Likely> }
  | { readonly image: string; readonly error: string }

const table = (rows: ReadonlyArray<Row>): string => {
  const out = new Table({ style: { head: [], border: [], compact: true } })
  for (const row of rows)
    if ("classes" in row)
      out.push([row.image, ...row.classes.map(({ label, probability }) => `${label}  ${format.percent(probability)}`)])
  return format.fitted(out.toString())
}

export const classify = Command.make(
  "classify",
  config,
  Effect.fnUntraced(function* ({ images, invert, json, model, threads, top }) {
    yield* Effect.scoped(
      Effect.gen(function* () {
        const { card, outputs } = yield* OnnxModel.open(model, {
          threads: threads._tag === "Some" ? threads.value : availableParallelism()
        })
        const { classes, inputs, picture } = card
        const logits = Object.entries(card.outputs).find(([, { shape }]) => shape.length === 1)?.[0]
        if (classes === null || picture === null || logits === undefined || Object.keys(inputs).length !== 1)
          return yield* fault(
            `${model} does not classify pictures: it is made for ${card.task}, from ${Model.print(inputs)} to ${Model.print(card.outputs)}. Run it from a program, with OnnxModel of @uninet/export or any ONNX runtime.`
          )
        const { cropRatio, deviation, input, mean } = picture
        const [channels = 1, height = 1, width = 1] = inputs[input]?.shape ?? []
        const image = { channels, height, width }
        const rows: Array<Row> = []
        // A few at a time, so that many images need no more memory than a few.
        for (let from = 0; from < images.length; from += 16) {
          const some = images.slice(from, from + 16)
          const read = yield* ImageFile.readAll({ image, mean, deviation, cropRatio, invert })(some)
          const size = read.indexes.length
          const given = size === 0 ? {} : yield* outputs({ size, inputs: { [input]: read.images } })
          const found = given[logits] ?? new Float32Array()
          const errors = new Map(read.failures.map(({ error, index }) => [index, error.message]))
          let next = 0
          for (const [i, file] of some.entries()) {
            const error = errors.get(i)
            if (error !== undefined) rows.push({ image: file, error })
            else {
              const own = found.subarray(next * classes.length, ++next * classes.length)
              rows.push({ image: file, classes: Classification.top(classes, top)(own) })
            }
          }
        }
        const errors = rows.flatMap((row) => ("error" in row ? [row.error] : []))
        if (json || errors.length < rows.length) yield* Console.log(json ? JSON.stringify(rows, null, 2) : table(rows))
        // The results for the others have been printed.
        if (errors.length > 0) return yield* fault(errors.join("\n"))
      })
    )
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("Classify images with an exported network"),
  Command.withExamples([
    { command: "uninet classify runs/demo/best.onnx seven.png", description: "The most likely classes" },
    { command: "uninet classify digits.onnx scans/*.jpg --invert --top 1", description: "Dark ink on white paper" },
    { command: "uninet classify uninet-b1.onnx cat.jpg --json", description: "As JSON" }
  ])
)
