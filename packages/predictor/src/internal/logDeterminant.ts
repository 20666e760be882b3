import { Elementary } from "@uninet/search-space"
import { at } from "./at.ts"

/** log |det| of a square matrix, `n` rows of `n` in row-major order, by elimination with partial pivoting; −Infinity for a singular one. */
export const logDeterminant = (matrix: ArrayLike<number>, n: number): number => {
  const a = Float64Array.from(matrix)
  let sum = 0
  for (let k = 0; k < n; k++) {
    let pivot = k
    for (let i = k + 1; i < n; i++) if (Math.abs(at(a, i * n + k)) > Math.abs(at(a, pivot * n + k))) pivot = i
    const top = at(a, pivot * n + k)
    sum += Elementary.log(Math.abs(top))
    if (top === 0) return -Infinity
    for (let j = k; j < n; j++) {
      const moved = at(a, pivot * n + j)
      a[pivot * n + j] = at(a, k * n + j)
      a[k * n + j] = moved
    }
    for (let i = k + 1; i < n; i++) {
      const factor = at(a, i * n + k) / top
      if (factor !== 0) for (let j = k; j < n; j++) a[i * n + j] = at(a, i * n + j) - factor * at(a, k * n + j)
    }
  }
  return sum
}
