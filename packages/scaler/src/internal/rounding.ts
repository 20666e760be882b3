/**
 * The roundings nearest to the ideal sizes whose cost matches the target.
 *
 * Every quantity may take a few values around its ideal one. A network is a chain of parts whose costs add up and that share nothing but
 * a width, so dynamic programming over (stage, width, cost in narrow bands) finds the best combination of all.
 */
import type { Scaling } from "@uninet/model-space"
import { Elementary } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Q from "./quantities.ts"
import * as Ray from "./ray.ts"

export interface Rounded {
  readonly sizes: Scaling.Sizes
  readonly macs: number
  /** Distance from the ideal sizes, where it is 0. */
  readonly distance: number
}

export interface Problem {
  readonly quantities: Q.Quantities
  readonly macs: Ray.Macs
  readonly least: Scaling.Sizes
  /** Where along the coefficients' direction the ideal sizes are. */
  readonly t: number
  readonly target: number
  readonly tolerance: number
}

/** Bands of cost per tolerance: of networks in the same band, only the one nearest to the ideal is kept. */
const bandsPerTolerance = 50

/** How much more a depth below its ideal counts in the first half of the stages, so that these are rounded up rather than down. */
const earlyDepth = 2

/** The weight of the stem's and the head's width, relative to that of a stage. */
const edgeWidth = 0.25

const squared = (value: number, ideal: number, below = 1): number => {
  if (value === ideal) return 0
  const log = Elementary.log(value / ideal)
  const counted = log < 0 ? below * log : log
  return counted * counted
}

/** What a stage leaves behind: for every width and band, the nearest way to get there. */
interface Front {
  readonly widths: ReadonlyArray<number>
  readonly distance: Float64Array
  readonly macs: Float64Array
  /** The state in the previous front, and the depth. */
  readonly from: Array<number>
  readonly depths: Array<number>
}

const front = (widths: ReadonlyArray<number>, bands: number): Front => {
  const size = widths.length * bands
  return {
    widths,
    distance: new Float64Array(size).fill(Infinity),
    macs: new Float64Array(size),
    from: Array.from(new Int32Array(size)),
    depths: Array.from(new Int32Array(size))
  }
}

/** How many values to try on either side of the ideal when the image is fixed: as few as will do. */
const reaches = [1, 2, 3]

/**
 * The rounding to use: the one nearest to the ideal if any is within the tolerance, else the one nearest to the target.
 *
 * `costOf` is the cost of sizes, `undefined` if they cannot be built.
 */
export const best = (problem: Problem, costOf: (sizes: Scaling.Sizes) => number | undefined): Rounded => {
  const { least, quantities, t } = problem
  const { resolution } = quantities
  const ideal = Q.ideal(resolution, t)
  const edges = Q.around(resolution, ideal, least.resolution, 1)
  const sound = (rounded: Rounded) => isWithin(problem, rounded.macs)
  const nearer = (a: Rounded, b: Rounded) => (better(problem, a, b) ? a : b)
  let found: Rounded = { sizes: least, macs: costOf(least) ?? Infinity, distance: Infinity }
  for (const edge of edges) found = nearer(atImage(problem, 1, edge) ?? found, found)
  if (sound(found)) return found
  const turned = edges.map((edge) => turn(problem, edge))
  for (const reach of reaches) {
    for (const { edge, problem: other } of turned) {
      const here = other === undefined ? undefined : atImage(other, reach, edge)
      if (here !== undefined) found = nearer({ ...here, distance: here.distance + squared(edge, ideal) }, found)
    }
    if (sound(found)) return found
  }
  return walk(problem, found, costOf)
}

/**
 * The problem with the image fixed at one size: depth and width grow alone until the cost matches the target, equally if the coefficients keep both
 * unchanged.
 */
const turn = (problem: Problem, edge: number): { readonly edge: number; readonly problem: Problem | undefined } => {
  const { macs, quantities, target } = problem
  const { depths, head, stem, widths } = quantities
  const grows = [...widths, ...depths].some(({ factor }) => factor > 1)
  const grown = (quantity: Q.Quantity): Q.Quantity =>
    grows || quantity.step === 0 ? quantity : { ...quantity, factor: 2 }
  const fixed: Q.Quantities = {
    ...quantities,
    resolution: { ...quantities.resolution, base: edge, step: 0, factor: 1 },
    stem: grown(stem),
    widths: widths.map(grown),
    depths: depths.map(grown),
    head: grown(head)
  }
  const least = { ...problem.least, resolution: edge }
  const costAt = (t: number) => Ray.cost(fixed, macs, least, t)
  const end = Ray.end(fixed).t
  const t = Number.isFinite(end) ? Ray.length(costAt, target, end) : undefined
  return { edge, problem: t === undefined ? undefined : { ...problem, quantities: fixed, least, t } }
}

