/** Points of a space as numbers, for a `Regressor`: what was chosen, and how their first epochs went. Costs and proxies are numbers already; put them behind. */
import { Elementary, Site, Space } from "@uninet/search-space"
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
 * made for every element of a list, how often each option was chosen. What is the same for all of the points is left out; points that the space does not have say nothing.
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

/** How a training went, epoch by epoch, as a journal keeps it: all lists are of one length. */
export interface Curve {
  /** Epochs trained by then, ascending. */
  readonly epochs: ReadonlyArray<number>
  /** The training loss. */
  readonly loss: ReadonlyArray<number | null>
  /** What was measured, `null` after epochs without a validation. */
  readonly measures: Readonly<Record<string, ReadonlyArray<number | null>>>
}

/** The last of the values that there are, NaN where there is none. */
const latest = (values: ReadonlyArray<number | null>): number =>
  values.findLast((value) => value !== null) ?? Number.NaN

/** What a measure was after so many epochs, at the latest validation by then; NaN where there was none. */
const measured =
  (measure: string, after: number) =>
  ({ epochs, measures }: Curve): number =>
    latest((measures[measure] ?? []).filter((_, i) => (epochs[i] ?? Infinity) <= after))

/**
 * What a training's first epochs tell of how it will end, four numbers: the logarithm of the training loss after so many of them and what one measure was by then, and how far both have come since the first. NaN for
 * what is not known. A regressor that takes them in extrapolates the curve: it has seen how far others came from there.
 *
 * @example
 * ```ts
 * import { Features, Regressor } from "@uninet/predictor"
 * import { Result } from "effect"
 *
 * // Twelve trainings' first two epochs, and what all but the first came to: the faster one learns at first, the further.
 * const curves = Array.from({ length: 12 }, (_, i): Features.Curve => ({
 *   epochs: [1, 2],
 *   loss: [2 / (i + 2), 1 / (i + 2)],
 *   measures: { accuracy: [0.5 + i / 40, 0.6 + i / 40] }
 * }))
 * const rows = curves.map(Features.ofCurve("accuracy", 2))
 * const fitted = Result.getOrThrow(Regressor.ridge(rows.slice(1), curves.slice(1).map((_, i) => 0.675 + i / 40)))
 * console.log(fitted.predict(rows[0] ?? []).mean.toFixed(2)) // 0.64; it would be 0.65
 * ```
 */
export const ofCurve =
  (measure: string, after: number) =>
  (curve: Curve): ReadonlyArray<number> => {
    const losses = curve.loss.map((loss) => (loss === null ? null : Elementary.log(loss)))
    const known = { ...curve, measures: { ...curve.measures, "": losses } }
    const [first = 1] = curve.epochs
    return ["", measure].flatMap((name) => {
      const value = measured(name, after)(known)
      return [value, value - measured(name, first)(known)]
    })
  }
