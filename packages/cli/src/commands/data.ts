/** `uninet data`: shows what a data set contains. */
import { Datasets, Report } from "@uninet/data"
import Table from "cli-table3"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import { Argument, Command, Flag } from "effect/cli"
import { fault, said } from "../internal/CliFault.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as runFolder from "../internal/runFolder.ts"

const numbers = (values: ReadonlyArray<number>) => values.map((value) => value.toFixed(4)).join(", ")

const print = (about: Report.Description): string => {
  const table = new Table({
    head: ["class", ...about.splits.map(({ name }) => name)],
    colAligns: ["left", ...about.splits.map(() => "right" as const)],
    style: { head: [], border: [], compact: true }
  })
  const { classes = [], deviation, inputs, mean } = about
  const leftOut = about.splits.flatMap(({ leftOut, name }) => (leftOut === undefined ? [] : [`${name} ${leftOut}`]))
  classes.forEach((name, i) => table.push([name, ...about.splits.map(({ counts }) => counts?.[i] ?? "")]))
  table.push(["all", ...about.splits.map(({ size }) => size)])
  const shapes = Object.entries(inputs).map(([name, { shape }]) => `${name}s of ${shape.join("×")}`)
  return [
    `${about.name}: ${[...(classes.length > 0 ? [`${classes.length} classes`] : []), ...shapes].join(", ")}`,
    format.fitted(table.toString()),
    ...(leftOut.length === 0 ? [] : [`left out   files whose names are not those of images: ${leftOut.join(", ")}`]),
    ...(mean === undefined ? [] : [`mean       ${numbers(mean)} (of byte / 255, by channel)`]),
    ...(deviation === undefined ? [] : [`deviation  ${numbers(deviation)}`])
  ].join("\n")
}

export const data = Command.make(
  "data",
  {
    name: Argument.String("dataset").pipe(
      Argument.withDescription(`${Datasets.names.join(", ")}, or a folder of IDX files, CIFAR files or images by class`)
    ),
    sheet: Flag.Path("sheet").pipe(
      Flag.withMetavar("file.png"),
      Flag.optional,
      Flag.withDescription("Write a contact sheet: a row of training images for every class")
    ),
    image: flags.image.pipe(
      Flag.optional,
      Flag.withDescription("Edge of the images made from a folder of images (default 224)")
    ),
    skipBad: flags.skipBad,
    json: flags.json
  },
  ({ image, json, name, sheet, skipBad }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const options = { skipBad, ...(Option.isSome(image) ? { size: image.value } : {}) }
        const dataset = yield* Datasets.make(name, options)
        const about = yield* Report.describe(dataset)
        yield* Console.log(json ? JSON.stringify(about, null, 2) : print(about))
        if (Option.isNone(sheet)) return
        const fs = yield* FileSystem.FileSystem
        const file = yield* runFolder.shown(sheet.value)
        if (yield* Effect.orElseSucceed(fs.exists(sheet.value), () => false))
          return yield* fault(`--sheet ${file} already exists. Give the name of a new file; nothing was changed.`)
        yield* runFolder.write(
          sheet.value,
          yield* Report.contactSheet()(dataset),
          "Give --sheet a file in an existing folder that you may write to."
        )
        yield* Console.error(`${file} shows images of every class`)
      })
    ).pipe(Effect.mapError(said))
).pipe(
  Command.withDescription("Show the splits, classes and figures of a data set"),
  Command.withExamples([
    {
      command: "uninet data mnist --sheet mnist.png",
      description: "The data set that comes with uninet, with pictures"
    },
    { command: "uninet data ~/flowers --size 64 --skip-bad", description: "A folder of images by class" }
  ])
)