/** Takes single steps, always the largest of those that lead nearer to the target, until it is reached or none does. */
const walk = (problem: Problem, from: Rounded, costOf: (sizes: Scaling.Sizes) => number | undefined): Rounded => {
  let at = from
  while (!isWithin(problem, at.macs)) {
    let next: Rounded | undefined
    for (const [, sizes] of steps(problem.quantities, problem.least, at.sizes)) {
      const macs = costOf(sizes)
      if (macs === undefined || off(problem, macs) >= off(problem, at.macs)) continue
      if (next === undefined || Math.abs(macs - at.macs) > Math.abs(next.macs - at.macs))
        next = { sizes, macs, distance: at.distance }
    }
    if (next === undefined) return at
    at = next
  }
  return at
}

const off = ({ target }: Problem, macs: number) => Math.abs(macs / target - 1)

export const isWithin = (problem: Problem, macs: number): boolean => off(problem, macs) <= problem.tolerance

const better = (problem: Problem, a: { readonly macs: number; readonly distance: number }, b: typeof a): boolean => {
  const [inA, inB] = [isWithin(problem, a.macs), isWithin(problem, b.macs)]
  if (inA !== inB) return inA
  return inA ? a.distance < b.distance : off(problem, a.macs) < off(problem, b.macs)
}

const atImage = (problem: Problem, reach: number, edge: number): Rounded | undefined => {
  const { least, macs, quantities, t, target, tolerance } = problem
  const { apart, head, resolution, stem, tied } = quantities
  const stages = quantities.widths.length
  const band = (target * tolerance) / bandsPerTolerance
  // Beyond the target, costs above twice as much cannot be the nearest.
  const most = target * Math.max(2, 1 + 2 * tolerance)
  const bands = Math.ceil(most / band) + 1
  const choices = (quantity: Q.Quantity, atLeast: number) => {
    const wanted = Q.ideal(quantity, t)
    return Q.around(quantity, wanted, atLeast, reach).map((value) => ({ value, wanted }))
  }

  const start = front(Q.around(stem, Q.ideal(stem, t), least.stem, reach), bands)
  start.widths.forEach((width, w) => {
    const cost = macs.stem(edge, width)
    if (!(cost <= most)) return
    const state = w * bands + Math.floor(cost / band)
    start.macs[state] = cost
    start.distance[state] =
      squared(edge, Q.ideal(resolution, t)) + (edgeWidth * squared(width, Q.ideal(stem, t))) / stages
  })

  const fronts: Array<Front> = []
  let last = start
  for (const [i, quantity] of quantities.widths.entries()) {
    const before = last
    const depths = choices(Arr.getUnsafe(quantities.depths, i), Arr.getUnsafe(least.depths, i))
    const wanted = Q.ideal(quantity, t)
    const widths = tied[i] ? before.widths : Q.around(quantity, wanted, Arr.getUnsafe(least.widths, i), reach)
    const after = front(widths, bands)
    const below = i < stages / 2 ? earlyDepth : 1
    before.widths.forEach((entry, e) => {
      after.widths.forEach((width, w) => {
        if (tied[i] ? e !== w : apart[i] && entry === width) return
        const { first, further } = macs.stage(edge, i, entry, width)
        const widthTerm = squared(width, wanted) / stages
        depths.forEach((depth) => {
          const own = first + (depth.value - 1) * further
          const term = widthTerm + squared(depth.value, depth.wanted, below) / stages
          if (!(own <= most)) return
          for (let b = e * bands; b < (e + 1) * bands; b++) {
            const upToHere = before.distance[b] ?? Infinity
            if (upToHere === Infinity) continue
            const cost = (before.macs[b] ?? Infinity) + own
            if (cost > most) continue
            const state = w * bands + Math.floor(cost / band)
            const distance = upToHere + term
            if (distance >= (after.distance[state] ?? Infinity)) continue
            after.distance[state] = distance
            after.macs[state] = cost
            after.from[state] = b
            after.depths[state] = depth.value
          }
        })
      })
    })
    fronts.push(after)
    last = after
  }

  let found: { macs: number; distance: number; state: number; head: number } | undefined
  last.widths.forEach((entry, e) => {
    for (const { value, wanted } of choices(head, least.head)) {
      const own = macs.head(edge, entry, value)
      const term = (edgeWidth * squared(value, wanted)) / stages
      for (let state = e * bands; state < (e + 1) * bands; state++) {
        const upToHere = last.distance[state] ?? Infinity
        if (upToHere === Infinity) continue
        const cost = (last.macs[state] ?? Infinity) + own
        const here = { macs: cost, distance: upToHere + term, state, head: value }
        if (found === undefined || better(problem, here, found)) found = here
      }
    }
  })
  if (found === undefined) return undefined

  const widths: Array<number> = []
  const depths: Array<number> = []
  let state = found.state
  for (const { depths: chosen, from, widths: possible } of fronts.reverse()) {
    widths.unshift(Arr.getUnsafe(possible, Math.floor(state / bands)))
    depths.unshift(Arr.getUnsafe(chosen, state))
    state = Arr.getUnsafe(from, state)
  }
  const sizes = {
    resolution: edge,
    stem: Arr.getUnsafe(start.widths, Math.floor(state / bands)),
    widths,
    depths,
    head: found.head
  }
  return { sizes, macs: found.macs, distance: found.distance }
}

