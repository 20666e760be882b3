/**
 * Laws that every point of a sound space obeys. Those in `pure` need only the graph; those in `onEngine` run the network. A space adds its own (`ModelSpace.laws`). Run them on your own space
 * with fast-check, or with `uninet verify my-space.ts`:
 *
 * @example
 * ```ts
 * import { Classification, Laws, ModelSpace } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Choice, Space } from "@uninet/search-space"
 * import { fromSpace } from "@uninet/search-space/arbitrary"
 * import { Result } from "effect"
 * import * as fc from "fast-check"
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
 * fc.assert(fc.property(fromSpace(mine.space), (point) => void Result.getOrThrow(Laws.check(point)(mine))))
 * for (const { name, statement } of Laws.pure(mine)) console.log(`${name}: ${statement}`)
 * ```
 */
import { Costs, gradient, Op, Program, Shape, Tensor, topological } from "@uninet/graph"
import { Model, Regularisation, RunningStatistics, Scope } from "@uninet/nn"
import { Prng, Space } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { named } from "./internal/named.ts"
import type { Fault, Law } from "./Law.ts"
import { costsOf, type Having } from "./ModelSpace.ts"
import * as Task from "./Task.ts"

export type { Fault, Law } from "./Law.ts"

/** A point breaks a law. */
export class LawViolation extends Schema.TaggedError<LawViolation>()("LawViolation", {
  law: Schema.String,
  at: Schema.String,
  reason: Schema.String,
  space: Schema.String,
  /** The point on one line, as a picture, and as the space's JSON. */
  line: Schema.String,
  picture: Schema.String,
  point: Schema.Unknown
}) {
  override get message() {
    return `law "${this.law}" broken at ${this.at}: ${this.reason}\n  in ${this.line}\n  of ${this.space}; fix what is named, or exclude the point from the space`
  }
}

const violation =
  <A>(of: Having<A>, point: A) =>
  (law: string, { at, reason }: Fault): LawViolation =>
    new LawViolation({
      law,
      at,
      reason,
      space: of.name,
      line: of.line(point),
      picture: of.picture(point),
      point: Result.getOrElse(Space.encodeJson<unknown>(point)(of.space), () => null)
    })

const network = (reason: string): Fault => ({ at: "network", reason })

const thrown = (cause: unknown): Fault =>
  network(`it throws: ${cause instanceof Error ? cause.message : String(cause)}`)

/** The network of a point, or why there is none. Its `forward` is user code and may throw; that is caught here rather than in the middle of a law. */
const built = <A>(of: Having<A>, point: A): Result.Result<Model.Model, Fault> =>
  Result.flatMap(
    Result.mapError(of.model(point), ({ message }) => network(message)),
    (model) => Result.try({ try: () => (Model.outputs(model), model), catch: thrown })
  )

/** The loss of a training step without randomness, and the program that computes it. */
const lossOf = (task: Task.Task, outputs: Model.Tensors, batch: number): Tensor.Tensor =>
  task.loss(outputs, Op.input("targets", [batch, ...task.targets.shape], task.targets.dtype), { labelSmoothing: 0 })

const json = <A>(of: Having<A>): Law<A> => ({
  name: "json",
  statement: "a point written as JSON is read back as the same point",
  check: (point: unknown) => {
    const back = Result.flatMap(Space.encodeJson(point)(of.space), (json) =>
      Space.decodeJson(JSON.parse(JSON.stringify(json)))(of.space)
    )
    if (Result.isFailure(back)) return network(back.failure.message)
    // A hash covers only what is in the JSON; comparing the choices covers what the JSON leaves out.
    const choices = (each: unknown) => Result.map(Space.vector(each)(of.space), String)
    return Space.hash(back.success)(of.space) === Space.hash(point)(of.space) &&
      Equal.equals(choices(back.success), choices(point))
      ? undefined
      : network("a different point is read back")
  }
})

const shape = <A>(of: Having<A>): Law<A> => ({
  name: "shape",
  statement: "the network gives the outputs that the task takes, for any batch size, in training and in evaluation",
  check: (_, model) => {
    for (const mode of ["evaluation", "training"] as const)
      for (const batch of [1, 3]) {
        const made = Program.make({ outputs: Model.apply(Scope.make(mode), { batch })(model) })
        if (Result.isFailure(made)) return network(made.failure.message)
        for (const [name, { shape }] of Object.entries(made.success.outputs))
          if (shape[0] !== batch)
            return { at: name, reason: `for a batch of ${batch} in ${mode} its shape is ${Shape.print(shape)}` }
        const given = Object.fromEntries(
          Object.entries(made.success.outputs).map(([name, { dtype, shape }]) => [
            name,
            { dtype, shape: shape.slice(1) }
          ])
        )
        const fits = Task.takes(given)(of.task)
        if (Result.isFailure(fits)) return network(fits.failure.message)
      }
    return undefined
  }
})

