import { at } from "./at.ts"

/** √(a² + b²), even if a square would overflow. */
const length = (a: number, b: number): number => {
  const [large, small] = Math.abs(a) > Math.abs(b) ? [Math.abs(a), Math.abs(b)] : [Math.abs(b), Math.abs(a)]
  const share = large === 0 ? 0 : small / large
  return large * Math.sqrt(1 + share * share)
}

/**
 * The eigenvalues of a symmetric matrix, `n` rows of `n` in row-major order, in no particular order: Householder's reduction to tridiagonal form, then the implicit
 * QL iteration (Golub and Van Loan, Matrix Computations, sections 8.3.1 and 8.3.3). NaN throughout if an element is not a number.
 */
export const eigenvalues = (matrix: ArrayLike<number>, n: number): Float64Array => {
  const a = Float64Array.from(matrix)
  if (!a.every(Number.isFinite)) return new Float64Array(n).fill(Number.NaN)
  const d = new Float64Array(n)
  const e = new Float64Array(n)
  for (let i = n - 1; i > 0; i--) {
    // The row's part before the diagonal, reflected onto its last element.
    let norm = 0
    for (let k = 0; k < i; k++) norm = length(norm, at(a, i * n + k))
    if (norm === 0) continue
    const alpha = at(a, i * n + i - 1) > 0 ? -norm : norm
    a[i * n + i - 1] = at(a, i * n + i - 1) - alpha
    let square = 0
    for (let k = 0; k < i; k++) square += at(a, i * n + k) * at(a, i * n + k)
    e[i] = alpha
    if (square === 0) continue
    // p = A·v·2/vᵀv, and A − v·qᵀ − q·vᵀ.
    let along = 0
    const q = new Float64Array(i)
    for (let j = 0; j < i; j++) {
      let sum = 0
      for (let k = 0; k < i; k++) sum += at(a, Math.max(j, k) * n + Math.min(j, k)) * at(a, i * n + k)
      q[j] = (2 * sum) / square
      along += at(q, j) * at(a, i * n + j)
    }
    for (let j = 0; j < i; j++) q[j] = at(q, j) - (along / square) * at(a, i * n + j)
    for (let j = 0; j < i; j++)
      for (let k = 0; k <= j; k++)
        a[j * n + k] = at(a, j * n + k) - (at(a, i * n + j) * at(q, k) + at(q, j) * at(a, i * n + k))
  }
  for (let i = 0; i < n; i++) d[i] = at(a, i * n + i)
  return tridiagonal(d, e)
}

/** The eigenvalues of the matrix with `d` on its diagonal and `e[i]` between rows i − 1 and i; overwrites both. */
const tridiagonal = (d: Float64Array, e: Float64Array): Float64Array => {
  const n = d.length
  e.copyWithin(0, 1)
  if (n > 0) e[n - 1] = 0
  for (let l = 0; l < n; l++) {
    for (let turn = 0; turn < 60; turn++) {
      let m = l
      while (m < n - 1 && Math.abs(at(e, m)) > Number.EPSILON * (Math.abs(at(d, m)) + Math.abs(at(d, m + 1)))) m++
      if (m === l) break
      let g = (at(d, l + 1) - at(d, l)) / (2 * at(e, l))
      let r = length(g, 1)
      g = at(d, m) - at(d, l) + at(e, l) / (g + (g >= 0 ? r : -r))
      let [s, c, p] = [1, 1, 0]
      let i = m - 1
      for (; i >= l; i--) {
        const f = s * at(e, i)
        const b = c * at(e, i)
        r = length(f, g)
        e[i + 1] = r
        if (r === 0) {
          d[i + 1] = at(d, i + 1) - p
          e[m] = 0
          break
        }
        s = f / r
        c = g / r
        g = at(d, i + 1) - p
        r = (at(d, i) - g) * s + 2 * c * b
        p = s * r
        d[i + 1] = g + p
        g = c * r - b
      }
      if (r === 0 && i >= l) continue
      d[l] = at(d, l) - p
      e[l] = g
      e[m] = 0
    }
  }
  return d
}
