/**
 * Pareto fronts for any number of objectives (larger is better in each), with ranks, crowding and hypervolume.
 *
 * @example
 * ```ts
 * import { Pareto } from "@uninet/controller"
 *
 * interface Found {
 *   readonly objectives: ReadonlyArray<number>
 * }
 *
 * const front = [[0.9, -300], [0.8, -100], [0.7, -200]].reduce(
 *   (front, objectives) => Pareto.add<Found>({ objectives })(front),
 *   Pareto.empty<Found>()
 * )
 * console.log(front.members.length) // 2: the third is dominated by the second
 * console.log(Pareto.hypervolume([0, -400])(front.members.map((m) => m.objectives))) // 0.9·100 + 0.8·200 = 250
 * ```
 *
 * @example
 * ```ts
 * import { Pareto } from "@uninet/controller"
 *
 * const points = [[1, 0], [0, 1], [0, 0]]
 * console.log(Pareto.dominates([1, 1], [1, 0]), Pareto.ranks(points), Pareto.crowding(points))
 * console.log(Pareto.contributions([-1, -1])(points), Pareto.of(points.map((objectives) => ({ objectives }))).members.length)
 * ```
 */

/** Anything with objectives. */
export interface Scored {
  readonly objectives: ReadonlyArray<number>
}

/** Entries none of which dominates another, in the order in which they were added. */
export interface Front<out A extends Scored> {
  readonly members: ReadonlyArray<A>
}

/** A front without members. */
export const empty = <A extends Scored>(): Front<A> => ({ members: [] })

/** Whether `a` is at least as good as `b` in every objective, and better in at least one. */
export const dominates = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): boolean => {
  let better = false
  for (let i = 0; i < a.length; i++) {
    const x = a[i] ?? Number.NaN
    const y = b[i] ?? Number.NaN
    if (x < y) return false
    if (x > y) better = true
  }
  return better
}

/**
 * Adds an entry to a front. If a member dominates the entry, the front is unchanged (the same object); otherwise the members that the entry dominates are removed. Entries with
 * equal objectives are all kept. Linear in the front's length.
 */
export const add =
  <A extends Scored>(entry: A) =>
  (front: Front<A>): Front<A> => {
    if (front.members.some((member) => dominates(member.objectives, entry.objectives))) return front
    return { members: [...front.members.filter((m) => !dominates(entry.objectives, m.objectives)), entry] }
  }

/** The front of some entries, in the order given. Takes n log n for up to two objectives; with more, time linear in the front's length for every entry. */
export const of = <A extends Scored>(entries: Iterable<A>): Front<A> => {
  const all = [...entries]
  if ((all[0]?.objectives.length ?? 0) <= 2) {
    const ranked = ranks(all.map(({ objectives }) => objectives))
    return { members: all.filter((_, i) => ranked[i] === 0) }
  }
  let front = empty<A>()
  for (const entry of all) front = add(entry)(front)
  return front
}

/**
 * Every entry's rank: 0 on the front, 1 on the front of the rest, … (non-dominated sorting, Deb et al. 2002). Objectives must not be NaN.
 *
 * Entries are taken best first, so that an entry can be dominated only by earlier ones, and its front is found by bisection (Zhang et al., "An Efficient Approach to Nondominated Sorting for
 * Evolutionary Multiobjective Optimization", 2015). With one or two objectives it is enough to compare with the last entry of a front: n log n. With more, the entries of a front are compared one
 * by one, which is quadratic at worst.
 */
export const ranks = (points: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<number> => {
  const out = points.map(() => 0)
  const order = points.map((point, i) => ({ i, point })).sort((a, b) => lexicographic(a.point, b.point))
  const oneStandsForAll = (points[0]?.length ?? 0) <= 2
  const fronts: Array<Array<ReadonlyArray<number>>> = []
  for (const { i, point } of order) {
    let [low, high] = [0, fronts.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isDominated(point, fronts[middle] ?? [])) low = middle + 1
      else high = middle
    }
    out[i] = low
    const front = fronts[low]
    if (front === undefined) fronts.push([point])
    else if (oneStandsForAll) front[0] = point
    else front.push(point)
  }
  return out
}

