/**
 * How long models take on this machine, side by side: after warm-up they take turns, a reference network between them, so that what slows the machine for a while slows all of them and is
 * divided out.
 *
 * With one thread the time is the clock's or, where that is less, the processor's: what it worked for others meanwhile is not the model's.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Load from "./Load.ts"
import type { ModelNotRun } from "./LatencyError.ts"
import * as Machine from "./Machine.ts"
import * as Statistics from "./Statistics.ts"
import type { Target } from "./Target.ts"
import { open, type Opened } from "./internal/opened.ts"
import { reference } from "./internal/reference.ts"

/** What is measured. */
export interface Subject {
  readonly name: string
  /** The bytes of an ONNX model. */
  readonly file: Uint8Array
}

/** What measuring one subject found. */
export interface Measured {
  readonly name: string
  /** Milliseconds of a run; the interval is wider by what else ran. */
  readonly latency: Statistics.Interval
  /** The distance of the quartiles of single turns, over the median. */
  readonly spread: number
  /** How often it had its turn. */
  readonly turns: number
}

/** What measuring all of them found. */
export interface Measurement {
  readonly target: Target
  readonly machine: Machine.Machine
  readonly models: ReadonlyArray<Measured>
  /** Milliseconds of the reference network, and by how much of the median its turns' quartiles lie apart: the machine's drift. */
  readonly reference: { readonly milliseconds: number; readonly drift: number }
  /** Cores that worked for others meanwhile, on average. */
  readonly others: number
}

/** How it is measured. */
export interface Options {
  readonly target: Target
  /** Turns of every model. Default 15. */
  readonly rounds?: number
  /** Hears of every turn that is over, and how many there are. Default: nobody does. */
  readonly onTurn?: (done: number, of: number) => Effect.Effect<void>
}

/** A turn takes about so many milliseconds: short turns are run several times. */
const turn = 5

/** Runs before the first turn: memory is laid out in the first, and the processor's caches and clock come up to the others. */
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
 * A model that is warm, as a function of a turn; for those who take turns themselves.
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

/** The reference network, warm. Of one example whatever the target's batch. */
export const referenceNetwork = ({ threads }: Target) =>
  warmed({ threads, batch: 1 })({ name: "the reference network", file: reference })

/** Others only make turns longer: where there are some, the share of turns that are quicker than what is given, of the model and of the reference. */
const disturbed = { own: 0.1, reference: 0.25 }

/**
 * The machine is held to be disturbed where the quartiles of the reference network's turns lie so far apart, too: what other machines on the same hardware take, no operating system tells. On such a virtual machine the medians of
 * two measurements of the same 36 networks were 15 to 24% apart, these quantiles 5 to 6%.
 */
export const steady = 0.05

/** Turns of the reference before and after one of which its speed then is told, where single ones cannot be believed. */
const around = 30

/** By how many times an interval is wider where others had so many cores. */
const widening = (others: number) => 1 + (others > Load.quiet ? others : 0)

/** Measures all models in turns. Fails with `ModelNotRun`, which names the one that does not run here. */
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
        /** Of every model, the milliseconds of each turn, and the reference's turn that followed. */
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
        /** What the reference took about a turn: before and after it, or as a rule. */
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
