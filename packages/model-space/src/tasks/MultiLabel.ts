/** Any number of labels for each example: binary cross entropy for each label, average precision, F1. */
import { Loss } from "@uninet/nn"
import { Elementary } from "@uninet/search-space"
import * as Task from "../Task.ts"

/** - `meanAveragePrecision`: the mean over labels of the average precision: the precision at the place of every example that has the label, examples being sorted by their logit. Labels
 *    that no example has count nothing; 0 where that is all of them.
 *  - `f1`: 2·hits / (2·hits + misses + false alarms) over all labels, a label being given where its probability is one half or more. 1 where there is neither a label nor one given.
 *  - `exactMatch`: share of the examples whose labels are all right.
 *  - `loss`: mean binary cross entropy. */
export type Measure = "meanAveragePrecision" | "f1" | "exactMatch" | "loss"

/** The precision at every hit, on the mean: of examples sorted by logit, the highest first. Of equal logits those without the label go first, so that a constant is worth little. */
const averagePrecision = (logits: ReadonlyArray<number>, has: ReadonlyArray<boolean>): number | undefined => {
  const order = logits.map((_, i) => i).sort((a, b) => logits[b] - logits[a] || Number(has[a]) - Number(has[b]))
  let hits = 0
  let sum = 0
  for (const [place, i] of order.entries()) if (has[i]) sum += ++hits / (place + 1)
  return hits === 0 ? undefined : sum / hits
}

const tally = (output: string, labels: number): Task.Tally<Measure> => {
  const logits = Array.from({ length: labels }, (): Array<number> => [])
  const has = Array.from({ length: labels }, (): Array<boolean> => [])
  let [examples, exact, hits, misses, alarms, loss] = [0, 0, 0, 0, 0, 0]
  return {
    add: ({ outputs, size, targets }) => {
      const found = outputs[output]
      for (let i = 0; i < size; i++) {
        examples++
        let right = true
        for (let k = 0; k < labels; k++) {
          const logit = found[i * labels + k]
          const target = targets[i * labels + k]
          const [given, wanted] = [logit >= 0, target >= 0.5]
          logits[k].push(logit)
          has[k].push(wanted)
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
      const precisions = logits.flatMap((row, k) => averagePrecision(row, has[k]) ?? [])
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
 * Targets `[batch, labels]` (float32, 1 where an example has the label, else 0) and logits `[batch, labels]`. Pictures may be augmented in every way; examples are not mixed.
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
    loss: (outputs, targets) => Loss.binaryCrossEntropy(outputs[output], targets),
    measures: { meanAveragePrecision: "higher", f1: "higher", exactMatch: "higher", loss: "lower" },
    decides: "meanAveragePrecision",
    shares: ["meanAveragePrecision", "f1", "exactMatch"],
    tally: () => tally(output, labels),
    allows: { augmentation: "all" }
  })
