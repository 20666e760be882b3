/** What `console.log` and template strings show for a value, instead of its contents. */

// Node's symbol for it; other runtimes ignore it.
const inspect = Symbol.for("nodejs.util.inspect.custom")

/** Makes the value show as this text. Its contents are unchanged, since neither property is enumerable. */
export const shown = <A extends object>(value: A, text: (value: A) => string): A => {
  const of = () => text(value)
  return Object.defineProperties(value, { toString: { value: of }, [inspect]: { value: of } })
}
