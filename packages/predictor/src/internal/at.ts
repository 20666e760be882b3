/** An element; past the end NaN, which goes on through all that is made of it. */
export const at = (values: ArrayLike<number>, i: number): number => values[i] ?? Number.NaN