/** Checks the latest entries first, since they are the likeliest to dominate. */
const isDominated = (point: ReadonlyArray<number>, front: ReadonlyArray<ReadonlyArray<number>>): boolean => {
  for (let i = front.length - 1; i >= 0; i--) {
    const other = front[i]
    if (other !== undefined && dominates(other, point)) return true
  }
  return false
}

/** Sorts larger first, by the first objective in which two points differ. */
const lexicographic = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number => {
  for (let i = 0; i < a.length; i++) {
    const x = a[i] ?? Number.NaN
    const y = b[i] ?? Number.NaN
    if (x !== y) return x > y ? -1 : 1
  }
  return 0
}

/** The crowding distance of every point: how far apart its two neighbours are in each objective, relative to the objective's range; Infinity at the ends (Deb et al. 2002). */
export const crowding = (points: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<number> => {
  const out = points.map(() => 0)
  for (let m = 0; m < (points[0]?.length ?? 0); m++) {
    const order = points.map((point, i) => ({ i, x: point[m] ?? Number.NaN })).sort((a, b) => a.x - b.x)
    const range = (order.at(-1)?.x ?? 0) - (order[0]?.x ?? 0)
    for (const [place, { i }] of order.entries()) {
      const [before, after] = [order[place - 1], order[place + 1]]
      if (before === undefined || after === undefined) out[i] = Infinity
      else if (range > 0) out[i] = (out[i] ?? 0) + (after.x - before.x) / range
    }
  }
  return out
}

/**
 * The exact volume that some points dominate above a reference point. A point that is not above the reference in every objective adds nothing.
 * Computed by slicing along the last objective (HSO, While et al. 2006): n log n for two objectives, about n^(m−1) for m.
 */
export const hypervolume =
  (reference: ReadonlyArray<number>) =>
  (points: ReadonlyArray<ReadonlyArray<number>>): number => {
    const above = points.filter((p) => p.every((x, i) => x > (reference[i] ?? Number.NaN)))
    return volume(above, reference, reference.length)
  }

const volume = (
  points: ReadonlyArray<ReadonlyArray<number>>,
  reference: ReadonlyArray<number>,
  width: number
): number => {
  if (points.length === 0) return 0
  const [left = Number.NaN, bottom = Number.NaN] = reference
  if (width === 1) return Math.max(...points.map((p) => p[0] ?? Number.NaN)) - left
  if (width === 2) {
    let total = 0
    let height = bottom
    for (const p of [...points].sort(lexicographic)) {
      const y = p[1] ?? Number.NaN
      if (y <= height) continue
      total += ((p[0] ?? Number.NaN) - left) * (y - height)
      height = y
    }
    return total
  }
  const last = width - 1
  const order = [...points].sort((a, b) => (b[last] ?? Number.NaN) - (a[last] ?? Number.NaN))
  let total = 0
  let slice: ReadonlyArray<ReadonlyArray<number>> = []
  for (const [i, p] of order.entries()) {
    slice = [...slice.filter((q) => !covers(p, q, last)), p]
    const top = p[last] ?? Number.NaN
    const floor = order[i + 1]?.[last] ?? reference[last] ?? Number.NaN
    if (top > floor) total += (top - floor) * volume(slice, reference, last)
  }
  return total
}

/** Whether `p` is at least as good as `q` in the first `width` objectives. */
const covers = (p: ReadonlyArray<number>, q: ReadonlyArray<number>, width: number) => {
  for (let i = 0; i < width; i++) if ((p[i] ?? Number.NaN) < (q[i] ?? Number.NaN)) return false
  return true
}

/** What each point alone adds to the hypervolume. */
export const contributions =
  (reference: ReadonlyArray<number>) =>
  (points: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<number> => {
    const all = hypervolume(reference)(points)
    return points.map((_, i) => all - hypervolume(reference)(points.filter((_, j) => j !== i)))
  }
