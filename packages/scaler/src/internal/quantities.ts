/** Which parts of a chain can be scaled, which values each quantity may take, and which value the coefficients aim for. */
import type { Scaling } from "@uninet/model-space"
import { Elementary } from "@uninet/search-space"
import type { Coefficients } from "../Coefficients.ts"

/** A size that grows: how fast, and up to which limit. */
export interface Quantity extends Scaling.Size {
  readonly dimension: Scaling.Dimension
  readonly factor: number
  readonly limit: number
}

/** Everything in a chain that can change. */
export interface Quantities {
  readonly resolution: Quantity
  readonly stem: Quantity
  readonly widths: ReadonlyArray<Quantity>
  readonly depths: ReadonlyArray<Quantity>
  readonly head: Quantity
  /** Stages that must stay as wide as their input. */
  readonly tied: ReadonlyArray<boolean>
  /** Stages whose width must stay different from their input's. */
  readonly apart: ReadonlyArray<boolean>
}

export type Limits = Readonly<Record<Scaling.Dimension, number>>

export interface Settings {
  readonly coefficients: Coefficients
  readonly fixedImage: boolean
  readonly limits: Limits
}

type Anatomy = Omit<Scaling.Chain<never>, "apply" | "sizesOf">

export const of = (chain: Anatomy, { coefficients, fixedImage, limits }: Settings): Quantities => {
  const { head, resolution, stages, stem } = chain
  const quantity = (dimension: Scaling.Dimension, size: Scaling.Size, limit = limits[dimension]): Quantity => ({
    ...size,
    dimension,
    // A size that does not change cannot reach its limit either.
    factor: size.step === 0 ? 1 : coefficients[dimension],
    limit
  })
  const edges = chain.edges(resolution.base)
  const longest = edges.length === 0 ? resolution.base : Math.max(...edges)
  return {
    resolution: quantity(
      "resolution",
      fixedImage ? { ...resolution, step: 0 } : resolution,
      Math.floor((limits.resolution * resolution.base) / longest)
    ),
    stem: quantity("width", stem),
    widths: stages.map(({ width }) => quantity("width", width)),
    depths: stages.map(({ depth }) => quantity("depth", depth)),
    head: quantity("width", head),
    tied: stages.map(({ entry }) => entry === "tied"),
    apart: stages.map(({ entry }) => entry === "apart")
  }
}

export const all = ({ depths, head, resolution, stem, widths }: Quantities): ReadonlyArray<Quantity> => [
  resolution,
  stem,
  ...widths,
  ...depths,
  head
]

/** The value at φ = t without rounding. */
export const ideal = ({ base, factor }: Quantity, t: number): number => base * Elementary.pow(factor, t)

/** The next value above. */
export const above = ({ base, step }: Quantity, value: number): number => {
  const next = (Math.floor(value / step) + 1) * step
  return Math.max(next, base)
}

/** The next value below; the baseline's is the lowest. */
export const below = ({ base, step }: Quantity, value: number): number =>
  Math.max(base, (Math.ceil(value / step) - 1) * step)

/**
 * The values on both sides of the wanted value, `reach` of them each, none below `least` and none above the limit. A value that is hit
 * exactly counts as below.
 */
export const around = (
  quantity: Quantity,
  wanted: number,
  least: number,
  reach: number
): readonly [number, ...ReadonlyArray<number>] => {
  const { base, limit, step } = quantity
  if (step === 0) return [base]
  // Slightly above a value counts as that value: powers of coefficients are not exact.
  const under = Math.max(base, Math.floor(wanted / step + 1e-9) * step)
  const first = Math.max(least, under)
  const values: [number, ...Array<number>] = [first]
  for (let n = 1, value = first; n < reach && value > least; n++) values.unshift((value = below(quantity, value)))
  for (let n = 0, value = first; n < reach; n++) {
    value = above(quantity, value)
    if (value > limit) break
    values.push(value)
  }
  return values
}