const deterministic = <A>(of: Having<A>): Law<A> => ({
  name: "deterministic",
  statement: "a point always builds the same network",
  check: (point, model) => {
    const again = of.model(point)
    if (Result.isFailure(again)) return network(again.failure.message)
    const digests = [model, again.success].map((each) => Result.map(Model.evaluation()(each), Program.digest))
    const [first, second] = digests.map((digest) => Result.getOrElse(digest, ({ message }) => message))
    return first === second ? undefined : network("building it again gives a different one")
  }
})

const costs = <A>(of: Having<A>): Law<A> => ({
  name: "costs",
  statement: "the parameters and MACs that a space states for a point are those of its graph",
  check: (point, model) => {
    const made = Model.evaluation()(model)
    if (Result.isFailure(made)) return network(made.failure.message)
    const counted = Costs.ofProgram(made.success)
    const said = costsOf(point)(of)
    if (Result.isFailure(said)) return network(said.failure.message)
    for (const name of ["parameters", "macs"] as const)
      if (said.success[name] !== counted[name])
        return network(`its space says that it has ${said.success[name]} ${name}, but its graph has ${counted[name]}`)
    return undefined
  }
})

/** The training program's loss, the parameters of all outputs, and their gradients. */
const gradientsOf = (task: Task.Task, model: Model.Model, batch: number) => {
  const outputs = Model.apply(Scope.make("training"), { batch })(model)
  return Result.map(Program.make({ outputs: { ...outputs, loss: lossOf(task, outputs, batch) } }), (program) => {
    const parameters = program.variables.filter((v) => v.attributes.role === "parameter")
    const loss = named("loss")(program.outputs)
    return { program, parameters, loss, found: gradient(loss, parameters) }
  })
}

const gradients = <A>(of: Having<A>): Law<A> => ({
  name: "gradients",
  statement:
    "in training, the loss is a single number, and every parameter except idle ones has a gradient of the same shape",
  check: (point, model) => {
    const made = gradientsOf(of.task, model, 2)
    if (Result.isFailure(made)) return network(made.failure.message)
    const { found, loss, parameters } = made.success
    if (loss.shape.length > 0) return { at: "loss", reason: `it is not a scalar, but ${Shape.print(loss.shape)}` }
    for (const [i, parameter] of parameters.entries()) {
      const g = found[i]
      const at = parameter.attributes.name
      if (g === undefined) {
        if (of.isIdle(at, point)) continue
        return { at, reason: "the loss does not depend on it" }
      }
      if (g.fault !== undefined) return { at, reason: g.fault.message }
      if (!Shape.equals(g.shape, parameter.shape))
        return { at, reason: `it is ${Shape.print(parameter.shape)}, but its gradient is ${Shape.print(g.shape)}` }
    }
    return undefined
  }
})

/** The laws that need no engine, cheapest first, including the space's own. */
export const pure = <A>(of: Having<A>): ReadonlyArray<Law<A>> => [
  json(of),
  shape(of),
  deterministic(of),
  costs(of),
  gradients(of),
  ...of.laws
]

/**
 * Checks a point against the laws that need no engine. Fails with the first law that is broken. A point whose network cannot be built at all breaks the law
 * `builds`.
 */
export const check =
  <const A>(point: A, which?: ReadonlyArray<Law<A>>) =>
  (of: Having<A>): Result.Result<void, LawViolation> => {
    const broken = violation(of, point)
    const model = built(of, point)
    if (Result.isFailure(model)) return Result.fail(broken("builds", model.failure))
    for (const law of which ?? pure(of)) {
      const fault = Result.merge(Result.try({ try: () => law.check(point, model.success), catch: thrown }))
      if (fault !== undefined) return Result.fail(broken(law.name, fault))
    }
    return Result.succeed(undefined)
  }

