/** Evaluations that take a moment and depend only on the trial; each one that starts adds a line to a file, so that they can be counted. */
import { Evaluator } from "@uninet/search"
import type { Architecture } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { appendFileSync } from "node:fs"
import { measuresOf, uninet } from "./search.ts"

export const Options = Schema.Struct({
  /** How long the shortest evaluation takes; the longest takes three times that. */
  milliseconds: Schema.Int,
  /** The file that counts evaluations. */
  log: Schema.NullOr(Schema.String)
})
export type Options = typeof Options.Type

/** An accuracy that tells architectures apart. */
const accuracyOf = ({ stages }: Architecture.Architecture): number =>
  stages.reduce((sum, { channels, expansion, repeats }) => sum + channels * expansion + repeats, 0) / 10_000

export const evaluator = ({ log, milliseconds }: Options, concurrency = 1): Layer.Layer<Evaluator.Evaluator> =>
  Evaluator.make(
    uninet,
    (architecture, { epochs = null, index, keepWeights, seed }, report) =>
      Effect.gen(function* () {
        if (log !== null) appendFileSync(log, `${process.pid} ${index} ${seed}\n`)
        for (let part = 1; part <= 4; part++) {
          yield* Effect.sleep((milliseconds * (1 + ((index * 7) % 3))) / 4)
          yield* report({ done: part / 4, loss: 1 / part, examplesPerSecond: 100 * part })
        }
        return {
          measures: { ...measuresOf(accuracyOf(architecture)), index },
          epochs,
          ...(keepWeights === true ? { weights: new Map([["stem.weight", Float32Array.of(1, 2, index)]]) } : {})
        }
      }),
    { concurrency }
  )

/** As a module that a worker loads. */
export default (options: unknown) => evaluator(Schema.decodeUnknownSync(Options)(options))
