/** Arrays of constants that many models share: each is made once. */

const made = new Map<string, Float32Array>()

/** The array for this key, made when it is first asked for. The same array becomes the same constant in a model. */
export const once = (key: string, make: () => Float32Array): Float32Array => {
  const array = made.get(key) ?? make()
  made.set(key, array)
  return array
}
