/** The events of a training. */
import type { Score } from "./Selection.ts"

/** A network's parameters and running statistics, by name. */
export type Weights = ReadonlyMap<string, Float32Array>

/** After every step. */
export interface Step {
  readonly _tag: "Step"
  /** Counted from 0 over the whole run. */
  readonly step: number
  /** Of the whole run. */
  readonly steps: number
  /** From 0. */
  readonly epoch: number
  /** The loss of this step's batch by the recipe, with label smoothing and mixed targets. */
  readonly loss: number
  /** What the task reports for this step's batch, before the update; with mixing, by the examples' own labels. */
  readonly measures: Readonly<Record<string, number>>
  /** Of this step. */
  readonly learningRate: number
  /** Global, before clipping; `null` if it is not computed. */
  readonly gradientNorm: number | null
  /** In wall time. */
  readonly examplesPerSecond: number
  /** The process's resident memory, in bytes; 0 in a browser page, which cannot see it. */
  readonly memory: number
}

/** After an epoch that was validated. */
export interface Epoch {
  readonly _tag: "Epoch"
  /** From 0. */
  readonly epoch: number
  /** In all. */
  readonly epochs: number
  /** Means over the epoch's steps. */
  readonly loss: number
  readonly measures: Readonly<Record<string, number>>
  readonly validation: Score
  /** For the averaged weights, if the recipe averages. */
  readonly averaged: Score | null
  /** Whether the raw or the averaged weights are the best so far. */
  readonly isBest: boolean
  /** Wall time of the training so far. */
  readonly seconds: number
}

/** A checkpoint has been written to disk. */
export interface Saved {
  readonly _tag: "Saved"
  /** Steps taken. */
  readonly step: number
  readonly file: string
}

/** Training resumes from a checkpoint. */
export interface Resumed {
  readonly _tag: "Resumed"
  /** Steps taken. */
  readonly step: number
  /** Steps in all. */
  readonly steps: number
  /** From 0. */
  readonly epoch: number
}

/** The end, once. */
export interface Finished {
  readonly _tag: "Finished"
  /** The weights after the last step. */
  readonly weights: Weights
  readonly validation: Score
  /** The averages after the last step, if the recipe averages. */
  readonly averaged: { readonly weights: Weights; readonly validation: Score } | null
  /** The weights with the best validation: the ones to use. Unless every epoch is validated, the better of the last raw and averaged weights. */
  readonly best: {
    readonly epoch: number
    readonly averaged: boolean
    readonly validation: Score
    readonly weights: Weights
  }
  /** Steps in all. */
  readonly steps: number
  /** Epochs that it was trained for. */
  readonly epochs: number
  /** Whether early stopping ended it. */
  readonly stoppedEarly: boolean
  /** Wall time of building, compiling, training and validating, including earlier processes. */
  readonly seconds: number
}

/** The events of a training. */
export type TrainEvent = Step | Epoch | Saved | Resumed | Finished

/**
 * An event as plain JSON, without the weights.
 *
 * @example
 * ```ts
 * import { TrainEvent } from "@uninet/trainer"
 *
 * // What a log has of an event; weights are left out of it.
 * console.log(TrainEvent.toJson({ _tag: "Saved", step: 400, file: "runs/digits/step-00000400.safetensors" }))
 * ```
 */
export const toJson = (event: TrainEvent): Readonly<Record<string, unknown>> => {
  if (event._tag !== "Finished") return { ...event }
  const { averaged, best, weights: _weights, ...rest } = event
  const { weights: _best, ...chosen } = best
  return { ...rest, averaged: averaged === null ? null : { validation: averaged.validation }, best: chosen }
}
