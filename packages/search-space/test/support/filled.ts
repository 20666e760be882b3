/** An array of one value. */
export const filled = <A>(length: number, value: A): Array<A> => Array.from({ length }, () => value)
