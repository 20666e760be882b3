/** One class for each example: cross entropy of the logits, top-1 and top-5 accuracy, calibration. */
import { Loss } from "@uninet/nn"
import { Elementary } from "@uninet/search-space"
import * as Confusion from "../internal/confusion.ts"
import { named } from "../internal/named.ts"
import * as Task from "../Task.ts"

/** - `accuracy`: share of the examples whose most likely class is the correct one (top-1).
 *  - `top5`: share of the examples whose class is among the five most likely (all, if there are five or fewer).
 *  - `loss`: mean cross entropy, without label smoothing.
 *  - `calibrationError`: expected calibration error (Guo et al. 2017): the distance between the share of correct answers and their mean probability, over
 *    15 bins of equal width, weighted by the number of examples in each. */
export type Measure = "accuracy" | "top5" | "loss" | "calibrationError"

const bins = 15

/** The rank of a label among logits: 0 for the most likely class. Among equal logits the lower class comes first. */
const rankOf = (logits: ArrayLike<number>, from: number, classes: number, label: number): number => {
  const at = (k: number) => logits[from + k] ?? Number.NaN
  const own = at(label)
  let rank = 0
  for (let k = 0; k < classes; k++) {
    const other = at(k)
    if (other > own || (other === own && k < label)) rank++
  }
  return rank
}

/** Shares of the batch whose own class is the most likely one, or among the five most likely. */
const running =
  (output: string, classes: number) =>
  ({ outputs, size, targets }: Task.Evaluated) => {
    const logits = named(output)(outputs)
    let [accuracy, top5] = [0, 0]
    for (let i = 0; i < size; i++) {
      const rank = rankOf(logits, i * classes, classes, targets[i] ?? Number.NaN)
      if (rank === 0) accuracy++
      if (rank < 5) top5++
    }
    return { accuracy: accuracy / size, top5: top5 / size }
  }

const tally = (output: string, classes: number): Task.Tally<Measure> => {
  const confusion = Confusion.make(classes)
  const binned = Array.from({ length: bins }, () => ({ confidence: 0, correct: 0 }))
  let examples = 0
  let right = 0
  let top5 = 0
  let loss = 0
  return {
    add: ({ outputs, size, targets }) => {
      const logits = named(output)(outputs)
      for (let i = 0; i < size; i++) {
        const from = i * classes
        const label = targets[i] ?? Number.NaN
        const at = (k: number) => logits[from + k] ?? Number.NaN
        let best = 0
        for (let k = 1; k < classes; k++) if (at(k) > at(best)) best = k
        let sum = 0
        for (let k = 0; k < classes; k++) sum += Elementary.exp(at(k) - at(best))
        examples++
        if (best === label) right++
        if (rankOf(logits, from, classes, label) < 5) top5++
        loss += Elementary.log(sum) + at(best) - at(label)
        Confusion.add(confusion, label, best)
        const confidence = 1 / sum
        const bin = binned[Math.min(bins - 1, Math.floor(confidence * bins))]
        // If the logits are not numbers, no class is likely.
        if (bin === undefined) continue
        bin.confidence += confidence
        if (best === label) bin.correct++
      }
    },
    measures: () => ({
      accuracy: right / examples,
      top5: top5 / examples,
      loss: loss / examples,
      calibrationError: binned.reduce((sum, bin) => sum + Math.abs(bin.correct - bin.confidence), 0) / examples
    }),
    details: () => ({ confusion: Confusion.rows(confusion) })
  }
}

/**
 * Labels `[batch]` (int32, 0 to classes − 1) and logits `[batch, classes]`. Recipes may smooth labels, mix examples and augment images in any way.
 *
 * `output`: the name of the logits. Default `logits`.
 *
 * Its details are `{ confusion }`: `confusion[c][k]` examples of class `c` were predicted as class `k`.
 *
 * @example
 * ```ts
 * import { Classification } from "@uninet/model-space"
 *
 * const digits = Classification.make({ classes: 10 })
 * ```
 */
export const make = ({
  classes,
  output = "logits"
}: {
  readonly classes: number
  readonly output?: string
}): Task.Task<Measure> =>
  Task.make<Measure>({
    name: "classification",
    outputs: { [output]: [classes] },
    targets: { shape: [], dtype: "int32" },
    classes,
    loss: (outputs, labels, options) => Loss.crossEntropy(named(output)(outputs), labels, options),
    mixed: { classes, loss: (outputs, targets) => Loss.softCrossEntropy(named(output)(outputs), targets) },
    measures: { accuracy: "higher", top5: "higher", loss: "lower", calibrationError: "lower" },
    decides: "accuracy",
    shares: ["accuracy", "top5", "calibrationError"],
    tally: () => tally(output, classes),
    running: { outputs: [output], of: running(output, classes) },
    allows: { augmentation: "all", labelSmoothing: true }
  })
