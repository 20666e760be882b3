/**
 * What lessons say about points. Each lesson gives an additive model, with an effect for every option of every choice, fitted to the normal scores of the ranks. The model is deliberately crude: main effects are what
 * tasks have in common, and each choice can be trusted or not independently of the others.
 */
import { Site } from "@uninet/search-space"
import type { Lesson } from "../Lesson.ts"
import * as Normal from "./normal.ts"

/** The number of cells into which a number's range is divided; each has an effect. */
const cells = 8
/** An option's effect is shrunk as if by this many results with no effect. */
const shrinkage = 2
const sweeps = 30

export interface Effects {
  /** The effect of each choice of a point by each lesson, one lesson after the other; 0 if a lesson says nothing about a choice. */
  readonly of: (vector: ArrayLike<number>) => Float64Array
  /** Their sum: how good a point is according to all lessons together, in standard deviations. */
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

/** The effect of each cell of each site, by backfitting. */
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
  // The mean over all options says nothing about any one of them.
  for (const effects of table) {
    const mean = effects.reduce((sum, each) => sum + each, 0) / Math.max(1, effects.length)
    for (const [cell, effect] of effects.entries()) effects[cell] = effect - mean
  }
  return table
}
