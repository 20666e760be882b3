import { Op, Shape, type Tensor } from "@uninet/graph"
import { Elementary } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Result from "effect/Result"
import { NotApplicable } from "../PredictorError.ts"
import type { Laid } from "../Proxy.ts"
import type { Subject } from "../Subject.ts"
import { blocks } from "./blocks.ts"
import { eigenvalues } from "./eigenvalues.ts"

/** The features at all positions of all examples as rows, `[rows, channels]`. */
export const rowsOf = (map: Tensor.Tensor): Tensor.Tensor => {
  const tokens = map.shape.length === 4 ? Op.toTokens(map) : map
  const [, , channels] = Shape.ofRank(3)(tokens.shape)
  return Op.reshape(tokens, [Shape.size(tokens.shape) / channels, channels])
}

/** −Σ p log(p + 10⁻⁸) of the eigenvalues as shares of their sum. */
const entropyOf = (covariance: ArrayLike<number>): number => {
  const values = eigenvalues(covariance, Math.sqrt(covariance.length)).map((value) => Math.max(value, 0))
  const sum = values.reduce((a, b) => a + b, 0)
  return values.reduce((entropy, value) => entropy - (value / sum) * Elementary.log(value / sum + 1e-8), 0)
}

/** The feature maps between blocks, for the network's first answer. */
export const mapsOf = ({ whole: { answers, order } }: Subject): ReadonlyArray<Tensor.Tensor> => {
  const [answer] = answers
  return answer === undefined ? [] : blocks(order, answer)
}

/** A score computed from the entropies of the features' principal components, block by block. */
export const entropies =
  (proxy: string, least: number, score: (entropies: ReadonlyArray<number>) => number) =>
  (subject: Subject): Result.Result<Laid, NotApplicable> => {
    const maps = mapsOf(subject)
    if (maps.length < least)
      return Result.fail(
        new NotApplicable({
          proxy,
          reason: `it has ${maps.length} blocks with feature maps, but ${least} are needed`
        })
      )
    const covariances = maps.map((map) => {
      const rows = rowsOf(map)
      const centred = Op.sub(rows, Op.mean(rows, [0], true))
      return Op.scale(Op.matmul(centred, centred, { transposeA: true }), 1 / Arr.getUnsafe(rows.shape, 0))
    })
    return Result.succeed({
      outputs: Object.fromEntries(covariances.map((covariance, i) => [`covariance${i}`, covariance])),
      score: (values) => score(maps.map((_, i) => entropyOf(values[`covariance${i}`] ?? [])))
    })
  }
