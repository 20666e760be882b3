/** Arrays of constants that many models hold: made once. */

const made = new Map<string, Float32Array>()

/** The array of this key, made where it is asked for first. The same array makes the same constant of a model. */
export const once = (key: string, make: () => Float32Array): Float32Array => {
  const array = made.get(key) ?? make()
  made.set(key, array)
  return array
}
