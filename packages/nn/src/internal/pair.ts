/** One number for height and width, or both. */
export const pair = (n: number | readonly [number, number]): readonly [number, number] =>
  typeof n === "number" ? [n, n] : n
