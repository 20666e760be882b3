/**
 * The Gaussian process's kernel against many points at once: exp(−d / ℓ), where d is the share of the choices in which two points differ, times a Matérn kernel (ν = 5/2) for
 * every number (a continuous choice, or an integer with very many values) of the distance on the unit interval divided by the number's own scale. The kernel is a product over the sites, so a
 * point's row can be computed from the row of a nearby point, using only the sites in which the two differ.
 */
import { Elementary, Site } from "@uninet/search-space"
import type { Point } from "./points.ts"

type Sites = ReadonlyArray<Site.Site>

/** The kernel's hyperparameters. */
export interface Shape {
  /** ℓ, as a share of all choices. */
  readonly length: number
  /** The scale of each number, as a share of its range, by site; entries at other sites are ignored. */
  readonly scales: ReadonlyArray<number>
}

/** A site's token in a vector. */
export const tokenOf = ({ index }: Site.Site, vector: Int32Array): number => vector[index] ?? Site.absent

/** How much one listed site adds to the distance if the tokens differ: 1, or for ordered choices a value that grows with how far apart they are (our choice). */
export const apart = ({ count, kind }: Site.Site, x: number, y: number): number =>
  x === y
    ? 0
    : kind === "categorical" || count < 3 || x === Site.absent || y === Site.absent
      ? 1
      : 0.5 + (0.5 * Math.abs(x - y)) / (count - 1)

/** How much one number adds to the distance: 1 if only one of the two points has it, otherwise 0. Its value enters through the other factor, `ofNumber`. */
const missing = (x: number, y: number): number => ((x === Site.absent) === (y === Site.absent) ? 0 : 1)

/** The share of the choices in which two vectors differ, leaving out the values of numbers. */
export const distance = (sites: Sites, a: Int32Array, b: Int32Array): number => {
  let sum = 0
  for (const site of sites) {
    const x = tokenOf(site, a)
    const y = tokenOf(site, b)
    if (x !== y) sum += Site.isNumeric(site) ? missing(x, y) : apart(site, x, y)
  }
  return sum / sites.length
}

/** The kernel of one number: 1 for equal values, falling with their distance divided by the scale. */
export const ofNumber = (site: Site.Site, scale: number, x: number, y: number): number => {
  if (x === y || x === Site.absent || y === Site.absent) return 1
  const r = (Math.sqrt(5) * Math.abs(x - y)) / ((site.count - 1) * scale)
  return (1 + r + (r * r) / 3) * Elementary.exp(-r)
}

/** One site's factor of the kernel for two tokens; `share` is 1 / (ℓ times the number of sites). */
export const ofSite = (site: Site.Site, share: number, scale: number, x: number, y: number): number =>
  Site.isNumeric(site)
    ? Elementary.exp(-share * missing(x, y)) * ofNumber(site, scale, x, y)
    : Elementary.exp(-share * apart(site, x, y))

/** The points that rows are computed against, site by site. */
export interface Stack {
  readonly size: () => number
  readonly push: (point: Point) => void
  /** Drops all points from `size` on. */
  readonly shrink: (size: number) => void
  /** The kernel of a point with every point of the stack. */
  readonly row: (point: Point, shape: Shape) => Float64Array
  /** The same, computed from the row of a nearby point. */
  readonly rowNear: (point: Point, shape: Shape, near: Point, nearRow: Float64Array) => Float64Array
}

/** The tokens of all points at one site. */
interface Column {
  readonly site: Site.Site
  readonly tokens: Array<number>
}

export const make = (sites: Sites): Stack => {
  const columns = sites.map((site): Column => ({ site, tokens: [] }))
  let n = 0

  /** Multiplies a row by a site's factor for the token `x`, divided by its factor for the token `former`. */
  const multiply = (
    row: Float64Array,
    { site, tokens }: Column,
    { length, scales }: Shape,
    x: number,
    former?: number
  ) => {
    const scale = -1 / (sites.length * length)
    if (Site.isNumeric(site)) {
      const own = scales[site.index] ?? Number.NaN
      const of = (z: number, y: number) => Elementary.exp(scale * missing(z, y)) * ofNumber(site, own, z, y)
      for (let j = 0; j < n; j++) {
        const y = tokens[j] ?? Site.absent
        row[j] = (row[j] ?? Number.NaN) * (former === undefined ? of(x, y) : of(x, y) / of(former, y))
      }
      return
    }
    const factor = (y: number) =>
      Elementary.exp(scale * (apart(site, x, y) - (former === undefined ? 0 : apart(site, former, y))))
    if (site.count >= n) {
      for (let j = 0; j < n; j++) row[j] = (row[j] ?? Number.NaN) * factor(tokens[j] ?? Site.absent)
      return
    }
    // starting with the absent token
    const factors = Float64Array.from({ length: site.count + 1 }, (_, y) => factor(y + Site.absent))
    for (let j = 0; j < n; j++)
      row[j] = (row[j] ?? Number.NaN) * (factors[(tokens[j] ?? Site.absent) - Site.absent] ?? Number.NaN)
  }

  return {
    size: () => n,
    push: ({ vector }) => {
      for (const { site, tokens } of columns) tokens.push(tokenOf(site, vector))
      n++
    },
    shrink: (size) => {
      n = Math.min(n, size)
      for (const { tokens } of columns) tokens.length = n
    },
    row: ({ vector }, shape) => {
      const row = new Float64Array(n).fill(1)
      for (const column of columns) multiply(row, column, shape, tokenOf(column.site, vector))
      return row
    },
    rowNear: ({ vector }, shape, near, nearRow) => {
      const row = nearRow.slice(0, n)
      for (const column of columns) {
        const x = tokenOf(column.site, vector)
        const former = tokenOf(column.site, near.vector)
        if (x !== former) multiply(row, column, shape, x, former)
      }
      return row
    }
  }
}