/** Runs a program once on any engine: outputs by name, in row-major order. */
export type Engine<E, R> = (
  program: Program.Program,
  given: {
    readonly inputs: Readonly<Record<string, Task.Values>>
    readonly variables: ReadonlyMap<string, Float32Array>
  }
) => Effect.Effect<Readonly<Record<string, ArrayLike<number>>>, E, R>

/** A law that is checked by running a network. */
export interface EngineLaw<in A> {
  readonly name: string
  readonly statement: string
  readonly check: <E, R>(engine: Engine<E, R>, model: Model.Model, point: A) => Effect.Effect<Fault | undefined, E, R>
}

const draw = (prng: Prng.Prng, length: number): Float32Array => Float32Array.from({ length }, () => prng.nextNormal())

/** The examples of a batch. Integers are 0 or 1, which every vocabulary has. */
const examples = (prng: Prng.Prng, inputs: Model.Ports, batch: number): Readonly<Record<string, Task.Values>> =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, { dtype, shape }]) => {
      const length = batch * Shape.size(shape)
      return [
        name,
        dtype === "int32" ? Int32Array.from({ length }, () => prng.nextInt(2)) : draw(prng.split(name), length)
      ]
    })
  )

/** Values away from anything special: no parameter is 0, which would silence everything after it. Variances are positive. */
const anyValues = (prng: Prng.Prng, variables: Program.Program["variables"]): Map<string, Float32Array> =>
  new Map(
    variables.map(({ attributes: { initialiser, name, role }, shape }) => {
      const own = prng.split(name)
      const centre = initialiser.kind === "constant" ? initialiser.value : 0
      const spread =
        initialiser.kind === "uniform"
          ? initialiser.bound
          : initialiser.kind === "truncatedNormal"
            ? Math.max(0.1, initialiser.deviation)
            : 0.2
      const values = Float32Array.from({ length: Shape.size(shape) }, () => centre + spread * own.nextNormal())
      return [name, role === "buffer" ? values.map((x) => Math.abs(x) + 0.1) : values]
    })
  )

/** How far the first row of an output is from that of another run, relative to its largest number. */
const apart = (a: ArrayLike<number>, b: ArrayLike<number>, from: number, to: number): number => {
  let difference = 0
  let largest = 1e-6
  for (let i = from; i < to; i++) {
    const own = a[i] ?? Number.NaN
    const d = Math.abs(own - (b[i] ?? Number.NaN))
    difference = d <= difference ? difference : d // keeps a NaN
    largest = Math.max(largest, Math.abs(own))
  }
  return difference / largest
}

const runs = <A>(): EngineLaw<A> => ({
  name: "runs",
  statement: "on the engine, the network's outputs are finite",
  check: (engine, model) =>
    Effect.gen(function* () {
      const program = Model.evaluation({ batch: 2 })(model)
      if (Result.isFailure(program)) return network(program.failure.message)
      const prng = Prng.fromSeed("runs")
      const outputs = yield* engine(program.success, {
        inputs: examples(prng, model.inputs, 2),
        variables: anyValues(prng, program.success.variables)
      })
      for (const [name, { shape }] of Object.entries(program.success.outputs)) {
        const values = Array.from(outputs[name] ?? [])
        if (values.length !== Shape.size(shape))
          return { at: name, reason: `the engine gave ${values.length} numbers for ${Shape.print(shape)}` }
        if (!values.every(Number.isFinite)) return { at: name, reason: "it has a number that is not finite" }
      }
      return undefined
    })
})

const independent = <A>(): EngineLaw<A> => ({
  name: "independence",
  statement: "in evaluation, the network's outputs for an example do not depend on the rest of the batch",
  check: (engine, model) =>
    Effect.gen(function* () {
      const batch = 3
      const program = Model.evaluation({ batch })(model)
      if (Result.isFailure(program)) return network(program.failure.message)
      const prng = Prng.fromSeed("independence")
      const inputs = examples(prng, model.inputs, batch)
      const variables = anyValues(prng, program.success.variables)
      const others = examples(prng.split("others"), model.inputs, batch)
      const mixed = Object.fromEntries(
        Object.entries(inputs).map(([name, values]) => {
          const changed = named(name)(others).slice()
          changed.set(values.subarray(0, values.length / batch))
          return [name, changed]
        })
      )
      const [one, other] = [
        yield* engine(program.success, { inputs, variables }),
        yield* engine(program.success, { inputs: mixed, variables })
      ]
      for (const [name, { shape }] of Object.entries(program.success.outputs)) {
        const off = apart(named(name)(one), named(name)(other), 0, Shape.size(shape) / batch)
        if (!(off <= 1e-4))
          return {
            at: name,
            reason: `with other examples in its batch, an example's output differs by ${(100 * off).toPrecision(2)}%`
          }
      }
      return undefined
    })
})

