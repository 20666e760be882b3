/** Classes are matched by name: a network numbers them as in the data that it was trained on. */
import { Dataset } from "@uninet/data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type CliFault, fault } from "./CliFault.ts"

/** Some of the names, for people. */
export const listed = (names: ReadonlyArray<string>): string =>
  `${names.slice(0, 5).join(", ")}${names.length > 5 ? ` and ${names.length - 5} more` : ""}`

const Names = Schema.fromJsonString(Schema.Array(Schema.String))

/** The classes that a file of weights names. */
export const namesIn = (metadata: Readonly<Record<string, string>>): ReadonlyArray<string> | undefined =>
  Option.getOrUndefined(Schema.decodeUnknownOption(Names)(metadata["classes"]))

/** A split with changed labels. */
const relabelled = (split: Dataset.Split, change: (labels: Dataset.Values) => Dataset.Values): Dataset.Split => ({
  ...split,
  targets: Effect.map(split.targets, change)
})

/**
 * The data set with a network's numbering of classes: if its classes are in another order, or are only some of the network's, labels are
 * changed.
 *
 * Fails if the data set has a class that the network does not know.
 */
export const asKnown = (
  names: ReadonlyArray<string> | undefined,
  data: Dataset.DatasetShape
): Effect.Effect<Dataset.DatasetShape, CliFault> => {
  const { classes } = data
  if (names === undefined || classes === undefined) return Effect.succeed(data)
  const places = classes.map((name) => names.indexOf(name))
  const unknown = classes.filter((_, i) => places[i] === -1)
  if (unknown.length > 0)
    return Effect.fail(
      fault(
        `--dataset: the network distinguishes ${listed(names)}, but ${data.name} has ${listed(unknown)}. Give a data set whose classes are named as in the network.`
      )
    )
  if (classes.length === names.length && places.every((place, i) => place === i)) return Effect.succeed(data)
  const change = (labels: Dataset.Values): Dataset.Values => Int32Array.from(labels, (label) => places[label] ?? label)
  const named: Dataset.DatasetShape = { ...data, classes: names }
  const changed = Dataset.mapBatches((batch: Dataset.Batch): Dataset.Batch => ({
    ...batch,
    targets: change(batch.targets)
  }))(named)
  return Effect.succeed({
    ...changed,
    train: relabelled(changed.train, change),
    validation: relabelled(changed.validation, change),
    test: relabelled(changed.test, change)
  })
}
