import { Elementary } from "@uninet/search-space"

/** log |det| of a square matrix, `n` rows of `n` in row-major order, by elimination with partial pivoting; −Infinity of a singular one. */
export const logDeterminant = (matrix: ArrayLike<number>, n: number): number => {
  const a = Float64Array.from(matrix)
  let sum = 0
  for (let k = 0; k < n; k++) {
    let pivot = k
    for (let i = k + 1; i < n; i++) if (Math.abs(a[i * n + k]) > Math.abs(a[pivot * n + k])) pivot = i
    const top = a[pivot * n + k]
    sum += Elementary.log(Math.abs(top))
    if (top === 0) return -Infinity
    for (let j = k; j < n; j++) {
      const moved = a[pivot * n + j]
      a[pivot * n + j] = a[k * n + j]
      a[k * n + j] = moved
    }
    for (let i = k + 1; i < n; i++) {
      const factor = a[i * n + k] / top
      if (factor !== 0) for (let j = k; j < n; j++) a[i * n + j] -= factor * a[k * n + j]
    }
  }
  return sum
}
