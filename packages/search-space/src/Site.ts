/**
 * A site is a place where a choice is made. A space has a fixed list of sites, so a search algorithm can give each one a column
 * (of a feature vector, or of a table of logits). A point of the space has a token at every site that exists for it.
 *
 * @example
 * ```ts
 * import { Choice, Prng, Site, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const space = Result.getOrThrow(Space.make(Choice.struct({ width: Choice.ordered([8, 16, 32]) })))
 * for (const site of space.sites) {
 *   console.log(Site.exists(site, [0]), Site.isNumeric(site), Site.position(site, 1), Site.at(site, 1)) // true false 0.5 2
 *   console.log(Site.nearby(site, 1), Site.another(site, 1, Prng.fromSeed("demo")))
 * }
 * ```
 */

import type { Prng } from "./Prng.ts"

/** The possible options of a choice: JSON's scalars. */
export type Literal = string | number | boolean | null

/** Requires that the token at an earlier site is one of `options`. */
export interface Condition {
  /** The number of the site in the space's list. */
  readonly site: number
  readonly options: ReadonlySet<number>
}

/** A place in a space where a choice is made. */
export interface Site {
  /** The position in the space's list of sites. A site's conditions refer to sites before it. */
  readonly index: number
  /** Where the choice is in the declaration, as a path; `name` is the same path as text, `[1].operator`. */
  readonly path: ReadonlyArray<string | number>
  readonly name: string
  /** `ordered`, `integer` and `continuous` options have an order that distances and models may use; `categorical` ones have none. */
  readonly kind: "categorical" | "ordered" | "integer" | "continuous"
  /** For a continuous site: the scale on which its numbers are evenly spaced. */
  readonly scale?: "linear" | "logarithmic"
  /**
   * The number of options; a token is 0 … count − 1. The real numbers of a continuous site lie on a grid of 2³⁰ steps (fewer if doubles are too coarse
   * for that), evenly spaced in the site's scale.
   */
  readonly count: number
  /** The seed point's token. */
  readonly seed: number
  /** The site exists if all of these hold; empty for a site that always exists. */
  readonly conditions: ReadonlyArray<Condition>
  /** The value that a token stands for. */
  readonly value: (token: number) => Literal
  /** The value as text. */
  readonly label: (token: number) => string
  /**
   * For a site with too many options to list (a continuous one, or an ordered or integer one with more than `mostListed`): the first tokens of about 16 consecutive
   * ranges. A policy treats all options of a range alike, and no condition distinguishes between them. `undefined` for every other site.
   */
  readonly slots?: ReadonlyArray<number>
}

/** Marks a site that does not exist for a point, in a vector with one entry for every site. */
export const absent = -1

/** Whether a site exists, given a vector with the tokens of all earlier sites. */
export const exists = (site: Site, vector: ArrayLike<number>): boolean => {
  for (const { options, site: parent } of site.conditions) {
    if (!options.has(vector[parent] ?? absent)) return false
  }
  return true
}

/** The most options that an ordered or integer site may have to be listed one by one; sites with more are numeric. */
export const mostListed = 1024

/** The number of ranges into which a numeric site's options are divided if no condition divides them further. */
const slotCount = 16

/**
 * Whether a site has an order and too many options to list. Algorithms treat such a site as a number: by its `position`, by steps of several
 * lengths, and by its `slots`.
 */
export const isNumeric = (site: Pick<Site, "kind" | "count">): boolean =>
  site.kind === "continuous" || (site.kind !== "categorical" && site.count > mostListed)

/** Where a token lies between a site's first option (0) and its last (1), for a site with an order. */
export const position = (site: Pick<Site, "count">, token: number): number =>
  site.count < 2 ? 0 : token / (site.count - 1)

/** The token nearest to a position between 0 and 1. */
export const at = (site: Pick<Site, "count">, position: number): number =>
  Math.min(site.count - 1, Math.max(0, Math.round(position * (site.count - 1))))

/** How far the changes of a numeric site reach, farthest first: half of its range, a quarter, …, down to 1 / 2¹⁴ of it or to one step. */
const reaches = (site: Site): ReadonlyArray<number> => {
  const out: Array<number> = []
  for (let k = 1; k <= 14; k++) {
    const reach = Math.max(1, Math.floor((site.count - 1) / (1 << k)))
    if (reach !== out.at(-1)) out.push(reach)
  }
  return out
}

/** The options that one change can lead to: all others; for a numeric site, those half, a quarter, …, 1 / 2¹⁴ of its range below and above, down to one step. */
export const nearby = (site: Site, token: number): ReadonlyArray<number> => {
  const out: Array<number> = []
  if (!isNumeric(site)) {
    for (let other = 0; other < site.count; other++) if (other !== token) out.push(other)
    return out
  }
  for (const reach of reaches(site)) {
    if (token - reach >= 0) out.push(token - reach)
    if (token + reach < site.count) out.push(token + reach)
  }
  return out
}

/**
 * Draws another option of a site with at least two, uniformly. For a numeric site, first draws a reach, from half of its range down to 1 / 2¹⁴ of it with every
 * halving equally likely, then an option within that reach. So both large and fine changes can happen at any time.
 */
export const another = (site: Site, token: number, prng: Prng): number => {
  if (!isNumeric(site)) {
    const draw = prng.nextInt(site.count - 1)
    return draw < token ? draw : draw + 1
  }
  const all = reaches(site)
  const step = 1 + prng.nextInt(all[prng.nextInt(all.length)] ?? 1)
  const signed = prng.nextInt(2) === 0 ? token - step : token + step
  // a step is at most half of the range, so if it leaves the range on one side, the step to the other side stays inside
  return signed < 0 ? token + step : signed >= site.count ? token - step : signed
}

/** The slot of a token, for a site with slots. */
export const slotOf = (slots: ReadonlyArray<number>, token: number): number => {
  let [low, high] = [0, slots.length - 1]
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((slots[middle] ?? Infinity) <= token) low = middle
    else high = middle - 1
  }
  return low
}

/** @internal Gives every numeric site its slots: first divides where a condition distinguishes between neighbours, then evenly. */
export const withSlots = (sites: ReadonlyArray<Site>): ReadonlyArray<Site> =>
  sites.map((site) => {
    if (!isNumeric(site)) return site
    const cuts = new Set([0])
    for (const { conditions } of sites) {
      for (const { options, site: parent } of conditions) {
        if (parent !== site.index) continue
        for (const token of options) {
          if (!options.has(token - 1)) cuts.add(token)
          if (!options.has(token + 1) && token + 1 < site.count) cuts.add(token + 1)
        }
      }
    }
    const starts = [...cuts].sort((a, b) => a - b)
    const slots = starts.flatMap((from, i) => {
      const length = (starts[i + 1] ?? site.count) - from
      const pieces = Math.ceil((length / site.count) * slotCount)
      return Array.from({ length: pieces }, (_, piece) => from + Math.floor((piece * length) / pieces))
    })
    return { ...site, slots }
  })
