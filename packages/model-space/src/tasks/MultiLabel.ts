/** Any number of labels for each example: binary cross entropy for each label, average precision, F1. */
import { Loss } from "@uninet/nn"
import { Elementary } from "@uninet/search-space"
import { named } from "../internal/named.ts"
import * as Task from "../Task.ts"

/** - `meanAveragePrecision`: average precision, averaged over labels: sort the examples by their logit and take the mean precision at the rank of every example that has the label. Labels
 *  that no example has do not count; 0 if that is all of them.
 *  - `f1`: 2·hits / (2·hits + misses + false alarms) over all labels, where a label is predicted if its probability is one half or more. 1 if no label occurs and none is predicted.
 *  - `exactMatch`: share of the examples whose labels are all correct.
 *  - `loss`: mean binary cross entropy. */
export type Measure = "meanAveragePrecision" | "f1" | "exactMatch" | "loss"

/** The logit of an example for one label, and whether it has that label. */
interface Judged {
  readonly logit: number
  readonly wanted: boolean
}

/** The mean precision over the hits, with examples sorted by logit, the highest first. Among equal logits, examples without the label come first, so that a constant prediction scores low. */
const averagePrecision = (examples: ReadonlyArray<Judged>): number | undefined => {
  const order = examples.toSorted((a, b) => b.logit - a.logit || Number(a.wanted) - Number(b.wanted))
  let hits = 0
  let sum = 0
  for (const [place, { wanted }] of order.entries()) if (wanted) sum += ++hits / (place + 1)
  return hits === 0 ? undefined : sum / hits
}

const tally = (output: string, labels: number): Task.Tally<Measure> => {
  const judged = Array.from({ length: labels }, (): Array<Judged> => [])
  let [examples, exact, hits, misses, alarms, loss] = [0, 0, 0, 0, 0, 0]
  return {
    add: ({ outputs, size, targets }) => {
      const found = named(output)(outputs)
      for (let i = 0; i < size; i++) {
        examples++
        let right = true
        for (const [k, examplesOfLabel] of judged.entries()) {
          const logit = found[i * labels + k] ?? Number.NaN
          const target = targets[i * labels + k] ?? Number.NaN
          const [given, wanted] = [logit >= 0, target >= 0.5]
          examplesOfLabel.push({ logit, wanted })
          if (given && wanted) hits++
          if (given && !wanted) alarms++
          if (!given && wanted) misses++
          if (given !== wanted) right = false
          loss += Math.max(logit, 0) - logit * target + Elementary.log1p(Elementary.exp(-Math.abs(logit)))
        }
        if (right) exact++
      }
    },
    measures: () => {
      const precisions = judged.flatMap((examplesOfLabel) => averagePrecision(examplesOfLabel) ?? [])
      const decided = 2 * hits + misses + alarms
      return {
        meanAveragePrecision: precisions.length === 0 ? 0 : precisions.reduce((a, b) => a + b, 0) / precisions.length,
        f1: decided === 0 ? 1 : (2 * hits) / decided,
        exactMatch: exact / examples,
        loss: loss / (examples * labels)
      }
    }
  }
}

/**
 * Targets `[batch, labels]` (float32, 1 if an example has the label, else 0) and logits `[batch, labels]`. Images may be augmented in any way; examples are not mixed.
 *
 * `output`: the name of the logits. Default `logits`.
 *
 * @example
 * ```ts
 * import { MultiLabel } from "@uninet/model-space"
 *
 * const tags = MultiLabel.make({ labels: 20 })
 * ```
 */
export const make = ({
  labels,
  output = "logits"
}: {
  readonly labels: number
  readonly output?: string
}): Task.Task<Measure> =>
  Task.make<Measure>({
    name: "several labels",
    outputs: { [output]: [labels] },
    targets: { shape: [labels], dtype: "float32" },
    loss: (outputs, targets) => Loss.binaryCrossEntropy(named(output)(outputs), targets),
    measures: { meanAveragePrecision: "higher", f1: "higher", exactMatch: "higher", loss: "lower" },
    decides: "meanAveragePrecision",
    shares: ["meanAveragePrecision", "f1", "exactMatch"],
    tally: () => tally(output, labels),
    allows: { augmentation: "all" }
  })
