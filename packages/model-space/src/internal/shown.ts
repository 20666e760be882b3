/** What `console.log` and string templates show of a value, in place of all that it is made of. */

// Node's name for it; elsewhere nobody asks.
const inspect = Symbol.for("nodejs.util.inspect.custom")

/** The value, shown by the text; what it holds is as before, since neither name is enumerable. */
export const shown = <A extends object>(value: A, text: (value: A) => string): A => {
  const of = () => text(value)
  return Object.defineProperties(value, { toString: { value: of }, [inspect]: { value: of } })
}
