/**
 * What a policy chooses from: a site's options or, if there are too many, the site's slots; an option of the chosen slot is then drawn uniformly.
 */
import { Site } from "@uninet/search-space"

/** A site as a policy sees it: `count` counts options or slots, and the conditions refer to the same numbering. */
export type PolicySite = Pick<Site.Site, "index" | "count" | "conditions">

export const policySites = (sites: ReadonlyArray<Site.Site>): ReadonlyArray<PolicySite> =>
  sites.map(({ conditions, count, index, slots }) => ({
    index,
    count: slots?.length ?? count,
    // no condition distinguishes between the options of a slot
    conditions: conditions.map(({ options, site }) => {
      const starts = sites[site]?.slots
      return {
        site,
        options:
          starts === undefined ? options : new Set(starts.flatMap((start, slot) => (options.has(start) ? [slot] : [])))
      }
    })
  }))

/** The option number or slot of a token. */
export const entryOf = ({ slots }: Site.Site, token: number): number =>
  slots === undefined ? token : Site.slotOf(slots, token)

/** The tokens of an option number or slot. */
const rangeOf = ({ count, slots }: Site.Site, entry: number): readonly [from: number, length: number] => {
  const from = slots?.[entry] ?? entry
  return [from, slots === undefined ? 1 : (slots[entry + 1] ?? count) - from]
}

/** The token of an option number, or a token of a slot; `spread`, from 0 to 1, selects which one of a slot. */
export const tokenOf = (site: Site.Site, entry: number, spread: number): number => {
  const [from, length] = rangeOf(site, entry)
  return from + Math.floor(spread * length)
}

/** The `spread` that selects a token. */
export const spreadOf = (site: Site.Site, token: number): number => {
  const [from, length] = rangeOf(site, entryOf(site, token))
  return (token - from + 0.5) / length
}
