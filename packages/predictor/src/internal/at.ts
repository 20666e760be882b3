/** An element; past the end NaN, which propagates to everything computed from it. */
export const at = (values: ArrayLike<number>, i: number): number => values[i] ?? Number.NaN
