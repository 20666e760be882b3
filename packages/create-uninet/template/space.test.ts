/** The laws of a sound space, on networks drawn from it: shapes, costs, gradients. */
import { Laws } from "@uninet/model-space"
import { Prng, Space } from "@uninet/search-space"
import { Result } from "effect"
import { test } from "node:test"
import { space } from "./space.ts"

const prng = Prng.fromSeed("laws")

for (let i = 0; i < 5; i++) {
  const network = Space.sample(prng)(space.space)
  test(space.line(network), () => {
    // Throws an error that names the broken law and the point.
    Result.getOrThrow(Laws.check(network)(space))
  })
}
