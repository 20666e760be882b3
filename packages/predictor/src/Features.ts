/** Points of a space as numbers, for a `Regressor`: what was chosen. Costs and proxies are numbers already; put them behind. */
import { Space } from "@uninet/search-space"
import * as Result from "effect/Result"

/** How points become numbers. */
export interface Encoding<in A> {
  /** What each number is of: `site 3` for where an option stands in its order, `site 3 = 1` for whether it is the one. */
  readonly names: ReadonlyArray<string>
  /** NaN throughout for what is no point of the space: a regressor takes it as average. */
  readonly encode: (point: A) => ReadonlyArray<number>
}

/**
 * An encoding by choices: for every site the number of its option (−1 where the point has no such site), and for every option that some of the given points have, whether it is the one. What is the same for all
 * of them is left out.
 *
 * @example
 * const { encode } = Features.ofChoices(mine.space, trained)
 * const rows = trained.map((point) => [...encode(point), mine.costs.macs(point)])
 */
export const ofChoices = <A>(space: Space.Space<A>, points: ReadonlyArray<A>): Encoding<A> => {
  const vector = (point: A) => Result.getOrElse(Space.vector(point)(space), (): ReadonlyArray<number> => [])
  const vectors = points.map(vector)
  const sites = Array.from({ length: Math.max(0, ...vectors.map(({ length }) => length)) }, (_, site) => ({
    site,
    options: [...new Set(vectors.map((tokens) => tokens[site] ?? -1))].sort((a, b) => a - b)
  })).filter(({ options }) => options.length > 1)
  return {
    names: sites.flatMap(({ options, site }) => [
      `site ${site}`,
      ...options.map((option) => `site ${site} = ${option}`)
    ]),
    encode: (point) => {
      const tokens = vector(point)
      const isPoint = tokens.length > 0
      return sites.flatMap(({ options, site }) => [
        isPoint ? (tokens[site] ?? -1) : Number.NaN,
        ...options.map((option) => (isPoint ? Number(tokens[site] === option) : Number.NaN))
      ])
    }
  }
}
