/**
 * What a policy chooses between: a site's options; where there are too many of them the site's slots, and then some option of the slot with equal chances.
 */
import { Site } from "@uninet/search-space"

/** A site as a policy sees it: `count` is of the options or slots, and its conditions are in the same numbers. */
export type PolicySite = Pick<Site.Site, "index" | "count" | "conditions">

export const policySites = (sites: ReadonlyArray<Site.Site>): ReadonlyArray<PolicySite> =>
  sites.map(({ conditions, count, index, slots }) => ({
    index,
    count: slots?.length ?? count,
    // no condition tells the options of a slot apart
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

/** A token of an option number or slot; `spread`, from 0 to 1, says which one of a slot. */
export const tokenOf = (site: Site.Site, entry: number, spread: number): number => {
  const [from, length] = rangeOf(site, entry)
  return from + Math.floor(spread * length)
}

/** The `spread` that gives a token. */
export const spreadOf = (site: Site.Site, token: number): number => {
  const [from, length] = rangeOf(site, entryOf(site, token))
  return (token - from + 0.5) / length
}
