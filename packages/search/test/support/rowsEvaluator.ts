/**
 * An evaluator as someone without a type checker might write it: the search's seed says what should happen, in every trial or in those with
 * odd numbers; with `each`, every kind once.
 */
import { Evaluator, Trial } from "@uninet/search"
import { ModelSpace } from "@uninet/model-space"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { measuresOf, rows } from "./rows.ts"

export const kinds = ["throw", "die", "fail", "nan", "few", "epochs", "nothing", "no effect"] as const

const evaluator: Layer.Layer<Evaluator.Evaluator> = Layer.succeed(Evaluator.Evaluator, {
  concurrency: 2,
  evaluate: ({ index, point, seed }) => {
    const measures = measuresOf(Result.getOrThrow(ModelSpace.read(point)(rows)))
    const [said] = seed.split(/[ /]/)
    const what = said === "each" ? kinds[index % kinds.length] : said
    if (seed.includes("odd") && index % 2 === 0) return Effect.succeed({ measures, epochs: null })
    if (what === "throw") throw new Error("told to throw")
    if (what === "die") return Effect.die(new Error("told to die"))
    if (what === "fail")
      return Effect.fail(new Trial.TrialFailed({ trial: index, reason: "Failed", detail: "told to fail" }))
    if (what === "nan") return Effect.succeed({ measures: { ...measures, mse: Number.NaN }, epochs: null })
    if (what === "few") return Effect.succeed({ measures: { mae: 1 }, epochs: null })
    if (what === "epochs") return Effect.succeed({ measures, epochs: Number.NaN })
    if (what === "no effect") return JSON.parse('{"mae":1}')
    if (what === "nothing") return Effect.succeed(JSON.parse("null"))
    return Effect.succeed({ measures: { ...measures, more: 1 }, epochs: 9, stoppedAfter: 4 })
  }
})

export default evaluator
