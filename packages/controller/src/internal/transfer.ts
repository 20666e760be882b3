/**
 * Lessons in a Gaussian process: their results are results of the same process, for other tasks. For each choice, a lesson's task is either like this one or not. If it is not, its
 * options count as different from this task's options, at the largest distance from all of them (our choice; the kernel is a product over the choices, so each can be trusted or not independently of the others). The
 * answers are chosen to make this task's results likeliest.
 */
import { Cholesky, Elementary, Site } from "@uninet/search-space"
import type { Lesson } from "../Lesson.ts"
import { dot } from "./dot.ts"
import * as Kernel from "./kernel.ts"
import * as Normal from "./normal.ts"

type Vector = ArrayLike<number>
type Sites = ReadonlyArray<Site.Site>

/** A belief about lessons. */
export interface Belief {
  /** For every lesson and every site, whether the lesson's task is like this one there. */
  readonly alike: ReadonlyArray<ReadonlyArray<boolean>>
  /** The spread of this task's results, relative to that of the lessons' results. */
  readonly spread: number
}

/** The most rows taken from all lessons together, so that a proposal takes no longer than with this many results of the search itself. */
const most = 160
/** The variance of this task's overall level, about which the lessons say nothing. */
export const level = 1
/** The prior log-odds that a task is like this one in a choice. */
const odds = 2
const spreads = [0.3, 0.5, 0.75, 1]

export interface Rows {
  readonly size: number
  /** The normal scores of the ranks, lesson by lesson. */
  readonly targets: Float64Array
  readonly lessons: number
  /** The kernel of a point of this task with every row. */
  readonly row: (vector: Vector, shape: Kernel.Shape, belief: Belief) => Float64Array
  /** The kernel of row `i` with those before it. */
  readonly own: (i: number, shape: Kernel.Shape, belief: Belief) => Float64Array
}

/** The rows taken from a lesson: half of the room for its best results, the rest spread evenly over the others. */
const chosen = ({ results }: Lesson, room: number) => {
  const scores = Normal.scores(results.map(({ reward }) => reward ?? -Infinity))
  const all = results.map(({ vector }, i) => ({ vector: Int32Array.from(vector), score: scores[i] ?? 0 }))
  if (all.length <= room) return all
  const ranked = all.toSorted((a, b) => b.score - a.score)
  const best = ranked.slice(0, Math.ceil(room / 2))
  const others = ranked.slice(best.length)
  const left = room - best.length
  return [
    ...best,
    ...Array.from({ length: left }, (_, i) => others[Math.floor((i * others.length) / left)] ?? ranked[0])
  ].filter((row) => row !== undefined)
}

/** One site's factor of the kernel for two tokens of tasks that are not alike there: that of options at the largest distance. */
const unlike = (site: Site.Site, share: number, scale: number) =>
  Site.isNumeric(site) ? Kernel.ofNumber(site, scale, 0, site.count - 1) : Elementary.exp(-share)

export const make = (sites: Sites, lessons: ReadonlyArray<Lesson>): Rows => {
  const room = Math.max(8, Math.floor(most / lessons.length))
  const rows = lessons.flatMap((lesson, l) => chosen(lesson, room).map((row) => ({ ...row, lesson: l })))
  const kernel = (
    a: Vector,
    b: Vector,
    { length, scales }: Kernel.Shape,
    isAlike: (site: number) => boolean
  ): number => {
    const share = 1 / (sites.length * length)
    let product = 1
    for (const [i, site] of sites.entries()) {
      const [x, y] = [a[i] ?? Site.absent, b[i] ?? Site.absent]
      const scale = scales[i] ?? 1
      product *= isAlike(i) ? Kernel.ofSite(site, share, scale, x, y) : unlike(site, share, scale)
    }
    return product
  }
  return {
    size: rows.length,
    targets: Float64Array.from(rows, ({ score }) => score),
    lessons: lessons.length,
    row: (vector, shape, { alike }) =>
      Float64Array.from(rows, (row) => kernel(vector, row.vector, shape, (i) => alike[row.lesson]?.[i] === true)),
    own: (i, shape, { alike }) => {
      const row = rows[i]
      return Float64Array.from(rows.slice(0, i), (other) =>
        row === undefined
          ? 0
          : kernel(
              row.vector,
              other.vector,
              shape,
              (site) =>
                row.lesson === other.lesson ||
                (alike[row.lesson]?.[site] === true && alike[other.lesson]?.[site] === true)
            )
      )
    }
  }
}

/** The belief before there is any result: the tasks are alike in everything. */
export const credulous = (sites: Sites, lessons: number): Belief => ({
  alike: Array.from({ length: lessons }, () => sites.map(() => true)),
  spread: 0.5
})

/** The belief that makes the results likeliest, found by changing another one choice by choice. */
export const believed = (
  rows: Rows,
  results: { readonly vectors: ReadonlyArray<Int32Array>; readonly scores: Float64Array },
  kernel: (a: Int32Array, b: Int32Array) => number,
  shape: Kernel.Shape & { readonly noise: number },
  from: Belief
): Belief => {
  const { scores, vectors } = results
  const among = vectors.map((a, i) => vectors.slice(0, i).map((b) => kernel(a, b) + level))
  const factorOf = (belief: Belief) => {
    const factor = Cholesky.make()
    for (let i = 0; i < rows.size; i++) factor.append(rows.own(i, shape, belief), 1 + shape.noise)
    return factor
  }
  // With only one lesson, the kernel among its rows does not depend on the belief.
  const shared = rows.lessons === 1 ? factorOf(from) : undefined
  const likelihood = (belief: Belief) => {
    const factor = shared ?? factorOf(belief)
    factor.shrink(rows.size)
    for (const [i, vector] of vectors.entries())
      factor.append([...rows.row(vector, shape, belief), ...(among[i] ?? [])], 1 + level + shape.noise)
    const determinant = factor.halfLogDeterminant()
    const prior = belief.alike.flat().filter(Boolean).length * odds
    return (spread: number) => {
      const targets = [...rows.targets, ...scores.map((score) => spread * score)]
      const fit = dot(targets, factor.solve(targets))
      return prior + vectors.length * Elementary.log(spread) - 0.5 * fit - determinant
    }
  }
  let best = from
  let highest = -Infinity
  const consider = (alike: Belief["alike"]) => {
    const of = likelihood({ alike, spread: 1 })
    for (const spread of spreads) {
      const here = of(spread)
      if (here <= highest) continue
      highest = here
      best = { alike, spread }
    }
  }
  consider(from.alike)
  for (let round = 0; round < 3; round++) {
    const before = best
    for (const [l, own] of best.alike.entries())
      for (const site of own.keys())
        consider(best.alike.with(l, (best.alike[l] ?? own).with(site, !(best.alike[l]?.[site] ?? false))))
    if (before === best) break
  }
  return best
}
