/** Losses: scalars that compare a network's output with its target, averaged over the batch. */
import { Op, Shape, type Tensor } from "@uninet/graph"
import { fail } from "./Layer.ts"
import * as Scope from "./Scope.ts"

/** The path of everything that belongs to a loss. */
const path = "loss"

const wrong = (op: string, x: Tensor.Tensor, reason: string) => fail(Scope.make("training", path), op, x, reason)

/**
 * Cross entropy of the logits `[batch, classes]` with target distributions `[batch, classes]` (as mixup makes them).
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Loss } from "@uninet/nn"
 *
 * // Mixup blends two pictures and their labels: 0.25 of class 3 and 0.75 of class 7 is a row of targets.
 * const [logits, targets] = [Op.input("logits", [64, 10]), Op.input("targets", [64, 10])]
 * console.log(Loss.softCrossEntropy(logits, targets).shape) // []
 * ```
 */
export const softCrossEntropy = (logits: Tensor.Tensor, targets: Tensor.Tensor): Tensor.Tensor => {
  // A scalar has no softmax.
  const [batch = 1] = logits.shape
  return Op.scale(Op.sum(Op.mul(targets, Op.logSoftmax(logits, path), path)), -1 / batch, path)
}

/** Options for the target. */
export interface CrossEntropyOptions {
  /** s: the target is 1 − s on the label plus s / classes on every class, as in PyTorch. Between 0 (the default) and 1. */
  readonly labelSmoothing?: number
}

const isShare = (s: number) => s >= 0 && s <= 1

/**
 * Cross entropy of the logits `[batch, classes]` with labels `[batch]` (int32).
 *
 * `labelSmoothing` s (default 0): the target is 1 − s on the label plus s / classes on every class, as in PyTorch. A value outside [0, 1] is a `ShapeError`.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Loss } from "@uninet/nn"
 *
 * const logits = Op.input("logits", [64, 10])
 * console.log(Loss.crossEntropy(logits, Op.input("labels", [64], "int32"), { labelSmoothing: 0.1 }).shape) // []
 * ```
 */
export const crossEntropy = (
  logits: Tensor.Tensor,
  labels: Tensor.Tensor,
  { labelSmoothing = 0 }: CrossEntropyOptions = {}
): Tensor.Tensor => {
  if (!isShare(labelSmoothing))
    return wrong("crossEntropy", logits, `the label smoothing must lie in [0, 1], not be ${labelSmoothing}`)
  const [, classes] = logits.shape
  if (classes === undefined) return wrong("crossEntropy", logits, "the logits must be [batch×classes]")
  const oneHot = Op.oneHot(labels, classes, path)
  const targets =
    labelSmoothing === 0
      ? oneHot
      : Op.add(Op.scale(oneHot, 1 - labelSmoothing), Op.fill(labelSmoothing / classes), path)
  return softCrossEntropy(logits, targets)
}

/**
 * Cross entropy of every pixel's logits, `[batch, classes, height, width]`, with its label, `[batch, height, width]` (int32): the mean over all pixels that have a label. A label
 * out of range (255, −1) marks a pixel without a label, which does not count.
 *
 * `labelSmoothing` as in `crossEntropy`.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Loss } from "@uninet/nn"
 *
 * const logits = Op.input("logits", [8, 5, 64, 64])
 * console.log(Loss.pixelCrossEntropy(logits, Op.input("labels", [8, 64, 64], "int32")).shape) // []
 * ```
 */
