/** How a trial was trained: its learning curve, where, and when. It decides nothing: a search that lost all of it is still the same search. */
import * as Schema from "effect/Schema"
import { hostname } from "node:os"

/** A value that an epoch may lack: the epoch was not validated, or the loss was no longer a number. */
const Value = Schema.NullOr(Schema.Finite)

/** How a training went, epoch by epoch. All lists have the same length. */
export const Curve = Schema.Struct({
  /** Epochs trained so far, ascending: 1 is the end of the first. */
  epochs: Schema.Array(Schema.Finite),
  /** The training loss, averaged over the epoch's steps. */
  loss: Schema.Array(Value),
  /** The task's measures on the validation split, by name; `null` after epochs that were not validated. */
  measures: Schema.Record(Schema.String, Schema.Array(Value))
})
export type Curve = typeof Curve.Type

/** What ran the evaluation: a process, and the engine in it. */
export const Place = Schema.Struct({
  /** The machine's name. */
  host: Schema.String,
  /** The process's number on that machine; the workers of one machine have different ones. */
  process: Schema.Int,
  /** The engine with its version, such as `onnxruntime 1.30.0 cpu`. Absent if nothing is trained, or if it is not known. */
  engine: Schema.optionalKey(Schema.String),
  /** What the engine computes with, such as `cpu` or `webgpu`. */
  device: Schema.optionalKey(Schema.String),
  /** How it computes on this processor, such as `blocks of 16`. */
  formulation: Schema.optionalKey(Schema.String)
})
export type Place = typeof Place.Type

/** How one evaluation was done. */
export const Training = Schema.Struct({
  place: Place,
  /** Milliseconds since 1970, by that machine's clock. */
  begun: Schema.Finite,
  /** When it ended, in milliseconds since 1970. */
  ended: Schema.Finite,
  /**
   * The epochs of this evaluation only: on a later rung, those since the rung before (`joined`). Absent if nothing is trained. A training
   * that continued from a checkpoint after its worker was lost begins there.
   */
  curve: Schema.optionalKey(Curve)
})
export type Training = typeof Training.Type

/** This process. */
export const here = (engine: Omit<Place, "host" | "process"> = {}): Place => ({
  // A page in a browser has neither.
  host: globalThis.process === undefined ? "browser" : hostname(),
  process: globalThis.process === undefined ? 0 : process.pid,
  ...engine
})

/** Collects a curve while a training runs. */
export interface Recorder {
  /** Records a step of an epoch, counted from 0. */
  readonly step: (epoch: number, loss: number) => void
  /** Records the end of a validated epoch: its mean loss, and its measures. */
  readonly epoch: (epoch: number, loss: number, measures: Readonly<Record<string, number>>) => void
  readonly curve: () => Curve
}

const valueOf = (value: number | undefined) => (value !== undefined && Number.isFinite(value) ? value : null)

/**
 * A curve without epochs.
 *
 * @example
 * ```ts
 * import { Training } from "@uninet/search"
 *
 * // What your own evaluator may give beside its measures: how training went, epoch by epoch.
 * const recorder = Training.recorder()
 * for (const [epoch, losses] of [[2.1, 1.2], [0.8, 0.6]].entries()) {
 *   for (const loss of losses) recorder.step(epoch, loss)
 *   recorder.epoch(epoch, losses.reduce((sum, loss) => sum + loss, 0) / losses.length, { accuracy: 0.8 + epoch / 10 })
 * }
 * console.log(recorder.curve())
 * console.log(Training.here({ engine: "mine 1.0" }).engine)
 * ```
 */
export const recorder = (): Recorder => {
  interface Row {
    steps: number
    sum: number
    loss: number | undefined
    measures: Readonly<Record<string, number>> | undefined
  }
  const rows = new Map<number, Row>()
  const at = (epoch: number): Row => {
    const found = rows.get(epoch) ?? { steps: 0, sum: 0, loss: undefined, measures: undefined }
    rows.set(epoch, found)
    return found
  }
  return {
    step: (epoch, loss) => {
      const row = at(epoch)
      row.steps++
      row.sum += loss
    },
    epoch: (epoch, loss, measures) => Object.assign(at(epoch), { loss, measures }),
    curve: () => {
      const all = [...rows].toSorted(([a], [b]) => a - b)
      const names = new Set(all.flatMap(([, { measures = {} }]) => Object.keys(measures)))
      return {
        epochs: all.map(([epoch]) => epoch + 1),
        loss: all.map(([, { loss, steps, sum }]) => valueOf(loss ?? (steps === 0 ? undefined : sum / steps))),
        measures: Object.fromEntries(
          [...names].map((name) => [name, all.map(([, { measures }]) => valueOf(measures?.[name]))])
        )
      }
    }
  }
}

/**
 * The curve of a training that was continued. If several parts contain the same epoch, the last one's values count.
 *
 * @example
 * ```ts
 * import { Training } from "@uninet/search"
 *
 * const until = (epochs: ReadonlyArray<number>): Training.Curve => ({
 *   epochs,
 *   loss: epochs.map((epoch) => 1 / epoch),
 *   measures: { accuracy: epochs.map((epoch) => 1 - 0.2 / epoch) }
 * })
 * // A training that was continued after its second epoch.
 * console.log(Training.joined([until([1, 2]), until([3, 4])]).epochs) // [ 1, 2, 3, 4 ]
 * ```
 */
export const joined = (curves: ReadonlyArray<Curve>): Curve => {
  const place = new Map<number, readonly [Curve, number]>()
  for (const curve of curves) for (const [i, epoch] of curve.epochs.entries()) place.set(epoch, [curve, i])
  const all = [...place].toSorted(([a], [b]) => a - b)
  const names = new Set(curves.flatMap(({ measures }) => Object.keys(measures)))
  return {
    epochs: all.map(([epoch]) => epoch),
    loss: all.map(([, [curve, i]]) => curve.loss[i] ?? null),
    measures: Object.fromEntries(
      [...names].map((name) => [name, all.map(([, [curve, i]]) => curve.measures[name]?.[i] ?? null)])
    )
  }
}
