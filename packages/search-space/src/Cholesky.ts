/** A Cholesky factor that grows one row at a time: L·Lᵀ = K, lower triangle, rows packed one after the other. */
import * as Elementary from "./Elementary.ts"

/** The factor L of a symmetric positive definite matrix K = L·Lᵀ to which rows are added. */
export interface Cholesky {
  readonly size: () => number
  /** Adds a row of K: its entries left of the diagonal, and the diagonal entry. */
  readonly append: (row: ArrayLike<number>, diagonal: number) => void
  /** Removes all rows from `size` on. */
  readonly shrink: (size: number) => void
  /** x with K·x = y, for the first `y.length` rows. */
  readonly solve: (y: ArrayLike<number>) => Float64Array
  /** L⁻¹·k for several k at once (each is overwritten), so that every row of L is read only once. */
  readonly forward: (ks: ReadonlyArray<Float64Array>) => void
  /** Half the logarithm of K's determinant. */
  readonly halfLogDeterminant: () => number
}

const start = (row: number) => (row * (row + 1)) / 2

/**
 * An empty factor.
 *
 * @example
 * ```ts
 * import { Cholesky } from "@uninet/search-space"
 *
 * const factor = Cholesky.make()
 * factor.append([], 4)
 * factor.append([2], 5)
 * console.log(factor.solve([4, 2])) // [1, 0]
 * ```
 */
export const make = (): Cholesky => {
  let data = new Float64Array(1024)
  let n = 0
  const dot = (from: number, k: Float64Array, length: number) => {
    // four sums, so that additions need not wait for one another
    let a = 0
    let b = 0
    let c = 0
    let d = 0
    let j = 0
    for (; j + 3 < length; j += 4) {
      a += (data[from + j] ?? Number.NaN) * (k[j] ?? Number.NaN)
      b += (data[from + j + 1] ?? Number.NaN) * (k[j + 1] ?? Number.NaN)
      c += (data[from + j + 2] ?? Number.NaN) * (k[j + 2] ?? Number.NaN)
      d += (data[from + j + 3] ?? Number.NaN) * (k[j + 3] ?? Number.NaN)
    }
    for (; j < length; j++) a += (data[from + j] ?? Number.NaN) * (k[j] ?? Number.NaN)
    return a + b + (c + d)
  }
  const forward = (ks: ReadonlyArray<Float64Array>) => {
    for (let i = 0; i < n; i++) {
      const from = start(i)
      const pivot = data[from + i] ?? Number.NaN
      for (const k of ks) if (i < k.length) k[i] = ((k[i] ?? Number.NaN) - dot(from, k, i)) / pivot
    }
  }
  return {
    size: () => n,
    append: (row, diagonal) => {
      const from = start(n)
      if (from + n + 1 > data.length) {
        const larger = new Float64Array(2 * (from + n + 1))
        larger.set(data)
        data = larger
      }
      const solved = Float64Array.from({ length: n }, (_, i) => row[i] ?? Number.NaN)
      forward([solved])
      data.set(solved, from)
      const rest = solved.reduce((rest, x) => rest - x * x, diagonal)
      data[from + n] = Math.sqrt(Math.max(rest, 1e-10))
      n++
    },
    shrink: (size) => {
      n = Math.min(n, size)
    },
    solve: (y) => {
      const x = Float64Array.from(y)
      forward([x])
      for (let i = x.length - 1; i >= 0; i--) {
        const from = start(i)
        const here = (x[i] ?? Number.NaN) / (data[from + i] ?? Number.NaN)
        x[i] = here
        for (let j = 0; j < i; j++) x[j] = (x[j] ?? Number.NaN) - (data[from + j] ?? Number.NaN) * here
      }
      return x
    },
    forward,
    halfLogDeterminant: () => {
      let sum = 0
      for (let i = 0; i < n; i++) sum += Elementary.log(data[start(i) + i] ?? Number.NaN)
      return sum
    }
  }
}
