/** Expands one number to height and width. */
export const pair = (n: number | readonly [number, number]): readonly [number, number] =>
  typeof n === "number" ? [n, n] : n
