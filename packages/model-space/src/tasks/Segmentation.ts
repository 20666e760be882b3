/** A class for every pixel: cross entropy, mean intersection over union, the share of correct pixels. */
import { Loss } from "@uninet/nn"
import { Elementary } from "@uninet/search-space"
import * as Confusion from "../internal/confusion.ts"
import { named } from "../internal/named.ts"
import * as Task from "../Task.ts"

/** - `meanIoU`: the mean over classes of |is ∩ found| / |is ∪ found|, counted over all pixels. Classes that neither occur nor are predicted do not count.
 *  - `pixelAccuracy`: share of the pixels whose most likely class is the correct one.
 *  - `loss`: mean cross entropy of the pixels, without label smoothing. */
export type Measure = "meanIoU" | "pixelAccuracy" | "loss"

const tally = (output: string, classes: number, pixels: number): Task.Tally<Measure> => {
  const confusion = Confusion.make(classes)
  let [labelled, right, loss] = [0, 0, 0]
  return {
    add: ({ outputs, size, targets }) => {
      const logits = named(output)(outputs)
      for (let i = 0; i < size; i++)
        for (let p = 0; p < pixels; p++) {
          const label = targets[i * pixels + p] ?? Number.NaN
          if (!(label >= 0 && label < classes)) continue
          const at = (k: number) => logits[(i * classes + k) * pixels + p] ?? Number.NaN
          let best = 0
          for (let k = 1; k < classes; k++) if (at(k) > at(best)) best = k
          let sum = 0
          for (let k = 0; k < classes; k++) sum += Elementary.exp(at(k) - at(best))
          loss += Elementary.log(sum) + at(best) - at(label)
          labelled++
          if (best === label) right++
          Confusion.add(confusion, label, best)
        }
    },
    measures: () => {
      const overlaps = Confusion.overlaps(confusion)
      return {
        meanIoU: overlaps.reduce((a, b) => a + b, 0) / overlaps.length,
        pixelAccuracy: right / labelled,
        loss: loss / labelled
      }
    },
    details: () => ({ confusion: Confusion.rows(confusion) })
  }
}

/**
 * Labels `[batch, height, width]` (int32; a label out of range, such as 255 or −1, marks a pixel without a label, which does not count) and logits `[batch, classes, height, width]`.
 * Recipes may smooth labels, and may change the colours of images but not where things are in them.
 *
 * `output`: the name of the logits. Default `logits`. Its details are `{ confusion }`: `confusion[c][k]` pixels of class `c` were predicted as class `k`.
 *
 * @example
 * ```ts
 * import { Segmentation } from "@uninet/model-space"
 *
 * const roads = Segmentation.make({ classes: 3, height: 32, width: 32 })
 * ```
 */
export const make = ({
  classes,
  height,
  width,
  output = "logits"
}: {
  readonly classes: number
  readonly height: number
  readonly width: number
  readonly output?: string
}): Task.Task<Measure> =>
  Task.make<Measure>({
    name: "segmentation",
    outputs: { [output]: [classes, height, width] },
    targets: { shape: [height, width], dtype: "int32" },
    classes,
    loss: (outputs, labels, options) => Loss.pixelCrossEntropy(named(output)(outputs), labels, options),
    measures: { meanIoU: "higher", pixelAccuracy: "higher", loss: "lower" },
    decides: "meanIoU",
    shares: ["meanIoU", "pixelAccuracy"],
    tally: () => tally(output, classes, height * width),
    allows: { augmentation: "values", labelSmoothing: true }
  })