/** A gradient this small compared with its neighbours is rounding. */
const nothing = 1e-7

/** The largest gradient of the parameters with the longest common path with this one: in a deep network, gradients in another part may be larger by any factor. */
const neighbours = (name: string, largest: ReadonlyMap<string, number>): number => {
  for (let path = name; ;) {
    path = path.slice(0, Math.max(0, path.lastIndexOf(".")))
    const own = path === "" ? "" : `${path}.`
    const others = [...largest].filter(([other]) => other !== name && other.startsWith(own))
    if (others.length > 0 || path === "") return Math.max(0, ...others.map(([, most]) => most))
  }
}

const alive = <A>(of: Having<A>): EngineLaw<A> => ({
  name: "alive",
  statement:
    "every gradient is finite, and only parameters that the space names as idle have a gradient that is zero for all examples",
  check: (engine, model, point) =>
    Effect.gen(function* () {
      const batch = 4
      const made = gradientsOf(of.task, model, batch)
      if (Result.isFailure(made)) return network(made.failure.message)
      const { found, parameters } = made.success
      if (parameters.length === 0) return undefined
      const outputs: Record<string, Tensor.Tensor> = {}
      for (const [i, parameter] of parameters.entries()) {
        const g = found[i]
        if (g !== undefined) outputs[parameter.attributes.name] = g
      }
      const program = Program.make({ outputs })
      if (Result.isFailure(program)) return network(program.failure.message)
      const { classes, targets } = of.task
      const gradientsAt = (seed: string) => {
        const prng = Prng.fromSeed(`alive ${seed}`)
        const length = batch * Shape.size(targets.shape)
        const drawn =
          targets.dtype === "int32"
            ? Int32Array.from({ length }, () => prng.nextInt(classes ?? 2))
            : Float32Array.from({ length }, () => prng.nextFloat())
        const noise = made.success.program.inputs.filter(Regularisation.isNoise).map(({ attributes, shape }) => {
          const own = prng.split(attributes.name)
          return [attributes.name, Float32Array.from({ length: Shape.size(shape) }, () => own.nextFloat())] as const
        })
        const given: Readonly<Record<string, Task.Values>> = {
          ...examples(prng, model.inputs, batch),
          ...Object.fromEntries(noise),
          targets: drawn
        }
        return engine(program.success, {
          inputs: Object.fromEntries(
            program.success.inputs.map(({ attributes: { name } }) => [name, named(name)(given)])
          ),
          variables: anyValues(prng, program.success.variables)
        })
      }
      const runs = [yield* gradientsAt("one"), yield* gradientsAt("two")]
      // Keeps a NaN.
      const largestOf = (name: string) =>
        runs
          .flatMap((gradients) => Array.from(gradients[name] ?? []))
          .reduce((most, g) => (Math.abs(g) <= most ? most : Math.abs(g)), 0)
      const largest = new Map(Object.keys(outputs).map((name) => [name, largestOf(name)]))
      for (const [name, most] of largest)
        if (!Number.isFinite(most)) return { at: name, reason: "its gradient has a number that is not finite" }
      const dead = parameters
        .map(({ attributes }) => attributes.name)
        .find((name) => !of.isIdle(name, point) && (largest.get(name) ?? 0) <= nothing * neighbours(name, largest))
      return dead === undefined
        ? undefined
        : { at: dead, reason: "its gradient is zero: nothing that is learned depends on it" }
    })
})