export const pixelCrossEntropy = (
  logits: Tensor.Tensor,
  labels: Tensor.Tensor,
  { labelSmoothing = 0 }: CrossEntropyOptions = {}
): Tensor.Tensor => {
  const op = "pixelCrossEntropy"
  if (!isShare(labelSmoothing))
    return wrong(op, logits, `the label smoothing must lie in [0, 1], not be ${labelSmoothing}`)
  if (!Shape.hasRank(4)(logits.shape)) return wrong(op, logits, "the logits must be [batch×classes×height×width]")
  const [batch, classes, height, width] = logits.shape
  if (!Shape.equals(labels.shape, [batch, height, width]))
    return wrong(op, logits, `the labels must be [${batch}×${height}×${width}], not ${Shape.print(labels.shape)}`)
  const oneHot = Op.oneHot(Op.reshape(labels, [batch, height * width], path), classes, path)
  const labelled = Op.sum(oneHot, [2], true, path)
  const targets =
    labelSmoothing === 0
      ? oneHot
      : Op.add(Op.scale(oneHot, 1 - labelSmoothing, path), Op.scale(labelled, labelSmoothing / classes, path), path)
  const gains = Op.sum(Op.mul(targets, Op.logSoftmax(Op.toTokens(logits, path), path), path))
  // If no pixel has a label, there is nothing to divide by, and nothing to divide.
  return Op.neg(Op.div(gains, Op.max(Op.sum(labelled), Op.fill(1), path), path), path)
}

/** The mean over all elements of an element-wise loss of two tensors of the same shape. */
const meanOf = (
  op: string,
  predictions: Tensor.Tensor,
  targets: Tensor.Tensor,
  loss: (predictions: Tensor.Tensor, targets: Tensor.Tensor) => Tensor.Tensor
): Tensor.Tensor =>
  // Broadcasting would silently take a column for a row.
  predictions.fault === undefined && targets.fault === undefined && !Shape.equals(predictions.shape, targets.shape)
    ? wrong(op, predictions, `the targets must have the predictions' shape, not ${Shape.print(targets.shape)}`)
    : Op.mean(loss(predictions, targets), undefined, false, path)

/**
 * The mean of (prediction − target)² over all elements. Tensors of different shapes are a `ShapeError`.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Loss } from "@uninet/nn"
 *
 * const prices = Op.input("prices", [32, 1])
 * console.log(Loss.meanSquaredError(prices, Op.input("targets", [32, 1])).shape) // []
 * ```
 */
export const meanSquaredError = (predictions: Tensor.Tensor, targets: Tensor.Tensor): Tensor.Tensor =>
  meanOf("meanSquaredError", predictions, targets, (p, t) => {
    const difference = Op.sub(p, t, path)
    return Op.mul(difference, difference, path)
  })

/**
 * The mean of |prediction − target| over all elements. Tensors of different shapes are a `ShapeError`. The gradient is 0 where both are equal.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Loss } from "@uninet/nn"
 *
 * const prices = Op.input("prices", [32, 1])
 * console.log(Loss.meanAbsoluteError(prices, Op.input("targets", [32, 1])).shape) // []
 * ```
 */
export const meanAbsoluteError = (predictions: Tensor.Tensor, targets: Tensor.Tensor): Tensor.Tensor =>
  meanOf("meanAbsoluteError", predictions, targets, (p, t) => Op.abs(Op.sub(p, t, path), path))

/**
 * max(x, 0) − x·t + log(1 + e^−|x|): nothing in it overflows. Differentiating it term by term would be wrong at 0, where its terms have kinks that cancel: the gradient of the whole is σ(x) − t.
 */
const logistic = Op.composite({
  name: "binaryCrossEntropy",
  build: ([x, t]: readonly [logits: Tensor.Tensor, targets: Tensor.Tensor]) => {
    const rest = Op.log(Op.add(Op.exp(Op.neg(Op.abs(x))), Op.fill(1)))
    return Op.add(Op.sub(Op.relu(x), Op.mul(x, t)), rest)
  },
  gradient: ({ inputs: [x, t] }, dy) => [Op.mul(dy, Op.sub(Op.sigmoid(x), t)), Op.neg(Op.mul(dy, x))]
})

/**
 * The mean over all elements of −t·log σ(x) − (1 − t)·log(1 − σ(x)), for logits x and targets t between 0 and 1. Tensors of different shapes are a `ShapeError`. Stable for logits of
 * any size.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Loss } from "@uninet/nn"
 *
 * const logits = Op.input("logits", [64, 20])
 * console.log(Loss.binaryCrossEntropy(logits, Op.input("tags", [64, 20])).shape) // []; several labels each
 * ```
 */
export const binaryCrossEntropy = (logits: Tensor.Tensor, targets: Tensor.Tensor): Tensor.Tensor =>
  meanOf("binaryCrossEntropy", logits, targets, (x, t) => logistic([x, t], {}, path))
