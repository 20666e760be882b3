/**
 * The numbers of many examples in one array, one example after the other.
 */
import type { Feature, Values } from "../Dataset.ts"

/** How many numbers one example has. */
export const volume = ({ shape }: Pick<Feature, "shape">): number => shape.reduce((a, b) => a * b, 1)

/** New zeros with an element type. */
export const zeros = (dtype: Feature["dtype"], length: number): Values =>
  dtype === "int32" ? new Int32Array(length) : new Float32Array(length)

/** New zeros with the element type of `values`. */
export const like = <T extends Values>(values: T, length: number): T =>
  // It has the same constructor as `values`, so it is a T.
  zeros(values instanceof Int32Array ? "int32" : "float32", length) as T

/** The examples at these positions, in this order. Every position has to be within `values`. */
export const gather = <T extends Values>(values: T, places: ReadonlyArray<number> | Uint32Array, volume: number): T => {
  const out = like(values, places.length * volume)
  if (volume === 1) for (let i = 0; i < places.length; i++) out[i] = values[places[i] ?? Number.NaN] ?? Number.NaN
  else for (const [i, place] of places.entries()) copy(values, place * volume, out, i * volume, volume)
  return out
}

/** Copies `length` numbers. */
export const copy = (from: Values, start: number, to: Values, at: number, length: number): void =>
  to.set(from.subarray(start, start + length), at)

/** One array's examples followed by the other's. */
export const concat = <T extends Values>(one: T, other: T): T => {
  const out = like(one, one.length + other.length)
  out.set(one)
  out.set(other, one.length)
  return out
}

/** The numbers as an array with this element type; unchanged if they already are one. */
export const of = (dtype: Feature["dtype"], numbers: ArrayLike<number>): Values =>
  dtype === "int32"
    ? numbers instanceof Int32Array
      ? numbers
      : Int32Array.from(numbers)
    : numbers instanceof Float32Array
      ? numbers
      : Float32Array.from(numbers)
