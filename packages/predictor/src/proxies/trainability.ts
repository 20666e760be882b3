import { gradient, Op, Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as Result from "effect/Result"
import { at } from "../internal/at.ts"
import { eigenvalues } from "../internal/eigenvalues.ts"
import { mapsOf, rowsOf } from "../internal/entropies.ts"
import { total } from "../internal/sums.ts"
import { NotApplicable } from "../PredictorError.ts"
import * as Proxy from "../Proxy.ts"

/** The gradient at a block's input, in rows that match those of its output: positions skipped by a stride become channels. `undefined` if they have no common grid. */
const alignedRows = (gradient: Tensor.Tensor, output: Tensor.Tensor): Tensor.Tensor | undefined => {
  if (gradient.shape.length !== output.shape.length) return undefined
  if (gradient.shape.length === 3) return gradient.shape[1] === output.shape[1] ? rowsOf(gradient) : undefined
  const [batch, channels, height, width] = Shape.ofRank(4)(gradient.shape)
  const [, , h, w] = Shape.ofRank(4)(output.shape)
  const [down, across] = [height / h, width / w]
  if (!Number.isInteger(down) || !Number.isInteger(across)) return undefined
  const parted = Op.reshape(gradient, [batch, channels, h, down, w, across])
  return rowsOf(Op.reshape(Op.transpose(parted, [0, 1, 3, 5, 2, 4]), [batch, channels * down * across, h, w]))
}

/** The parameters between a block's input and output: its vectors (scales of norms and of layers), which are cheap to differentiate with respect to, or its weights if it has none. */
const parametersOf = (input: Tensor.Tensor, output: Tensor.Tensor): ReadonlyArray<Tensor.Tensor> => {
  const seen = new Set([input])
  const found: Array<Tensor.Tensor> = []
  for (const stack = [output]; ;) {
    const node = stack.pop()
    if (node === undefined) break
    if (seen.has(node)) continue
    seen.add(node)
    if (Tensor.is("variable")(node) && node.attributes.role === "parameter") found.push(node)
    stack.push(...node.inputs)
  }
  const vectors = found.filter(({ shape }) => shape.length < 2)
  return vectors.length > 0 ? vectors : found
}

/** The largest singular value of `[rows, columns]` in row-major order. */
const largestSingular = (matrix: ArrayLike<number>, rows: number, columns: number): number => {
  const [outer, inner] = rows < columns ? [rows, columns] : [columns, rows]
  const element = (i: number, j: number) => at(matrix, rows < columns ? i * columns + j : j * columns + i)
  const gram = new Float64Array(outer * outer)
  for (let i = 0; i < outer; i++)
    for (let j = 0; j <= i; j++) {
      let dot = 0
      for (let m = 0; m < inner; m++) dot += element(i, m) * element(j, m)
      gram[i * outer + j] = gram[j * outer + i] = dot
    }
  return Math.sqrt(Math.max(...eigenvalues(gram, outer), 0))
}

/**
 * AZ-NAS's trainability: how well blocks pass gradients on. For each block, random signs are sent back from its output. A is the least-squares map from them to what arrives at its input, σ its largest singular value, and the score is the mean
 * over blocks of 2 − σ − 1 / (σ + 10⁻⁶), largest for σ = 1.
 *
 * A block that passes its input on unchanged learns nothing and makes the score −Infinity in the authors' code, as here: such a network ranks last. A block that LayerScale makes almost the identity at first does learn, and its σ is 1. Blocks whose input cannot be divided evenly onto the output's grid are left out, which is our choice.
 *
 * **Source.** J. Lee and B. Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", CVPR 2024 (arXiv 2403.19232), section 3.1. **Assumes** two blocks or more; no labels.
 */
export const trainability = Proxy.make({
  name: "trainability",
  source: "Lee and Ham, CVPR 2024",
  assumes: "feature maps between two or more blocks",
  lay: (subject) => {
    const maps = mapsOf(subject)
    const found = maps.slice(1).flatMap((output, i) => {
      const signs = Op.input(`signs/${i}`, output.shape)
      const input = maps[i] ?? output
      const parameters = parametersOf(input, output)
      const [back, ...moved] = gradient(Op.sum(Op.mul(output, signs)), [input, ...parameters])
      const arrived = back === undefined ? undefined : alignedRows(back, output)
      if (back === undefined || arrived === undefined) return []
      const sent = rowsOf(signs)
      const map = Op.scale(Op.matmul(arrived, sent, { transposeA: true }), 1 / Arr.getUnsafe(sent.shape, 0))
      // How far what arrives is from what was sent.
      const apart = arrived.shape[1] === sent.shape[1] ? Op.reduceMax(Op.abs(Op.sub(arrived, sent)), [0, 1]) : undefined
      const moves = total(moved.flatMap((g) => (g === undefined ? [] : [Op.sum(Op.abs(g))])))
      return [{ i, signs, map, apart, moves }]
    })
    if (found.length === 0)
      return Result.fail(
        new NotApplicable({ proxy: "trainability", reason: "it has no two blocks whose feature maps fit together" })
      )
    return Result.succeed({
      outputs: Object.fromEntries(
        found.flatMap(({ apart, i, map, moves }) => [
          [`map${i}`, map] as const,
          ...(apart === undefined ? [] : [[`apart${i}`, apart] as const, [`moves${i}`, moves] as const])
        ])
      ),
      signs: Object.fromEntries(found.map(({ signs }) => [signs.attributes.name, signs.shape])),
      score: (values) =>
        found.reduce((sum, { i, map }) => {
          if (values[`apart${i}`]?.[0] === 0 && values[`moves${i}`]?.[0] === 0) return -Infinity
          const [rows, columns] = Shape.ofRank(2)(map.shape)
          const sigma = largestSingular(values[`map${i}`] ?? [], rows, columns)
          return sum + 2 - sigma - 1 / (sigma + 1e-6)
        }, 0) / found.length
    })
  }
})
