import { gradient, Op, Shape, Tensor } from "@uninet/graph"
import { Elementary } from "@uninet/search-space"
import * as Result from "effect/Result"
import { at } from "../internal/at.ts"
import { eigenvalues } from "../internal/eigenvalues.ts"
import { NotApplicable } from "../PredictorError.ts"
import * as Proxy from "../Proxy.ts"

const inapplicable = (reason: string) => Result.fail(new NotApplicable({ proxy: "vkdnw", reason }))

/** The maximum number of examples, and of examples times classes: every class of each example has its own forward pass. */
const most = 16
const passes = 640

/** The share of the uniform distribution in the probabilities, as in the authors' code. */
const even = 0.05

/** The entropy of the nine deciles of numbers as shares of their sum, linearly interpolated between neighbours. */
const ofDeciles = (numbers: ArrayLike<number>): number => {
  const sorted = Float64Array.from(numbers, (value) => Math.max(value, 0)).sort()
  const deciles = Array.from({ length: 9 }, (_, k) => {
    const place = ((k + 1) / 10) * (sorted.length - 1)
    const below = Math.floor(place)
    const low = sorted[below] ?? Number.NaN
    return low + (place - below) * ((sorted[below + 1] ?? low) - low)
  })
  const sum = deciles.reduce((a, b) => a + b, 0)
  // NaN if all are 0.
  return deciles.reduce((entropy, x) => (x === 0 ? entropy : entropy - (x / sum) * Elementary.log(x / sum)), 0 / sum)
}

/** Jᵀ (diag p − p pᵀ) J, averaged over examples; J has a row for every class of every example, class by class. */
const fisherOf = (jacobian: ArrayLike<number>, logits: ArrayLike<number>, examples: number, classes: number) => {
  const weights = jacobian.length / (examples * classes)
  const fisher = new Float64Array(weights * weights)
  for (let i = 0; i < examples; i++) {
    const own = Array.from({ length: classes }, (_, c) => at(logits, i * classes + c))
    const top = Math.max(...own)
    const powers = own.map((logit) => Elementary.exp(logit - top))
    const sum = powers.reduce((a, b) => a + b, 0)
    const probabilities = powers.map((power) => (1 - even) * (power / sum) + even / classes)
    const slope = (c: number, w: number) => at(jacobian, (c * examples + i) * weights + w)
    const means = Array.from({ length: weights }, (_, w) =>
      probabilities.reduce((mean, p, c) => mean + p * slope(c, w), 0)
    )
    for (const [v, mean] of means.entries())
      for (const [w, other] of means.entries())
        fisher[v * weights + w] =
          at(fisher, v * weights + w) +
          probabilities.reduce((product, p, c) => product + p * slope(c, v) * slope(c, w), -mean * other) / examples
  }
  return { fisher, weights }
}

type Layer = Tensor.Tensor<"conv2d" | "linear">

/** Whether a node is a layer with its own weights. */
const isLayer = (node: Tensor.Tensor): node is Layer =>
  (Tensor.is("conv2d")(node) || Tensor.is("linear")(node)) && Tensor.is("variable")(node.inputs[1])

/** The first channel of a layer's input or output: along an image's second axis, otherwise along the last. */
const firstOf =
  (layer: Layer) =>
  (x: Tensor.Tensor): Tensor.Tensor =>
    Op.slice(x, layer.kind === "conv2d" ? 1 : x.shape.length - 1, 0, 1)

/** What the first element of a layer's weights is multiplied by, for each position of the output. */
const met = (layer: Layer): Tensor.Tensor => {
  const [x, w] = layer.inputs
  const first = firstOf(layer)(x)
  if (!Tensor.is("conv2d")(layer)) return first
  const [, , height, width] = Shape.ofRank(4)(w.shape)
  const corner = Op.pad(Op.fill(1, [1, 1, 1, 1]), [0, 0, 0, 0], [0, 0, height - 1, width - 1])
  return Op.conv2d(first, corner, { ...layer.attributes, groups: 1 })
}

/**
 * Fisher-eigenvalue entropy: −Σ λ̃ₖ log λ̃ₖ over the nine deciles λ̃ₖ, as shares of their sum, of the eigenvalues of the Fisher information of the class probabilities with respect to the first element of every
 * layer's weights; log 9 if all are equal. Batch norms have their initial statistics.
 *
 * One backward pass gives the derivatives for each example: the gradients at a layer's first output channel, times what the first element of its weights was multiplied by in the first input channel, summed over positions.
 * Biases and norms are left out, which is our choice. The authors add the number of layers when ranking by this score alone; other proxies can provide it.
 *
 * **Source.** O. Týbl and L. Neumann, "Training-free Neural Architecture Search through Variance of Knowledge of Deep Network Weights", CVPR 2025 (arXiv 2502.04975), section III. **Assumes** classes; no labels.
 */
export const vkdnw = Proxy.make({
  name: "vkdnw",
  source: "Týbl and Neumann, CVPR 2025",
  assumes: "classes, and layers that are linear in their weights",
  lay: ({ apart, batch, whole }) => {
    const [, classes = 0, ...rest] = whole.answers[0]?.shape ?? []
    if (classes < 2 || rest.length > 0) return inapplicable("it has no class probabilities")
    const examples = Math.max(1, Math.min(batch, most, Math.floor(passes / classes)))
    const rows = examples * classes
    const {
      answers: [logits],
      order
    } = apart(examples, classes)
    if (logits === undefined) return inapplicable("it has no class probabilities")
    const layers = order.filter(isLayer).filter(({ inputs: [x] }) => (x.shape[0] ?? 1) % rows === 0)
    const own = Float32Array.from({ length: rows * classes }, (_, i) =>
      Number(Math.floor(i / classes / examples) === i % classes)
    )
    const gradients = gradient(Op.sum(Op.mul(logits, Op.constant(own, [rows, classes]))), layers)
    const columns = layers.flatMap((layer, i) => {
      const g = gradients[i]
      if (g === undefined) return []
      const share = Op.mul(firstOf(layer)(g), met(layer))
      return [Op.sum(Op.reshape(share, [rows, Shape.size(share.shape) / rows]), [1], true)]
    })
    const [column, ...columnsBehind] = columns
    if (column === undefined) return inapplicable("it has no weights")
    return Result.succeed({
      outputs: { jacobian: Op.concat([column, ...columnsBehind], 1), logits: Op.slice(logits, 0, 0, examples) },
      score: ({ jacobian = [], logits = [] }) => {
        const { fisher, weights } = fisherOf(jacobian, logits, examples, classes)
        return ofDeciles(eigenvalues(fisher, weights))
      }
    })
  }
})
