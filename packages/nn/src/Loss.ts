/** Losses: scalars from logits `[batch, classes]`, means over the batch. */
import { Op, type Tensor } from "@uninet/graph"

/** Cross entropy of the logits with target distributions `[batch, classes]` (as mixup makes them). */
export const softCrossEntropy = (logits: Tensor.Tensor, targets: Tensor.Tensor): Tensor.Tensor =>
  Op.scale(Op.sum(Op.mul(targets, Op.logSoftmax(logits, "loss"), "loss")), -1 / logits.shape[0], "loss")

/**
 * Cross entropy of the logits with labels `[batch]` (int32).
 *
 * `labelSmoothing` s (default 0): the target is 1 − s on the label and s / classes on every class, as PyTorch's.
 *
 * @example
 * Loss.crossEntropy(logits, Op.input("labels", [64], "int32"), { labelSmoothing: 0.1 })
 */
export const crossEntropy = (
  logits: Tensor.Tensor,
  labels: Tensor.Tensor,
  { labelSmoothing = 0 }: { readonly labelSmoothing?: number } = {}
): Tensor.Tensor => {
  const classes = logits.shape[1]
  const oneHot = Op.oneHot(labels, classes, "loss")
  const targets =
    labelSmoothing === 0
      ? oneHot
      : Op.add(Op.scale(oneHot, 1 - labelSmoothing), Op.fill(labelSmoothing / classes), "loss")
  return softCrossEntropy(logits, targets)
}
