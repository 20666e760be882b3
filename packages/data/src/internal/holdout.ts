/** Splits taken from the training examples. */
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import { InvalidOption, InvalidSamples } from "../DataError.ts"
import * as order from "./order.ts"

/**
 * How to make a split if there is none: from this many examples of the training split, chosen by seed; in class proportions if the targets
 * are classes.
 */
export interface Holdout {
  /** 0 leaves the split empty; `one a class` takes one of every class that has two or more. Every class keeps at least one training example. */
  readonly size: order.Size
  /** Default 0. If two splits are held out, the first one's seed decides. */
  readonly seed?: string | number
}

export const isHoldout = <S extends object>(samples: S | Holdout): samples is Holdout => "size" in samples

/**
 * The default holdout: a tenth, or one per class if there are fewer than ten images. Fails if no class has two images: a validation split
 * without images would give 0% for every network.
 */
export const standard = (
  source: string,
  labels: Int32Array,
  classes: number
): Effect.Effect<order.Size, InvalidSamples> => {
  const most = order.capacity(labels, classes)
  const tenth = Math.floor(labels.length / 10)
  if (most > 0) return Effect.succeed(tenth === 0 ? "one per class" : Math.min(tenth, most))
  return Effect.fail(
    new InvalidSamples({
      source,
      split: "validation",
      reason: `none of the ${labels.length} training images in ${classes} classes can be held out without a class losing its last one`,
      remedy: "Give at least two training images of some class, or a separate validation split"
    })
  )
}

/** The parts that are taken from the training examples, and what is left. */
export const parts = <const S extends ReadonlyArray<order.Size>>(
  random: Prng.Prng,
  labels: Int32Array,
  classes: number,
  sizes: S
): Effect.Effect<order.Parts<S>, InvalidOption> =>
  Effect.suspend(() => {
    const most = order.capacity(labels, classes)
    const several = order.countsOf(labels, classes).filter((count) => count > 1).length
    const counts = sizes.map((size) => (size === "one per class" ? several : size))
    const held = counts.reduce((a, b) => a + b, 0)
    const wrong =
      counts.find((size) => !(Number.isSafeInteger(size) && size >= 0)) ??
      (sizes.includes("one per class") && several === 0 ? "one per class" : held > most ? held : undefined)
    return wrong === undefined
      ? Effect.succeed(order.stratified(random, labels, classes, sizes))
      : Effect.fail(
          new InvalidOption({
            option: "held-out samples",
            value: wrong,
            expected: `from 0 to ${most} of the ${labels.length} training samples, so that every class keeps one`
          })
        )
  })

/** The positions of every split's examples among the training examples; none for a split with separate examples. */
export const partition = (
  labels: Int32Array,
  classes: number,
  validation: object | Holdout,
  test: object | Holdout
): Effect.Effect<Readonly<Record<"train" | "validation" | "test", Uint32Array>>, InvalidOption> =>
  Effect.gen(function* () {
    const [first, second] = [validation, test].map((samples) => (isHoldout(samples) ? samples : undefined))
    const sizes = [first?.size ?? 0, second?.size ?? 0] as const
    if (sizes.every((size) => size === 0)) {
      const all = order.identity(labels.length)
      return { train: all, validation: order.identity(0), test: order.identity(0) }
    }
    const seed = (first ?? second)?.seed ?? 0
    const [ofValidation, ofTest, ofTrain] = yield* parts(Prng.fromSeed(seed).split("holdout"), labels, classes, sizes)
    return { train: ofTrain, validation: ofValidation, test: ofTest }
  })
