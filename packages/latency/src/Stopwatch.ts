/**
 * How long models take on this machine, compared with one another: after a warm-up they take turns, with a reference network in between. Anything that slows the machine down for a while
 * slows all of them down and is divided out.
 *
 * With one thread, the time is the lower of wall-clock time and CPU time: work for other processes in the meantime does not count towards the model.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Load from "./Load.ts"
import { type ModelNotRun, NotHere } from "./LatencyError.ts"
import * as Machine from "./Machine.ts"
import * as Statistics from "./Statistics.ts"
import type { Target } from "./Target.ts"
import { open, type Opened } from "./internal/opened.ts"
import { reference } from "./internal/reference.ts"

/** A model to be measured. */
export interface Subject {
  readonly name: string
  /** The bytes of an ONNX model. */
  readonly file: Uint8Array
}

/** The measurement of one model. */
export interface Measured {
  readonly name: string
  /** Milliseconds per run; the interval is wider if other processes ran. */
  readonly latency: Statistics.Interval
  /** The distance between the quartiles of single turns, relative to the median. */
  readonly spread: number
  /** How many turns it had. */
  readonly turns: number
}

/** The measurement of all models. */
export interface Measurement {
  readonly target: Target
  readonly machine: Machine.Machine
  readonly models: ReadonlyArray<Measured>
  /** Milliseconds for the reference network, and the distance between the quartiles of its turns, relative to the median: the machine's drift. */
  readonly reference: { readonly milliseconds: number; readonly drift: number }
  /** Cores that other processes used in the meantime, on average. */
  readonly others: number
}

/** How to measure. */
export interface Options {
  readonly target: Target
  /** Turns per model. Default 15. */
  readonly rounds?: number
  /** Called after every turn, with the number of turns done and the total. Default: nothing is reported. */
  readonly onTurn?: (done: number, of: number) => Effect.Effect<void>
}

/** The approximate length of a turn in milliseconds; short models run several times. */
const turn = 5

/** Runs before the first turn: the first allocates memory, and the others bring the CPU's caches and clock up to speed. */
const warmUp = 2

interface Ready {
  readonly name: string
  readonly take: Effect.Effect<number, ModelNotRun>
}

const ready = Effect.fnUntraced(function* (name: string, { run }: Opened): Effect.fn.Return<Ready, ModelNotRun> {
  yield* run(warmUp)
  const times = Math.max(1, Math.min(200, Math.round(turn / Math.max(yield* run(1), 0.02))))
  return { name, take: run(times) }
})

/**
 * A warmed-up model, as a function that takes one turn; for callers that schedule the turns themselves.
 *
 * @example
 * ```ts
 * import { Form, Stopwatch } from "@uninet/latency"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Console, Effect } from "effect"
 *
 * const model = Model.make({
 *   inputs: { x: Model.input([4]) },
 *   forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: 1 })(x) })
 * })
 * const target = { threads: 1, batch: 1 }
 *
 * // Taking turns by hand: a network between two runs of the reference network, which is the same everywhere.
 * const program = Effect.gen(function* () {
 *   const file = yield* Effect.fromResult(Form.of(model))
 *   const turn = yield* Stopwatch.warmed(target)({ name: "mine", file })
 *   const reference = yield* Stopwatch.referenceNetwork(target)
 *   const [before, mine, after] = [yield* reference, yield* turn, yield* reference]
 *   yield* Console.log(mine / ((before + after) / 2)) // milliseconds over milliseconds: a figure that other machines share
 * })
 * Effect.runPromise(Effect.scoped(program))
 * ```
 */
export const warmed =
  (target: Target) =>
  ({ file, name }: Subject): Effect.Effect<Effect.Effect<number, ModelNotRun>, ModelNotRun, Scope.Scope> =>
    Effect.map(
      Effect.flatMap(open(name, file, target), (opened) => ready(name, opened)),
      ({ take }) => take
    )

/** The reference network, warmed up. It always takes one example, whatever the target's batch. */
export const referenceNetwork = (target: Target) =>
  warmed({ ...target, batch: 1 })({ name: "the reference network", file: reference })

