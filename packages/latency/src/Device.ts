/**
 * How long a machine takes for the networks of a space, as a portable file: another machine can use it to search for this one.
 *
 * It is made by measuring networks drawn from the space, and records the prediction error on networks that it has not seen.
 */
import type { GraphError, Program } from "@uninet/graph"
import { ModelSpace } from "@uninet/model-space"
import { Model } from "@uninet/nn"
import type { Export } from "@uninet/onnx"
import { type Cost, Digest, Prng, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import * as Form from "./Form.ts"
import { DeviceUnusable, type ModelNotRun, TooFewMeasured } from "./LatencyError.ts"
import * as Load from "./Load.ts"
import * as Machine from "./Machine.ts"
import * as Operation from "./Operation.ts"
import * as Predictor from "./Predictor.ts"
import * as Statistics from "./Statistics.ts"
import * as Stopwatch from "./Stopwatch.ts"
import { Target } from "./Target.ts"

const format = "uninet device"
/** The version of the file format and of the meaning of its numbers; other versions are rejected. */
export const version = 1

const Share = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

/** A machine's latency for a space's networks, as stored in a file. */
export const Device = Schema.Struct({
  format: Schema.Literal(format),
  version: Schema.Literal(version),
  /** The space of the networks: its name, `ModelSpace.fingerprint`, and the networks' inputs as text. */
  space: Schema.Struct({ name: Schema.String, fingerprint: Schema.String, takes: Schema.optionalKey(Schema.String) }),
  target: Target,
  /** For int8 networks; absent for float networks. */
  precision: Schema.optionalKey(Schema.Literal("int8")),
  machine: Machine.Machine,
  /** Milliseconds for the reference network, which is the same everywhere. */
  reference: Schema.Finite,
  /** How many networks were measured, and how many cores other processes used in the meantime. */
  measured: Schema.Int,
  others: Share,
  /** Relative errors on held-out networks: half of them are no larger than the first, nine in ten no larger than the second. */
  error: Schema.Struct({ median: Share, ninety: Share }),
  predictor: Predictor.Predictor
})
export type Device = typeof Device.Type

/** The file: its content and a digest of it, so that a number edited by hand is detected. Files from before digests have none. */
const Json = Schema.fromJsonString(
  Schema.toCodecJson(Device.mapFields(Struct.assign({ digest: Schema.optionalKey(Schema.String) })))
)

const digestOf = (device: Device) => Digest.of(Schema.encodeSync(Json)(device))

/** A device as the text of a file, which `parse` reads. */
export const print = (device: Device): string => `${Schema.encodeSync(Json)({ ...device, digest: digestOf(device) })}\n`

const Head = Schema.fromJsonString(Schema.Struct({ format: Schema.Literal(format), version: Schema.Unknown }))

/** The device in a file's text. Fails with `DeviceUnusable` if it is not a device file, has another version, or has been changed since it was written. */
export const parse = (text: string): Result.Result<Device, DeviceUnusable> => {
  const head = Schema.decodeUnknownResult(Head)(text)
  if (Result.isFailure(head))
    return Result.fail(
      new DeviceUnusable({
        reason: "contains no profile, or only part of one",
        remedy: "give one written by uninet profile"
      })
    )
  if (head.success.version !== version)
    return Result.fail(
      new DeviceUnusable({
        reason: `has version ${String(head.success.version)}, but this uninet reads version ${version}`,
        remedy: "profile the machine again with uninet profile"
      })
    )
  const found = Schema.decodeUnknownResult(Json)(text)
  const remedy = "copy it again, or profile the machine again with uninet profile"
  if (Result.isFailure(found)) return Result.fail(new DeviceUnusable({ reason: "is damaged", remedy }))
  const { digest, ...device } = found.success
  return digest === undefined || digest === digestOf(device)
    ? Result.succeed(device)
    : Result.fail(new DeviceUnusable({ reason: "has been changed since it was written", remedy }))
}

/** The name of the cost that a device predicts: latency in floats, or in int8. */
export const costOf = ({ precision }: Pick<Device, "precision">) => (precision === "int8" ? "int8Latency" : "latency")

/** The inputs of a space's networks as text: `image [1×28×28], for 10 classes`. */
const takenBy = <A, C extends string, M extends string>(of: ModelSpace.ModelSpace<A, C, M>): string | undefined =>
  Result.match(of.model(Space.seedPoint(of.space)), {
    onSuccess: ({ inputs }) =>
      `${Model.print(inputs)}${of.task.classes === null ? "" : `, for ${of.task.classes} classes`}`,
    onFailure: () => undefined
  })

/** Succeeds if a device was profiled for exactly this space, judging by the fingerprint; otherwise fails with `DeviceUnusable`. */
export const fits =
  <A, C extends string, M extends string>(of: ModelSpace.ModelSpace<A, C, M>) =>
  ({ space }: Device): Result.Result<void, DeviceUnusable> => {
    if (space.fingerprint === ModelSpace.fingerprint(of)) return Result.succeed(undefined)
    const takes = takenBy(of)
    const isOfOtherData = space.name === of.name && space.takes !== undefined && space.takes !== takes
    return Result.fail(
      new DeviceUnusable({
        reason: isOfOtherData
          ? `is for networks that take ${space.takes}, but the networks of this search take ${takes}`
          : `is for ${space.name === of.name ? `another ${of.name} (with other choices or from another version of uninet)` : `the space ${space.name}`}, not for the ${of.name} of this search`,
        remedy: "profile this space for this data set with uninet profile"
      })
    )
  }

const operationsOf =
  <A, C extends string, M extends string>(of: ModelSpace.ModelSpace<A, C, M>, batch: number) =>
  (point: A): Result.Result<ReadonlyArray<Operation.Operation>, GraphError | ModelSpace.Unbuildable> =>
    Result.flatMap(of.model(point), (model): Result.Result<ReadonlyArray<Operation.Operation>, GraphError> =>
      Result.map(Model.evaluation({ batch })(model), (program: Program.Program) => Operation.ofProgram(program))
    )

/** How latency adds up along a space's parts: a part takes as long as its ops, and the fixed part comes at the start. `null` if the space has no parts. */
const byParts = <A, C extends string, M extends string>(
  { predictor, target }: Pick<Device, "predictor" | "target">,
  of: ModelSpace.ModelSpace<A, C, M>
): Cost.Cost<A, "price"> | null => {
  const price = Predictor.ofOperations(predictor)
  return of.byParts === null ? null : of.byParts((part) => price(Operation.ofProgram(part)), target.batch)
}

/** The chain along which `latency` adds up, so that bounds on it are met by dynamic programming over a space's parts; `null` if the space has no parts. */
export const chain =
  (device: Pick<Device, "predictor" | "target">) =>
  <A, C extends string, M extends string>(of: ModelSpace.ModelSpace<A, C, M>): Cost.Chain<A, "latency"> | null => {
    const found = byParts(device, of)?.chain
    return found === undefined
      ? null
      : {
          ...(found.focus === undefined ? {} : { focus: found.focus }),
          start: (point) => {
            const { costs, exit } = found.start(point)
            return { costs: { latency: device.predictor.fixed + costs.price }, exit }
          },
          part: (point, i, entry) => {
            const { costs, exit } = found.part(point, i, entry)
            return { costs: { latency: costs.price }, exit }
          },
          end: (point, entry) => ({ latency: found.end(point, entry).price })
        }
  }

/**
 * The predicted time of a point's network on the device, in milliseconds; Infinity for anything that cannot be built.
 *
 * @example
 * ```ts
 * import { Device, Machine } from "@uninet/latency"
 * import { Classification, ModelSpace } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Choice, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const mine = ModelSpace.make({
 *   name: "mine",
 *   space: Result.getOrThrow(Space.make(Choice.struct({ width: Choice.ordered([8, 16]) }))),
 *   task: Classification.make({ classes: 3 }),
 *   model: ({ width }) =>
 *     Model.make({
 *       inputs: { x: Model.input([4]) },
 *       forward: (scope, { x }) => {
 *         const hidden = Nn.gelu(scope)(Nn.linear(Scope.at("hidden")(scope), { out: width })(x))
 *         return { logits: Nn.linear(Scope.at("logits")(scope), { out: 3 })(hidden) }
 *       }
 *     })
 * })
 * // A device such as `Device.profile` makes in a few minutes; this one knows only what every run costs.
 * const device: Device.Device = {
 *   format: "uninet device",
 *   version: Device.version,
 *   space: { name: mine.name, fingerprint: ModelSpace.fingerprint(mine) },
 *   target: { threads: 1, batch: 1 },
 *   machine: Machine.here(),
 *   reference: 1,
 *   measured: 30,
 *   others: 0,
 *   error: { median: 0.03, ninety: 0.1 },
 *   predictor: { fixed: 0.02, families: {}, corrections: {} }
 * }
 * // It is written and read as text, and refused for another space.
 * const read = Result.getOrThrow(Device.parse(Device.print(device)))
 * console.log(Device.fits(mine)(read)._tag, Device.latency(read)(mine)({ width: 8 })) // Success 0.02
 * console.log(Device.chain(read)(mine)) // null: this space says nothing of its parts
 * ```
 */
export const latency =
  ({ predictor, target }: Pick<Device, "predictor" | "target">) =>
  <A, C extends string, M extends string>(of: ModelSpace.ModelSpace<A, C, M>): ((point: A) => number) => {
    const parts = byParts({ predictor, target }, of)
    // Parts are shared by many points, and cached.
    if (parts !== null) return (point) => predictor.fixed + parts.of(point).price
    const operations = operationsOf(of, target.batch)
    const price = Predictor.predict(predictor)
    return (point) => Result.match(operations(point), { onSuccess: price, onFailure: () => Infinity })
  }

/** How to profile a machine. */
export interface Options {
  readonly target: Target
  /** Whether to measure networks in int8. Default false. */
  readonly int8?: boolean
  /** How long it may take, in seconds. */
  readonly seconds: number
  /** Seed for drawing the networks. Default 0. */
  readonly seed?: string | number
  /** Called with how many networks have been measured and what share of the time has passed. Default: nothing is reported. */
  readonly onProgress?: (measured: number, share: number) => Effect.Effect<void>
}

/** The fewest networks that allow a prediction. */
const fewest = 40

/**
 * How many networks take turns, and for how many rounds. That many fit into memory together, and their turns are far enough apart that a disturbance of one does not affect all of them. If a network
 * takes more than a second, more networks are worth more than more turns; the first few networks show which case it is.
 */
const paces = {
  first: { together: 4, rounds: 7 },
  quick: { together: 12, rounds: 7 },
  slow: { together: 4, rounds: 4 }
}

/** The share of the time that is reserved for the fit, until a fit on half of the networks has been timed. */
const forFit = 0.06

/** A margin on the time for a fit, extrapolated from one on fewer networks by their third power. */
const leeway = 1.2

const cube = (n: number) => n * n * n

/** The measured point and how long it took. */
interface Visited {
  readonly operations: ReadonlyArray<Operation.Operation>
  readonly milliseconds: number
}

/** Every error that profiling can fail with. */
export type ProfileError = ModelNotRun | TooFewMeasured | GraphError | ModelSpace.Unbuildable | Export.NotBatchFree

/**
 * Profiles this machine for a space. If it is interrupted, nothing is kept.
 *
 * Fails with `TooFewMeasured` if the time is too short, with `ModelNotRun`, or with the reason why a network cannot be built or exported.
 */
export const profile = ({ int8 = false, onProgress = () => Effect.void, seconds, seed = 0, target }: Options) =>
  Effect.fn("Device.profile")(function* <A, C extends string, M extends string>(
    of: ModelSpace.ModelSpace<A, C, M>
  ): Effect.fn.Return<Device, ProfileError> {
    const began = performance.now()
    const passed = () => (performance.now() - began) / 1000 / seconds
    const before = Load.snapshot()
    const prng = Prng.fromSeed(seed).split("profile")
    const seen = new Set<string>()
    const visited: Array<Visited> = []
    const references: Array<number> = []
    // The share of the time per network.
    let each = 0
    let pace = paces.first
    let misses = 0
    const fit = () => {
      const usual = Statistics.median(references)
      const examples = visited.map((each) => ({ ...each, milliseconds: each.milliseconds * usual }))
      return { usual, ...Predictor.fit(examples) }
    }
    // The share of the time, divided by the third power of the number of fitted networks.
    let fitting: number | undefined
    const forFitOf = (networks: number) => (fitting === undefined ? forFit : fitting * cube(networks))
    while (passed() + each * pace.together + forFitOf(visited.length + pace.together) < 1 && misses < patience) {
      if (fitting === undefined && passed() > 0.5 && visited.length >= fewest) {
        const before = passed()
        fit()
        fitting = (leeway * (passed() - before)) / cube(visited.length)
      }
      const start = passed()
      const { rounds, together } = pace
      const group: Array<Stopwatch.Subject & Pick<Visited, "operations">> = []
      while (group.length < together && misses < patience) {
        const point = Space.sample(prng)(of.space)
        const hash = Space.hash(point)(of.space)
        if (seen.has(hash)) {
          misses++
          continue
        }
        seen.add(hash)
        const operations = yield* Effect.fromResult(operationsOf(of, target.batch)(point))
        const file = yield* Effect.fromResult(
          Result.flatMap(of.model(point), (model): ReturnType<typeof Form.of> =>
            int8 ? Form.int8(model) : Form.of(model)
          )
        )
        group.push({ name: of.line(point), file, operations })
        yield* Effect.yieldNow
      }
      if (group.length === 0) break
      const { models, reference } = yield* Stopwatch.measure({
        target,
        rounds,
        onTurn: (done, turns) =>
          onProgress(visited.length + Math.floor((done / turns) * group.length), Math.min(1, passed()))
      })(group)
      references.push(reference.milliseconds)
      for (const [i, { latency }] of models.entries())
        visited.push({ operations: group[i]?.operations ?? [], milliseconds: latency.value / reference.milliseconds })
      each = (passed() - start) / group.length
      pace = each * seconds > 1 ? paces.slow : paces.quick
    }
    if (visited.length < fewest) return yield* new TooFewMeasured({ measured: visited.length, needed: fewest })
    const { error, predictor, usual } = fit()
    yield* onProgress(visited.length, 1)
    const takes = takenBy(of)
    return {
      format,
      version,
      space: { name: of.name, fingerprint: ModelSpace.fingerprint(of), ...(takes === undefined ? {} : { takes }) },
      target,
      ...(int8 ? { precision: "int8" as const } : {}),
      machine: Machine.here(),
      reference: usual,
      measured: visited.length,
      others: Load.others(before, Load.snapshot()),
      error,
      predictor
    }
  })

/** After this many draws of networks that have been measured already, the space is considered exhausted. */
const patience = 1000
