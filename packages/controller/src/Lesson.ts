/** What an earlier search tells about a space: its results, in so far as their choices also exist in this space. */
import { Site, type Space } from "@uninet/search-space"
import * as Schema from "effect/Schema"

/**
 * The results of one earlier search. Only the order of its rewards matters, so it may have used another data set, measure or recipe. A strategy learns from its own results how far
 * the earlier ones apply here.
 */
export const Lesson = Schema.Struct({
  results: Schema.Array(
    Schema.Struct({
      /** A token for every site of the space being searched now; `Site.absent` if the earlier network did not have the choice, or had an option that does not exist here. */
      vector: Schema.Array(Schema.Int),
      /** Larger is better; `null` for a trial that failed, which is worse than any other. */
      reward: Schema.NullOr(Schema.Finite)
    })
  )
})
export type Lesson = typeof Lesson.Type

/** A point of an earlier search: the labels of the chosen options, by the names of its sites. */
export type Chosen = ReadonlyMap<string, string>

/**
 * The choices of a point as names and labels, which can be looked up in another space.
 *
 * @example
 * ```ts
 * import { Lesson } from "@uninet/controller"
 * import { Choice, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const before = Result.getOrThrow(
 *   Space.make(Choice.struct({ operator: Choice.categorical(["conv", "mlp"]), width: Choice.ordered([16, 32]) }))
 * )
 * const now = Result.getOrThrow(
 *   Space.make(Choice.struct({ width: Choice.ordered([32, 64]), operator: Choice.categorical(["attention", "conv"]) }))
 * )
 * // What the earlier search found good, in the terms of the one that is about to begin.
 * const vector = Result.getOrThrow(Space.vector(Space.seedPoint(before))(before))
 * const chosen = Lesson.chosen(vector)(before)
 * console.log(chosen) // Map(2) { 'operator' => 'conv', 'width' => '16' }
 * console.log(Lesson.translated(chosen)(now)) // [ -1, 1 ]: there is no width of 16 here; conv is option 1
 * ```
 */
export const chosen =
  (vector: ArrayLike<number>) =>
  <A>(space: Space.Space<A>): Chosen =>
    new Map(
      space.sites.flatMap((site) => {
        const token = vector[site.index] ?? Site.absent
        return token === Site.absent ? [] : [[site.name, site.label(token)] as const]
      })
    )

/**
 * Another space's choices as a vector of this space: options with the same name and label, and `Site.absent` if there is none. Listed options have to match exactly, ordered numbers
 * included: a width of 16 has no match among 32 and 64. If a site has too many options to list (`Site.isNumeric`), a number maps to the nearest value.
 */
export const translated =
  (choices: Chosen) =>
  <A>(space: Space.Space<A>): ReadonlyArray<number> =>
    space.sites.map((site) => {
      const label = choices.get(site.name)
      return label === undefined ? Site.absent : tokenOf(site, label)
    })

const tokens = new WeakMap<Site.Site, ReadonlyMap<string, number>>()

const tokenOf = (site: Site.Site, label: string): number => {
  if (Site.isNumeric(site)) return nearest(site, Number(label))
  const known =
    tokens.get(site) ?? new Map(Array.from({ length: site.count }, (_, token) => [site.label(token), token]))
  tokens.set(site, known)
  return known.get(label) ?? Site.absent
}

/** Values rise with tokens. */
const nearest = (site: Site.Site, value: number): number => {
  if (!Number.isFinite(value)) return Site.absent
  let [low, high] = [0, site.count - 1]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (Number(site.value(middle)) < value) low = middle + 1
    else high = middle
  }
  const before = Math.max(0, low - 1)
  const off = (token: number) => Math.abs(Number(site.value(token)) - value)
  return off(before) <= off(low) ? before : low
}