/**
 * Fails with `NotHere` unless the target can be used on this machine: WebGPU needs a GPU and its driver. The CPU is always there.
 *
 * @example
 * ```ts
 * import { Stopwatch } from "@uninet/latency"
 * import { Console, Effect } from "effect"
 *
 * const program = Stopwatch.available({ threads: 1, batch: 1, provider: "webgpu" }).pipe(
 *   Effect.andThen(Console.log("there is a GPU")),
 *   Effect.catch(({ message }) => Console.log(message))
 * )
 * Effect.runPromise(program)
 * ```
 */
export const available = ({ provider, ...target }: Target): Effect.Effect<void, NotHere> =>
  provider === undefined
    ? Effect.void
    : referenceNetwork({ ...target, provider }).pipe(
        Effect.mapError(({ reason }) => new NotHere({ target: provider, reason })),
        Effect.asVoid,
        Effect.scoped
      )

/** Other processes only make turns longer. If the machine is disturbed, these are the quantiles of the turns that are used instead of the medians, for the model and for the reference. */
const disturbed = { own: 0.1, reference: 0.25 }

/**
 * The machine also counts as disturbed if the quartiles of the reference network's turns lie this far apart: no operating system reports what other virtual machines on the same hardware use. On such a virtual machine, the medians of
 * two measurements of the same 36 networks were 15 to 24% apart, these quantiles 5 to 6%.
 */
export const steady = 0.05

/** How many turns of the reference before and after a turn determine the speed at that time, if single turns cannot be trusted. */
const around = 30

/** The factor by which an interval is widened if other processes used this many cores. */
const widening = (others: number) => 1 + (others > Load.quiet ? others : 0)

/** Measures all models in turns. Fails with `ModelNotRun`, which names the model that does not run here. */
export const measure = ({ onTurn = () => Effect.void, rounds = 15, target }: Options) =>
  Effect.fn("Stopwatch.measure")(function* (
    subjects: ReadonlyArray<Subject>
  ): Effect.fn.Return<Measurement, ModelNotRun> {
    return yield* Effect.scoped(
      Effect.gen(function* () {
        const models: Array<Ready> = []
        for (const subject of subjects)
          models.push(yield* ready(subject.name, yield* open(subject.name, subject.file, target)))
        const between = yield* referenceNetwork(target)
        const before = Load.snapshot()
        /** For every model, the milliseconds of each turn, and the index of the reference's turn that followed. */
        const times = models.map((): Array<readonly [milliseconds: number, next: number]> => [])
        const references = [yield* between]
        for (let round = 0; round < rounds; round++)
          for (const [i, { take }] of models.entries()) {
            times[i]?.push([yield* take, references.length])
            references.push(yield* between)
            yield* onTurn(round * models.length + i + 1, rounds * models.length)
            yield* Effect.yieldNow
          }
        const others = Load.others(before, Load.snapshot())
        const drift = Statistics.spread(references)
        const isDisturbed = others > Load.quiet || drift > steady
        const usual = Statistics.quantile(isDisturbed ? disturbed.reference : 0.5)(references)
        /** The reference's time around a turn: from the turns before and after it or, on a disturbed machine, from a window of them. */
        const speedAt = (next: number) =>
          isDisturbed
            ? Statistics.quantile(disturbed.reference)(references.slice(Math.max(0, next - around), next + around))
            : ((references[next - 1] ?? usual) + (references[next] ?? usual)) / 2
        return {
          target,
          machine: Machine.here(),
          models: models.map(({ name }, i) => {
            const own = (times[i] ?? []).map(([milliseconds, next]) => (milliseconds / speedAt(next)) * usual)
            return {
              name,
              latency: Statistics.quantileOf(isDisturbed ? disturbed.own : 0.5, widening(others))(own),
              spread: Statistics.spread(own),
              turns: own.length
            }
          }),
          reference: { milliseconds: usual, drift },
          others
        }
      })
    )
  })