const agreement = <A>(): EngineLaw<A> => ({
  name: "agreement",
  statement:
    "without randomness, and with the batch's statistics as the running ones, training gives the same outputs as evaluation",
  check: (engine, model) =>
    Effect.gen(function* () {
      const batch = 3
      const outputs = Model.apply(Scope.make("training"), { batch })(model)
      const norms = topological(Object.values(outputs)).filter(Tensor.is("batchNorm"))
      const statistics = norms.map((norm) => Op.batchMoments(norm.inputs[0], norm.path))
      const training = Program.make({
        outputs: { ...outputs, ...Object.fromEntries(statistics.map((s, i) => [`statistics ${i}`, s])) }
      })
      const evaluation = Model.evaluation({ batch })(model)
      if (Result.isFailure(training)) return network(training.failure.message)
      if (Result.isFailure(evaluation)) return network(evaluation.failure.message)
      const isRandom = training.success.inputs.some(({ attributes: { name } }) => !Object.hasOwn(model.inputs, name))
      const paths = norms.map(({ path }) => path)
      // Random dropping makes the two differ, and a norm that is applied in several places has one set of statistics for all.
      if (isRandom || new Set(paths).size < paths.length) return undefined
      const prng = Prng.fromSeed("agreement")
      const inputs = examples(prng, model.inputs, batch)
      const variables = anyValues(prng, training.success.variables)
      const trained = yield* engine(training.success, { inputs, variables })
      for (const [
        i,
        {
          inputs: [x],
          path
        }
      ] of norms.entries()) {
        const channels = Arr.getUnsafe(x.shape, 1)
        const { mean, variance } = RunningStatistics.of(path, channels)
        const moments = Float32Array.from(named(`statistics ${i}`)(trained))
        variables.set(mean.attributes.name, moments.slice(0, channels))
        variables.set(variance.attributes.name, moments.slice(channels))
      }
      const evaluated = yield* engine(evaluation.success, { inputs, variables })
      for (const [name, { shape }] of Object.entries(evaluation.success.outputs)) {
        const off = apart(named(name)(evaluated), named(name)(trained), 0, Shape.size(shape))
        if (!(off <= 1e-3))
          return { at: name, reason: `training differs from evaluation by ${(100 * off).toPrecision(2)}%` }
      }
      return undefined
    })
})

/** The laws that run the network, cheapest first. */
export const onEngine = <A>(of: Having<A>): ReadonlyArray<EngineLaw<A>> => [
  runs(),
  independent(),
  agreement(),
  alive(of)
]

/**
 * Checks a point against the laws that run its network. Fails with the first law that is broken.
 *
 * @example
 * ```ts
 * import { Runtime, type RuntimeError } from "@uninet/engine"
 * import { Op } from "@uninet/graph"
 * import { Loops } from "@uninet/loops"
 * import { Classification, Laws, ModelSpace } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Choice, Space } from "@uninet/search-space"
 * import { Effect, Result } from "effect"
 *
 * const engine: Laws.Engine<RuntimeError, Runtime> = (program, { inputs, variables }) =>
 *   Effect.scoped(
 *     Effect.gen(function* () {
 *       const { compile } = yield* Runtime
 *       const executable = yield* compile({ program })
 *       yield* executable.write(variables)
 *       return yield* executable.run("program", inputs)
 *     })
 *   )
 *
 * const mine = ModelSpace.make({
 *   name: "mine",
 *   space: Result.getOrThrow(Space.make(Choice.struct({ width: Choice.ordered([8, 16]) }))),
 *   task: Classification.make({ classes: 3 }),
 *   // A mistake that the graph alone does not show: nothing comes through where a ReLU follows −|x|.
 *   model: ({ width }) =>
 *     Model.make({
 *       inputs: { x: Model.input([4]) },
 *       forward: (scope, { x }) => {
 *         const hidden = Nn.linear(Scope.at("hidden")(scope), { out: width })(x)
 *         const dead = Nn.relu(scope)(Op.neg(Op.abs(hidden)))
 *         return { logits: Nn.linear(Scope.at("logits")(scope), { out: 3 })(dead) }
 *       }
 *     })
 * })
 * Laws.checkOn(engine)({ width: 8 })(mine).pipe(
 *   Effect.catchTag("LawViolation", ({ at, law }) => Effect.sync(() => console.log(law, at))), // alive hidden.weight
 *   Effect.provide(Loops.portable()),
 *   Effect.runPromise
 * )
 * ```
 */
export const checkOn =
  <E, R>(engine: Engine<E, R>) =>
  <const A>(point: A, which?: ReadonlyArray<EngineLaw<A>>) =>
  (of: Having<A>): Effect.Effect<void, LawViolation | E, R> =>
    Effect.gen(function* () {
      const broken = violation(of, point)
      const model = built(of, point)
      if (Result.isFailure(model)) return yield* broken("builds", model.failure)
      for (const law of which ?? onEngine(of)) {
        const fault = yield* law.check(engine, model.success, point)
        if (fault !== undefined) return yield* broken(law.name, fault)
      }
    })
