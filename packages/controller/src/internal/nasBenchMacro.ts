/**
 * NAS-Bench-Macro as its authors publish it (Su et al., CVPR 2021; `nas-bench-macro_cifar10.json` of github.com/xiusu/NAS-Bench-Macro): networks of eight layers, written as the digits of
 * their blocks, with the test accuracies of three trainings.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Json } from "../Table.ts"

const blocks = ["identity", "mb3-k3", "mb6-k5"]

const Published = Schema.Record(
  Schema.String.check(Schema.isPattern(/^[012]{8}$/)),
  Schema.Struct({
    test_acc: Schema.NonEmptyArray(Schema.Finite),
    mean_acc: Schema.Finite,
    /** One for each multiply-accumulate. */
    flops: Schema.Finite,
    params: Schema.Finite
  })
)
const decode = Schema.decodeUnknownOption(Published)

/** The published file as a table: a search is told the accuracy of one training, and its result is judged by the mean of all. `None` if it is a different file. */
export const tableOf = (json: unknown): Option.Option<Json> =>
  Option.flatMap(decode(json), (published) => {
    const rows = Object.entries(published)
    return rows.length === 0
      ? Option.none()
      : Option.some({
          name: "NAS-Bench-Macro",
          source: "github.com/xiusu/NAS-Bench-Macro",
          license: "Apache-2.0",
          dataset: "CIFAR-10",
          choices: Array.from({ length: 8 }, (_, layer) => ({ name: `layer${layer + 1}`, options: blocks })),
          columns: ["choice", "search", "report", "macs", "parameters"],
          rows: rows.map(([digits, { flops, mean_acc, params, test_acc }]) => [
            [...digits].map(Number),
            test_acc[0],
            mean_acc,
            flops,
            params
          ])
        })
  })
