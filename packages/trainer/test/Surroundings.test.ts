import { assert, describe, it } from "@effect/vitest"
import { Dataset, Memory } from "@uninet/data"
import { Runtime } from "@uninet/runtime"
import { Surroundings } from "@uninet/trainer"
import * as Effect from "effect/Effect"

const pictures = (count: number) => ({
  images: new Uint8Array(4 * count),
  labels: Array.from({ length: count }, (_, i) => i % 2)
})
const data = Memory.make({
  name: "tiny",
  classes: ["a", "b"],
  image: { channels: 1, height: 2, width: 2 },
  train: pictures(8),
  validation: pictures(2),
  test: pictures(2)
})

const runtime = (isPortable?: boolean) =>
  Runtime.of({
    name: "an engine",
    ...(isPortable === undefined ? {} : { isPortable }),
    compile: () => Effect.die("nothing is run here")
  })

/** The surroundings on a machine with such a processor. */
const on = (arch: NodeJS.Architecture, isPortable?: boolean, isNative?: boolean) =>
  Effect.gen(function* () {
    const own = process.arch
    yield* Effect.acquireRelease(
      Effect.sync(() => Object.defineProperty(process, "arch", { value: arch })),
      () => Effect.sync(() => Object.defineProperty(process, "arch", { value: own }))
    )
    const tiny = yield* data
    return yield* Surroundings.here.pipe(
      Effect.provideService(Runtime, runtime(isPortable)),
      Effect.provideService(Dataset.Dataset, isNative === undefined ? tiny : { ...tiny, isNative })
    )
  }).pipe(Effect.scoped)

describe("what decides the numbers of a training", () => {
  it.effect("is the kind of machine too, where the engine does not say that it is none of it", () =>
    Effect.gen(function* () {
      const before = yield* on("x64")
      const now = yield* on("arm64")
      assert.deepStrictEqual(Surroundings.difference([before], now), {
        what: "the kind of machine",
        before: `${process.platform} x64`,
        now: `${process.platform} arm64`
      })
    })
  )

  it.effect("is not the kind of machine on a portable engine: what began on one goes on on another", () =>
    Effect.gen(function* () {
      const before = yield* on("x64", true)
      assert.strictEqual(before.host, "any machine")
      assert.isUndefined(Surroundings.difference([before], yield* on("arm64", true)))
    })
  )

  it.effect("is the kind of machine on a portable engine, where native code decodes the data", () =>
    Effect.gen(function* () {
      const before = yield* on("x64", true, true)
      const found = Surroundings.difference([before], yield* on("arm64", true, true))
      assert.strictEqual(found?.what, "the kind of machine")
    })
  )
})
