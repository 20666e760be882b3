/** What `console.log` and string templates show for a value, instead of all that it is made of. */

// Node's name for it; other runtimes ignore it.
const inspect = Symbol.for("nodejs.util.inspect.custom")

/** The value, shown as the text. Its contents are unchanged, since neither name is enumerable. */
export const shown = <A extends object>(value: A, text: (value: A) => string): A => {
  const of = () => text(value)
  return Object.defineProperties(value, { toString: { value: of }, [inspect]: { value: of } })
}
