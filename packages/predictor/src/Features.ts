/** Points of a space as numbers, for a `Regressor`: what was chosen. Costs and proxies are numbers already; put them behind. */
import { Site, Space } from "@uninet/search-space"
import * as Result from "effect/Result"

/** How points become numbers. */
export interface Encoding<in A> {
  /**
   * What each number is of: `site 3` for where an option stands in its order, `site 3 = 1` for whether it is the one; of choices that are made anew for every element of a list `stages[*].operator = MLP` for how
   * many of them it was chosen in, and `stages[*].depth` for how far up its options they are together.
   */
  readonly names: ReadonlyArray<string>
  /** NaN throughout for what is no point of the space: a regressor takes it as average. */
  readonly encode: (point: A) => ReadonlyArray<number>
}

/** One number of a point's vector. */
interface Feature {
  readonly name: string
  readonly of: (vector: ReadonlyArray<number>) => number
}

/** The name of a choice, whichever element of its lists it is made for. */
const pooledName = ({ path }: Site.Site): string =>
  path.map((step, i) => (typeof step === "number" ? "[*]" : i === 0 ? step : `.${step}`)).join("")

const tokenOf = (vector: ReadonlyArray<number>, { index }: Site.Site) => vector[index] ?? Site.absent

/** Of a choice that is made anew for every element of a list: what was chosen in all of them together, of which few results say more than of each place. */
const pooled = (name: string, sites: ReadonlyArray<Site.Site>): ReadonlyArray<Feature> => {
  const together: Feature = {
    name,
    of: (vector) =>
      sites.reduce((sum, site) => {
        const token = tokenOf(vector, site)
        return token === Site.absent ? sum : sum + Site.position(site, token)
      }, 0)
  }
  if (sites.some(Site.isNumeric)) return [together]
  const labels = [
    ...new Set(sites.flatMap((site) => Array.from({ length: site.count }, (_, token) => site.label(token))))
  ]
  const counts = labels.map((label): Feature => {
    const tokens = sites.map((site) =>
      Array.from({ length: site.count }, (_, token) => site.label(token)).indexOf(label)
    )
    return {
      name: `${name} = ${label}`,
      of: (vector) => sites.filter((site, i) => tokenOf(vector, site) === tokens[i] && tokens[i] !== Site.absent).length
    }
  })
  return sites.some(({ kind }) => kind === "categorical") ? counts : [together, ...counts]
}

/**
 * An encoding by choices: for every site the number of its option (−1 where the point has no such site), and for every option that some of the given points have, whether it is the one; then, of a choice that is
 * made for every element of a list, how often each option was chosen. What is the same for all of the points is left out.
 *
 * @example
 * ```ts
 * import { Features, Regressor } from "@uninet/predictor"
 * import { Choice, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const space = Result.getOrThrow(
 *   Space.make(Choice.struct({ operator: Choice.categorical(["conv", "mlp"]), width: Choice.ordered([8, 16, 32]) }))
 * )
 * // Five networks that were trained, and what they reached.
 * const trained = [...Result.getOrThrow(Space.enumerate(space))].slice(0, 5)
 * const { encode, names } = Features.ofChoices(trained)(space)
 * console.log(names) // what each number is of
 * const fitted = Result.getOrThrow(Regressor.ridge(trained.map(encode), [0.9, 0.92, 0.94, 0.85, 0.87]))
 * console.log(fitted.predict(encode({ operator: "mlp", width: 32 })).mean.toFixed(2)) // of the one that was not
 * ```
 */
export const ofChoices =
  (points: ReadonlyArray<unknown>) =>
  <A>(space: Space.Space<A>): Encoding<A> => {
    const vector = (point: unknown) => Result.getOrElse(Space.vector(point)(space), (): ReadonlyArray<number> => [])
    const vectors = points.map(vector).filter(({ length }) => length > 0)
    const own = space.sites.flatMap((site): ReadonlyArray<Feature> => {
      const options = [...new Set(vectors.map((tokens) => tokenOf(tokens, site)))].sort((a, b) => a - b)
      return [
        { name: `site ${site.index}`, of: (tokens) => tokenOf(tokens, site) },
        ...options.map((option) => ({
          name: `site ${site.index} = ${option}`,
          of: (tokens: ReadonlyArray<number>) => Number(tokenOf(tokens, site) === option)
        }))
      ]
    })
    const lists = [...Map.groupBy(space.sites, pooledName)].flatMap(([name, sites]) =>
      sites.length < 2 ? [] : pooled(name, sites)
    )
    const features = [...own, ...lists].filter(({ of }) => new Set(vectors.map(of)).size > 1)
    return {
      names: features.map(({ name }) => name),
      encode: (point) => {
        const tokens = vector(point)
        return features.map(({ of }) => (tokens.length > 0 ? of(tokens) : Number.NaN))
      }
    }
  }
