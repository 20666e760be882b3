/**
 * A first convolution that whitens patches and is then frozen (Jordan 2024): its filters are the directions in which patches of the
 * training pictures vary, each scaled to variance 1, and their opposites. The layers after it learn from numbers of the same scale from the
 * first step on. The convolution's bias is trained.
 */
import type { DataError, Dataset } from "@uninet/data"
import { Tensor, topological } from "@uninet/graph"
import type { Recipe } from "@uninet/model-space"
import * as Effect from "effect/Effect"

/** The weight `[out, channels, height, width]` of the convolution applied to the pictures themselves; `undefined` if there is none. */
export const weightOf = (outputs: ReadonlyArray<Tensor.Tensor>): Tensor.Tensor<"variable"> | undefined => {
  for (const node of topological(outputs)) {
    if (!Tensor.is("conv2d")(node) || node.attributes.groups !== 1) continue
    const [picture, weight] = node.inputs
    if (picture !== undefined && weight !== undefined && Tensor.is("input")(picture) && Tensor.is("variable")(weight))
      return weight
  }
  return undefined
}

/**
 * The second moments of all patches of pictures `[count, channels, height, width]`: a `size × size` matrix, where `size` is the number of
 * values in a patch.
 */
export const moments = (
  pictures: Float32Array,
  { channels, height, width }: Dataset.ImageShape,
  [rows, columns]: readonly [number, number]
): Float64Array => {
  const size = channels * rows * columns
  const sums = new Float64Array(size * size)
  const patch = new Float64Array(size)
  const area = height * width
  const count = pictures.length / (channels * area)
  for (let n = 0; n < count; n++)
    for (let top = 0; top + rows <= height; top++)
      for (let left = 0; left + columns <= width; left++) {
        let k = 0
        for (let c = 0; c < channels; c++)
          for (let y = 0; y < rows; y++)
            for (let x = 0; x < columns; x++)
              patch[k++] = pictures[(n * channels + c) * area + (top + y) * width + left + x] ?? 0
        for (let i = 0; i < size; i++) {
          const mine = patch[i] ?? 0
          for (let j = i; j < size; j++) sums[i * size + j] = (sums[i * size + j] ?? 0) + mine * (patch[j] ?? 0)
        }
      }
  const patches = count * (height - rows + 1) * (width - columns + 1)
  for (let i = 0; i < size; i++)
    for (let j = i; j < size; j++) {
      const mean = (sums[i * size + j] ?? 0) / patches
      sums[i * size + j] = mean
      sums[j * size + i] = mean
    }
  return sums
}

/**
 * The eigenvectors of a symmetric matrix, one per row, with their eigenvalues, largest first: by Jacobi rotations, which give the same
 * result on every machine.
 */
export const eigen = (
  symmetric: Float64Array
): ReadonlyArray<{ readonly value: number; readonly vector: Float64Array }> => {
  const n = Math.round(Math.sqrt(symmetric.length))
  const a = Float64Array.from(symmetric)
  const vectors = Array.from({ length: n }, (_, i) => Float64Array.from({ length: n }, (_, j) => Number(i === j)))
  const at = (i: number, j: number) => a[i * n + j] ?? 0
  for (let sweep = 0; sweep < 60; sweep++) {
    let [off, all] = [0, 0]
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        const square = at(i, j) * at(i, j)
        all += square
        if (i !== j) off += square
      }
    if (off <= 1e-24 * all) break
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) {
        const apq = at(p, q)
        if (apq === 0) continue
        const theta = (at(q, q) - at(p, p)) / (2 * apq)
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1))
        const c = 1 / Math.sqrt(t * t + 1)
        const s = t * c
        const rotate = (u: Float64Array, i: number, v: Float64Array, j: number) => {
          const [x, y] = [u[i] ?? 0, v[j] ?? 0]
          u[i] = c * x - s * y
          v[j] = s * x + c * y
        }
        for (let k = 0; k < n; k++) rotate(a, k * n + p, a, k * n + q)
        for (let k = 0; k < n; k++) rotate(a, p * n + k, a, q * n + k)
        const [u, v] = [vectors[p], vectors[q]]
        if (u !== undefined && v !== undefined) for (let k = 0; k < n; k++) rotate(u, k, v, k)
      }
  }
  return vectors.map((vector, i) => ({ value: Math.max(0, at(i, i)), vector })).toSorted((x, y) => y.value - x.value)
}

/**
 * The initial values of the filters: directions by descending variance, then their opposites. If there are more filters than that, the rest
 * keep their drawn values.
 *
 * @example
 * ```ts
 * import { Recipe } from "@uninet/model-space"
 * import { Prng } from "@uninet/search-space"
 * import { Whitening } from "@uninet/trainer"
 *
 * // The 3 × 3 patches of twenty pictures, how they vary, and eight filters that see every direction alike.
 * const prng = Prng.fromSeed("demo")
 * const pictures = Float32Array.from({ length: 20 * 8 * 8 }, () => prng.nextNormal())
 * const moments = Whitening.moments(pictures, { channels: 1, height: 8, width: 8 }, [3, 3])
 * const [first] = Whitening.eigen(moments)
 * console.log(moments.length, first?.vector.length) // 81 9
 * const drawn = new Float32Array(8 * 9)
 * console.log(Whitening.filters(drawn, 8, moments, Recipe.Whitening.make({})).slice(0, 9)) // the first filter
 * ```
 */
export const filters = (
  drawn: Float32Array,
  out: number,
  ofPatches: Float64Array,
  { epsilon }: Recipe.Whitening
): Float32Array<ArrayBuffer> => {
  const directions = eigen(ofPatches)
  const weight = Float32Array.from(drawn)
  for (let filter = 0; filter < Math.min(out, 2 * directions.length); filter++) {
    const found = directions[filter % directions.length]
    if (found === undefined) break
    const scale = (filter < directions.length ? 1 : -1) / Math.sqrt(found.value + epsilon)
    for (const [i, x] of found.vector.entries()) weight[filter * directions.length + i] = scale * x
  }
  return weight
}

/** Pictures read at a time. */
const chunk = 250

/** The filters for a data set's training pictures, from the first `examples` of them. */
export const of = (
  data: Dataset.ImageDataset,
  weight: Tensor.Tensor<"variable">,
  drawn: Float32Array,
  options: Recipe.Whitening
): Effect.Effect<Float32Array<ArrayBuffer>, DataError.DataError> => {
  const [out = 0, , rows = 1, columns = 1] = weight.shape
  const count = Math.min(options.examples, data.train.size)
  // A few at a time: large pictures together would take too much memory.
  const starts = Array.from({ length: Math.ceil(count / chunk) }, (_, i) => i * chunk)
  return Effect.map(
    Effect.reduce(
      starts,
      (): Float64Array => new Float64Array(0),
      (sums, start) => {
        const indexes = Uint32Array.from({ length: Math.min(chunk, count - start) }, (_, i) => start + i)
        return Effect.map(data.train.read(indexes), ({ inputs }) =>
          moments(inputs.image, data.image, [rows, columns]).map(
            (moment, i) => (sums[i] ?? 0) + (moment * indexes.length) / count
          )
        )
      }
    ),
    (ofPatches) => filters(drawn, out, ofPatches, options)
  )
}
