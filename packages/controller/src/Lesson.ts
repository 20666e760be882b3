/** What an earlier search says of a space: its results, as far as their choices are choices of this space. */
import { Site, type Space } from "@uninet/search-space"
import * as Schema from "effect/Schema"

/**
 * The results of one earlier search. Only the order of its rewards is looked at, so it may be of other data, of another measure or of another recipe; how far its choices do the same here, a
 * strategy finds out by its own results.
 */
export const Lesson = Schema.Struct({
  results: Schema.Array(
    Schema.Struct({
      /** A token for every site of the space that is searched now; `Site.absent` where the earlier network had no such choice, or another option. */
      vector: Schema.Array(Schema.Int),
      /** Larger is better; `null` for a trial that failed, which is worse than any other. */
      reward: Schema.NullOr(Schema.Finite)
    })
  )
})
export type Lesson = typeof Lesson.Type

/** A point of an earlier search: what was chosen, by the names of its sites, as labels. */
export type Chosen = ReadonlyMap<string, string>

/**
 * What a point has chosen, in words that another space may have as well.
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
 * The vector of another space's choices in this one: those of the same name and label, and `Site.absent` where there is none, as listed options count as they are, numbers in order among them: of a
 * width of 16 nothing is known where there are 32 and 64. Where there are too many options to list (`Site.isNumeric`), a number goes to the nearest.
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
