/**
 * Splits that are parts of the training examples.
 */
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import { InvalidOption } from "../DataError.ts"
import * as order from "./order.ts"

/** Where a split comes from when there is none: so many examples of the training split, by seed; each class in proportion, where the targets are classes. */
export interface Holdout {
  /** 0 leaves the split empty. */
  readonly size: number
  /** Default 0. Where two splits are held out, the first one's decides. */
  readonly seed?: string | number
}

export const isHoldout = <S extends object>(samples: S | Holdout): samples is Holdout => "size" in samples

/** The places of every split's examples among the training examples; none in a split that has examples of its own. */
export const partition = (
  labels: Int32Array,
  classes: number,
  validation: object | Holdout,
  test: object | Holdout
): Effect.Effect<Readonly<Record<"train" | "validation" | "test", Uint32Array>>, InvalidOption> =>
  Effect.gen(function* () {
    const holdouts = [validation, test].map((samples) => (isHoldout(samples) ? samples : undefined))
    const sizes = holdouts.map((holdout) => holdout?.size ?? 0)
    const wrong = sizes.find((size, i) => holdouts[i] !== undefined && !(Number.isSafeInteger(size) && size >= 0))
    const held = sizes.reduce((a, b) => a + b, 0)
    if (wrong !== undefined || held >= labels.length) {
      return yield* new InvalidOption({
        option: "held-out samples",
        value: wrong ?? held,
        expected: `from 0 to ${labels.length - 1} of the ${labels.length} training samples`
      })
    }
    const seed = holdouts.find((holdout) => holdout !== undefined)?.seed ?? 0
    const [ofValidation, ofTest, ofTrain] =
      held === 0
        ? [order.identity(0), order.identity(0), order.identity(labels.length)]
        : order.stratified(Prng.fromSeed(seed).split("holdout"), labels, classes, sizes)
    return { train: ofTrain!, validation: ofValidation!, test: ofTest! }
  })