/** The smallest change in cost, relative to the target, from one step of one quantity towards the target. */
export const finestStep = (
  { least, quantities, target }: Problem,
  { macs, sizes }: Rounded,
  costOf: (sizes: Scaling.Sizes) => number | undefined
): { readonly step: string; readonly share: number } => {
  let finest = { step: "none is left", share: 0 }
  for (const [{ dimension, part, step }, moved] of steps(quantities, least, sizes)) {
    const cost = costOf(moved)
    if (cost === undefined || cost === macs || cost > macs !== target > macs) continue
    const share = Math.abs(cost - macs) / target
    if (finest.share !== 0 && share >= finest.share) continue
    const unit = dimension === "depth" ? "1 repeat" : `${step} ${dimension === "resolution" ? "pixels" : "channels"}`
    finest = { step: `${part}: ${unit}`, share }
  }
  return finest
}

/** All sizes one step away; tied widths move together, and widths that must differ stay different. */
export const steps = (
  { apart, depths, head, resolution, stem, tied, widths }: Q.Quantities,
  least: Scaling.Sizes,
  sizes: Scaling.Sizes
): ReadonlyArray<readonly [Q.Quantity, Scaling.Sizes]> => {
  const out: Array<readonly [Q.Quantity, Scaling.Sizes]> = []
  const move = (quantity: Q.Quantity, value: number, lowest: number, put: (value: number) => Scaling.Sizes) => {
    if (quantity.step === 0) return
    const [up, down] = [Q.above(quantity, value), Q.below(quantity, value)]
    if (up <= quantity.limit) out.push([quantity, put(up)])
    if (down >= lowest && down < value) out.push([quantity, put(down)])
  }
  /** Position 0 is the stem, i + 1 stage i: the width there and all that are tied to it. */
  const current: Arr.NonEmptyReadonlyArray<number> = [sizes.stem, ...sizes.widths]
  const widened = (from: number, value: number): Scaling.Sizes => {
    let to = from
    while (tied[to] === true) to++
    const [stem, ...widths] = Arr.map(current, (width, position) =>
      position >= from && position <= to ? value : width
    )
    return { ...sizes, stem, widths }
  }
  const leastWidths = [least.stem, ...least.widths]
  move(resolution, sizes.resolution, least.resolution, (value) => ({ ...sizes, resolution: value }))
  for (const [position, quantity] of [stem, ...widths].entries()) {
    if (position > 0 && tied[position - 1]) continue
    move(quantity, Arr.getUnsafe(current, position), Arr.getUnsafe(leastWidths, position), (value) =>
      widened(position, value)
    )
  }
  depths.forEach((quantity, i) =>
    move(quantity, Arr.getUnsafe(sizes.depths, i), Arr.getUnsafe(least.depths, i), (value) => ({
      ...sizes,
      depths: sizes.depths.with(i, value)
    }))
  )
  move(head, sizes.head, least.head, (value) => ({ ...sizes, head: value }))
  return out.filter(([, next]) =>
    apart.every((differs, i) => !differs || next.widths[i] !== (i === 0 ? next.stem : next.widths[i - 1]))
  )
}
