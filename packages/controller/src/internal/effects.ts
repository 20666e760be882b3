/**
 * What lessons say of points: an additive model of each, an effect for every option of every choice, fitted to the normal scores of the ranks. It is crude on purpose: main effects are what one task
 * has in common with another, and every choice can be believed or not for itself.
 */
import { Site } from "@uninet/search-space"
import type { Lesson } from "../Lesson.ts"
import * as Normal from "./normal.ts"

/** Cells of a number's range, which have an effect each. */
const cells = 8
/** Results that an option's effect is shrunk by. */
const shrinkage = 2
const sweeps = 30

export interface Effects {
  /** What each lesson says of each choice of a point, one lesson after the other; 0 where it says nothing. */
  readonly of: (vector: ArrayLike<number>) => Float64Array
  /** Their sum: how good the lessons together think a point is, in standard deviations. */
  readonly total: (vector: ArrayLike<number>) => number
}

const cellsOf = (site: Site.Site) => (Site.isNumeric(site) ? cells : site.count)
const cellOf = (site: Site.Site, token: number) =>
  Site.isNumeric(site) ? Math.min(cells - 1, Math.floor(Site.position(site, token) * cells)) : token

export const make = (sites: ReadonlyArray<Site.Site>, lessons: ReadonlyArray<Lesson>): Effects => {
  const tables = lessons.map((lesson) => fitted(sites, lesson))
  const of = (vector: ArrayLike<number>) => {
    const out = new Float64Array(tables.length * sites.length)
    for (const [l, table] of tables.entries())
      for (const [i, site] of sites.entries()) {
        const token = vector[i] ?? Site.absent
        if (token !== Site.absent) out[l * sites.length + i] = (table[i]?.[cellOf(site, token)] ?? 0) / tables.length
      }
    return out
  }
  return { of, total: (vector) => of(vector).reduce((sum, each) => sum + each, 0) }
}

/** The effect of every cell of every site, by backfitting. */
const fitted = (sites: ReadonlyArray<Site.Site>, { results }: Lesson): ReadonlyArray<Float64Array> => {
  const residuals = Normal.scores(results.map(({ reward }) => reward ?? -Infinity))
  const placed = sites.map((site, i) =>
    Int32Array.from(results, ({ vector }) => {
      const token = vector[i] ?? Site.absent
      return token === Site.absent ? Site.absent : cellOf(site, token)
    })
  )
  const table = sites.map((site) => new Float64Array(cellsOf(site)))
  for (let sweep = 0; sweep < sweeps; sweep++) {
    for (const [i, effects] of table.entries()) {
      const at = placed[i] ?? new Int32Array()
      const sums = new Float64Array(effects.length)
      const counts = new Float64Array(effects.length)
      for (const [r, cell] of at.entries()) {
        if (cell === Site.absent) continue
        sums[cell] = (sums[cell] ?? 0) + (residuals[r] ?? 0) + (effects[cell] ?? 0)
        counts[cell] = (counts[cell] ?? 0) + 1
      }
      const next = sums.map((sum, cell) => sum / ((counts[cell] ?? 0) + shrinkage))
      for (const [r, cell] of at.entries())
        if (cell !== Site.absent) residuals[r] = (residuals[r] ?? 0) + (effects[cell] ?? 0) - (next[cell] ?? 0)
      effects.set(next)
    }
  }
  // What all options have in common says nothing of any.
  for (const effects of table) {
    const mean = effects.reduce((sum, each) => sum + each, 0) / Math.max(1, effects.length)
    for (const [cell, effect] of effects.entries()) effects[cell] = effect - mean
  }
  return table
}
