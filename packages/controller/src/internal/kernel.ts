/**
 * The Gaussian process's kernel, exp(−d / ℓ) with d the share of the choices in which two points differ, against many points at once. It is a product over the sites,
 * so that a point's row follows from that of a point near it by the sites in which the two differ.
 */
import { Site } from "@uninet/search-space"
import type { Point } from "./points.ts"

type Sites = ReadonlyArray<Site.Site>

/** How much one site adds to the distance where a token is not the other's: 1, or by how far they are apart in ordered choices [ours]. */
const apart = ({ count, kind }: Site.Site, x: number, y: number): number =>
  x === y
    ? 0
    : kind === "categorical" || count < 3 || x === Site.absent || y === Site.absent
      ? 1
      : 0.5 + (0.5 * Math.abs(x - y)) / (count - 1)

/** The share of the choices in which two vectors differ. */
export const distance = (sites: Sites, a: Int32Array, b: Int32Array): number => {
  let sum = 0
  for (let i = 0; i < sites.length; i++) if (a[i] !== b[i]) sum += apart(sites[i]!, a[i]!, b[i]!)
  return sum / sites.length
}

/** The points that rows are worked out against, site by site. */
export interface Stack {
  readonly size: () => number
  readonly push: (point: Point) => void
  /** Forgets all points from `size` on. */
  readonly shrink: (size: number) => void
  /** The kernel of a point with every point here. */
  readonly row: (point: Point, length: number) => Float64Array
  /** The same, given the row of a point near it. */
  readonly rowNear: (point: Point, length: number, near: Point, nearRow: Float64Array) => Float64Array
}

export const make = (sites: Sites): Stack => {
  let columns = sites.map(() => new Int32Array(64))
  let n = 0

  /** Multiplies a row by what site `i` gives where its token is `x`, over what it gives where it is `former`. */
  const multiply = (row: Float64Array, i: number, length: number, x: number, former?: number) => {
    const site = sites[i]!
    const column = columns[i]!
    const scale = -1 / (sites.length * length)
    const factor = (y: number) =>
      Math.exp(scale * (apart(site, x, y) - (former === undefined ? 0 : apart(site, former, y))))
    if (site.count >= n) {
      for (let j = 0; j < n; j++) row[j]! *= factor(column[j]!)
      return
    }
    // from the absent token on
    const factors = Float64Array.from({ length: site.count + 1 }, (_, y) => factor(y + Site.absent))
    for (let j = 0; j < n; j++) row[j]! *= factors[column[j]! - Site.absent]!
  }

  return {
    size: () => n,
    push: ({ vector }) => {
      if (columns[0] !== undefined && n === columns[0].length) {
        columns = columns.map((column) => {
          const larger = new Int32Array(2 * n)
          larger.set(column)
          return larger
        })
      }
      for (let i = 0; i < columns.length; i++) columns[i]![n] = vector[i]!
      n++
    },
    shrink: (size) => {
      n = Math.min(n, size)
    },
    row: ({ vector }, length) => {
      const row = new Float64Array(n).fill(1)
      for (let i = 0; i < sites.length; i++) multiply(row, i, length, vector[i]!)
      return row
    },
    rowNear: ({ vector }, length, near, nearRow) => {
      const row = nearRow.slice(0, n)
      const from = near.vector
      for (let i = 0; i < sites.length; i++) if (vector[i] !== from[i]) multiply(row, i, length, vector[i]!, from[i]!)
      return row
    }
  }
}
