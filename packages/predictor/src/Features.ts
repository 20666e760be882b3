/** Points of a space as numbers, for a `Regressor`: their choices, and how their first epochs went. Costs and proxies are numbers already; append them. */
import { Elementary, Site, Space } from "@uninet/search-space"
import * as Result from "effect/Result"

/** How points are turned into numbers. */
export interface Encoding<in A> {
  /**
   * What each number means: `site 3` for the position of the option in its order, `site 3 = 1` for whether it is that option. For choices that are made anew for every element of a list, `stages[*].operator =
   * MLP` for how often it was chosen in the list, and `stages[*].depth` for how far up its options the elements are in total.
   */
  readonly names: ReadonlyArray<string>
  /** NaN throughout for anything that is not a point of the space: a regressor treats it as average. */
  readonly encode: (point: A) => ReadonlyArray<number>
}

/** One feature, computed from a point's vector. */
interface Feature {
  readonly name: string
  readonly of: (vector: ReadonlyArray<number>) => number
}

/** The name of a choice, independent of the list elements that it is made for. */
const pooledName = ({ path }: Site.Site): string =>
  path.map((step, i) => (typeof step === "number" ? "[*]" : i === 0 ? step : `.${step}`)).join("")

const tokenOf = (vector: ReadonlyArray<number>, { index }: Site.Site) => vector[index] ?? Site.absent

/** For a choice that is made anew for every element of a list: the choices in all elements taken together, about which a few results reveal more than about any one position. */
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
 * An encoding by choices: for every site the index of its option (−1 if the point has no such site), and for every option that some of the given points have, whether it is chosen; then, for a choice that is
 * made for every element of a list, how often each option was chosen. Features that are equal for all the points are left out; points outside the space carry no information.
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

/** The course of a training, epoch by epoch, as in a journal; all lists have the same length. */
export interface Curve {
  /** Epochs trained so far, ascending. */
  readonly epochs: ReadonlyArray<number>
  /** The training loss. */
  readonly loss: ReadonlyArray<number | null>
  /** The measures, `null` after epochs without a validation. */
  readonly measures: Readonly<Record<string, ReadonlyArray<number | null>>>
}

/** The last value that exists, NaN if there is none. */
const latest = (values: ReadonlyArray<number | null>): number =>
  values.findLast((value) => value !== null) ?? Number.NaN

/** A measure after a number of epochs, from the latest validation until then; NaN if there was none. */
const measured =
  (measure: string, after: number) =>
  ({ epochs, measures }: Curve): number =>
    latest((measures[measure] ?? []).filter((_, i) => (epochs[i] ?? Infinity) <= after))

/**
 * What a training's first epochs tell about its outcome, in four numbers: the logarithm of the training loss after a number of epochs, the value of one measure by then, and how far both have come since the first
 * epoch. NaN for anything unknown. A regressor with these features extrapolates the curve: it has seen how far other networks came from there.
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
