/**
 * A search space whose points are networks: the choices, the network of a point, the task it is trained for, its costs, and how it is trained. Everything that
 * searches, trains, checks, scales or exports works with this value alone.
 *
 * @example
 * ```ts
 * import { Classification, ModelSpace } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Choice, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const space = Result.getOrThrow(
 *   Space.make(Choice.struct({ width: Choice.ordered([8, 16, 32]), learningRate: Choice.ordered([1e-3, 1e-2]) }))
 * )
 * export const mine = ModelSpace.make({
 *   name: "one hidden layer",
 *   space,
 *   task: Classification.make({ classes: 3 }),
 *   model: ({ width }) =>
 *     Model.make({
 *       inputs: { x: Model.input([4]) },
 *       forward: (scope, { x }) => {
 *         const hidden = Nn.gelu(scope)(Nn.linear(Scope.at("hidden")(scope), { out: width })(x))
 *         return { logits: Nn.linear(Scope.at("logits")(scope), { out: 3 })(hidden) }
 *       }
 *     }),
 *   costs: { width: ({ width }) => width },
 *   recipe: ({ learningRate }) => ({ learningRate })
 * })
 * ```
 */
import { Costs, Op, Program, Shape, Tensor } from "@uninet/graph"
import { Model, Scope } from "@uninet/nn"
import { Constraint, Cost, Digest, Prng, Space, type SpaceError } from "@uninet/search-space"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import { shown } from "./internal/shown.ts"
import type { Law } from "./Law.ts"
import type { PyTorch } from "./PyTorch.ts"
import type { Recipe } from "./Recipe.ts"
import type { Scaling } from "./Scaling.ts"
import * as Task from "./Task.ts"

/**
 * What is counted on a point's graph, for one example, unless its author provides another value: multiply-accumulates, elements of trained parameters, and the peak
 * number of bytes of inputs and intermediate results in an evaluation.
 */
export type Counted = "macs" | "parameters" | "activationBytes"

/** A point whose network cannot be built. */
export class Unbuildable extends Schema.TaggedError<Unbuildable>()("Unbuildable", {
  space: Schema.String,
  /** The point on one line. */
  point: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `the network ${this.point} of ${this.space} cannot be built: ${this.reason}`
  }
}

/** A part of a network, as a table row for people to read. */
export interface Part {
  readonly name: string
  /** Its properties, by column. */
  readonly columns: Readonly<Record<string, string | number | null>>
  /** Elements of its trained parameters. */
  readonly parameters: number
  /** Multiply-accumulates for one example. */
  readonly macs: number
}

/** A search space whose points are networks. Made by `make`. */
export interface ModelSpace<in out A, Cost extends string = string, Measure extends string = string> {
  readonly name: string
  /** Distinguishes the space from what the same code meant before; part of the fingerprint. */
  readonly version: string
  readonly space: Space.Space<A>
  readonly task: Task.Task<Measure>
  /** The network of a point. */
  readonly model: (point: A) => Result.Result<Model.Model, Unbuildable>
  /** Whether the space has networks, rather than just a table of results. */
  readonly isTrainable: boolean
  /** What a point costs, by name; less is better. Anything that cannot be built has infinite cost. */
  readonly costs: { readonly [C in Cost]: (point: A) => number }
  /** The costs that add up along the parts of the space, and the chain along which they do. */
  readonly chain: { readonly costs: ReadonlyArray<Cost>; readonly of: Cost.Chain<A, string> } | null
  /**
   * Any other cost that is a sum over the ops of a network, along the same parts: `price` is called for every part's program, with the given number of examples as its batch. Anything that cannot
   * be built has infinite cost. `null` if the space has no parts.
   */
  readonly byParts: ByParts<A> | null
  /** What a point changes in its training recipe. */
  readonly recipe: (point: A) => Partial<Recipe>
  /** A point on one line, and as a picture of several lines. */
  readonly line: (point: A) => string
  readonly picture: (point: A) => string
  /** The parts of its network, in order. */
  readonly parts: (point: A) => Result.Result<ReadonlyArray<Part>, Unbuildable>
  /** The space's own laws, in addition to those that hold for every model. */
  readonly laws: ReadonlyArray<Law<A>>
  /** Whether a parameter's gradient may be zero for any input by design; for any other parameter that is a mistake. */
  readonly isIdle: (parameter: string, point: A) => boolean
  /** How a point is made deeper, wider or larger; `null` if undeclared. */
  readonly scaling: Scaling<A> | null
  /** A point as a readable PyTorch module; `null` if it is generated from the graph, op by op. */
  readonly pytorch: PyTorch<A> | null
}

/** Makes a cost from a price of parts; see `ModelSpace.byParts`. */
export type ByParts<in A> = (price: (part: Program.Program) => number, batch: number) => Cost.Cost<A, "price">

/** The declaration of a custom space. Optional fields have defaults. */
export interface Declaration<A, Cost extends string, Measure extends string, Chained extends string> {
  readonly name: string
  /** Default: empty. */
  readonly version?: string
  readonly space: Space.Space<A>
  readonly task: Task.Task<Measure>
  /** The network of a point, or a failure that says why there is none. */
  readonly model: (point: A) => Model.Model | Result.Result<Model.Model, { readonly message: string }>
  /** Costs, one by one, in addition to the counted ones or replacing them. */
  readonly costs?: { readonly [C in Cost]: (point: A) => number }
  /** Several costs at once, with the chain along which they add up. */
  readonly chain?: { readonly costs: ReadonlyArray<Chained>; readonly cost: Cost.Cost<A, Chained> }
  /** How prices of programs add up along the same chain. Default: they do not. */
  readonly byParts?: ByParts<A>
  /** Default: nothing. */
  readonly recipe?: (point: A) => Partial<Recipe>
  /** Default: the point's choices. */
  readonly line?: (point: A) => string
  readonly picture?: (point: A) => string
  /** Default: by the first part of its layers' paths. */
  readonly parts?: (point: A) => Result.Result<ReadonlyArray<Part>, { readonly message: string }>
  readonly laws?: ReadonlyArray<Law<A>>
  /** Default: false for all parameters. */
  readonly isIdle?: (parameter: string, point: A) => boolean
  readonly scaling?: Scaling<A>
  readonly pytorch?: PyTorch<A>
}

/** A space of points of some unknown type. Its points can only come from it and go back to it. */
export type Any = ModelSpace<unknown, string, string>

/** A space with points of this type: what a function of a point needs from it, so that the point can be given as a literal. */
export type Having<A, Cost extends string = string> = Pick<
  ModelSpace<A, Cost>,
  "costs" | "isIdle" | "laws" | "line" | "model" | "name" | "picture" | "recipe"
> &
  Pick<Any, "space" | "task">

/** Any space, without the types of its points, costs and measures: what a list or a config takes. `isModelSpace` narrows it to `Any`. */
export interface Some {
  readonly name: string
  readonly version: string
  readonly space: Space.Space<unknown>
  readonly task: Task.Task
  readonly isTrainable: boolean
}

/** A space without the type of its points, for code that keeps several of different types. */
export const erased = <A, C extends string, M extends string>(of: ModelSpace<A, C, M>): Any =>
  // With a space of this type, points can only come from the space itself, so they have the right type.
  of as unknown as Any

/** Whether a value from outside the type checker is a model space, judging by its shape. */
export const isModelSpace = (u: unknown): u is Any =>
  Predicate.hasProperty(u, "space") &&
  Predicate.hasProperty(u, "task") &&
  Predicate.hasProperty(u, "costs") &&
  Predicate.hasProperty(u, "model") &&
  typeof u.model === "function"

/** How many points' counted costs are cached: a search asks for those of one point several times. */
const remembered = 10_000

/** Runs user code, which may throw; gives the error's message on one line. */
const guarded = <B>(run: () => B): Result.Result<B, string> =>
  Result.try({
    try: run,
    catch: (cause) => (cause instanceof Error ? cause.message : String(cause)).split(/\s*\n\s*/).join(" ")
  })

/** The program that a model's `forward` or a task's loss builds. What they throw is a failure like any other. */
const built = (
  build: () => Result.Result<Program.Program, { readonly message: string }>
): Result.Result<Program.Program, { readonly message: string }> =>
  Result.flatMap(
    Result.mapError(guarded(build), (message) => ({ message })),
    (made) => made
  )

/** The counted costs of a point's graph. Anything that cannot be built has infinite cost, so no bound admits it. */
const counting = <A>(
  space: Space.Space<A>,
  model: (point: A) => Result.Result<Model.Model, unknown>
): ((point: A) => { readonly [C in Counted]: number }) => {
  const known = new Map<string, { readonly [C in Counted]: number }>()
  return (point) => {
    const hash = Space.hash(point)(space)
    const found = known.get(hash)
    if (found !== undefined) return found
    const program = Result.flatMap(model(point), (made): Result.Result<Program.Program, unknown> =>
      built(() => Model.evaluation()(made))
    )
    const costs = Result.match(program, {
      onSuccess: (program): { readonly [C in Counted]: number } => {
        const { activationBytes, macs, parameters } = Costs.ofProgram(program)
        return { macs, parameters, activationBytes }
      },
      onFailure: () => ({ macs: Infinity, parameters: Infinity, activationBytes: Infinity })
    })
    if (known.size >= remembered) known.clear()
    known.set(hash, costs)
    return costs
  }
}

const counted: ReadonlyArray<Counted> = ["macs", "parameters", "activationBytes"]

/** A program's ops by the first part of their paths: the parameters, computation and output of each part. */
const byPath = (program: Program.Program): ReadonlyArray<Part> => {
  const parts = new Map<string, { parameters: number; macs: number; output: Shape.Shape }>()
  const of = (path: string, shape: Shape.Shape) => {
    const name = path.split(".")[0] ?? path
    const known = parts.get(name) ?? { parameters: 0, macs: 0, output: shape }
    parts.set(name, known)
    return known
  }
  for (const node of program.nodes) {
    if (node.path === "" || Tensor.is("constant")(node) || Tensor.is("input")(node)) continue
    const part = of(node.path, node.shape)
    if (Tensor.is("variable")(node)) continue
    part.macs += Costs.ofNode(node).macs
    part.output = node.shape
  }
  for (const { attributes, shape } of program.variables)
    if (attributes.role === "parameter") of(attributes.name, shape).parameters += Shape.size(shape)
  return [...parts].map(([name, { macs, output, parameters }]) => ({
    name,
    // One number per example has no shape.
    columns: { output: output.slice(1).join("×") || "1" },
    parameters,
    macs
  }))
}

/** Makes a custom space. The type of its points and the names of its costs and measures are inferred. */
export const make = <
  A,
  const Measure extends string,
  const Cost extends string = never,
  const Chained extends string = never
>(
  declared: Declaration<A, Cost, Measure, Chained>
): ModelSpace<A, Counted | Cost | Chained, Measure> => {
  const { name, space, task } = declared
  // A point that was scaled beyond the space has no choices.
  const choices = (point: A) =>
    Result.getOrElse(Space.printValue(point)(space), () =>
      Result.getOrElse(
        guarded(() => JSON.stringify(Space.writeJson(point)(space))),
        () => String(point)
      )
    )
  const plainly = (point: A) => choices(point).split("\n").join(", ")
  // A line is for people: if its author's function fails, the choices will do.
  const line = (point: A) =>
    declared.line === undefined
      ? plainly(point)
      : Result.getOrElse(
          guarded(() => declared.line?.(point) ?? plainly(point)),
          () => plainly(point)
        )
  const unbuildable = (point: A, reason: string) => new Unbuildable({ space: name, point: line(point), reason })
  const model = (point: A): Result.Result<Model.Model, Unbuildable> =>
    Result.gen(function* () {
      const said = yield* Result.mapError(
        guarded(() => declared.model(point)),
        (reason) => unbuildable(point, reason)
      )
      const made: unknown = Result.isResult(said)
        ? yield* Result.mapError(said, ({ message }) => unbuildable(point, message))
        : said
      // JavaScript, or a cast, may give anything.
      return Model.isModel(made)
        ? made
        : yield* Result.fail(unbuildable(point, `its model is ${String(made)}, not what Model.make returns`))
    })
  const count = counting(space, model)
  const costs: Record<string, (point: A) => number> = {}
  for (const cost of counted) costs[cost] = (point) => count(point)[cost]
  const chained = Cost.lastKnown((point: A) => declared.chain?.cost.of(point))
  for (const cost of declared.chain?.costs ?? []) costs[cost] = (point) => chained(point)?.[cost] ?? NaN
  Object.assign(costs, declared.costs)
  const chain = declared.chain?.cost.chain
  return legible({
    name,
    version: declared.version ?? "",
    space,
    task,
    model,
    isTrainable: true,
    costs: costs as { readonly [C in Counted | Cost | Chained]: (point: A) => number }, // all three kinds have been added
    chain: declared.chain === undefined || chain === undefined ? null : { costs: declared.chain.costs, of: chain },
    byParts: declared.byParts ?? null,
    recipe: declared.recipe ?? (() => ({})),
    line,
    picture: declared.picture ?? choices,
    parts: (point) =>
      Result.mapError(
        declared.parts?.(point) ??
          Result.flatMap(model(point), (made): Result.Result<ReadonlyArray<Part>, { readonly message: string }> =>
            Result.map(
              built(() => Model.evaluation()(made)),
              byPath
            )
          ),
        (error) => (error instanceof Unbuildable ? error : unbuildable(point, error.message))
      ),
    laws: declared.laws ?? [],
    isIdle: declared.isIdle ?? (() => false),
    scaling: declared.scaling ?? null,
    pytorch: declared.pytorch ?? null
  })
}

/** Makes `console.log` show a space on one line. */
const legible = <A, C extends string, M extends string>(made: ModelSpace<A, C, M>): ModelSpace<A, C, M> =>
  shown(made, ({ name, space, task }) => `ModelSpace(${name}: ${task.name}, ${String(space)})`)

/**
 * A space of which only results are known, as in a table: it can be searched, but nothing in it can be trained. Its only costs are the given ones.
 *
 * @example
 * ```ts
 * import { Classification, ModelSpace } from "@uninet/model-space"
 * import { Choice, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * // Somebody trained all four, and only their accuracies are left.
 * const space = Result.getOrThrow(Space.make(Choice.struct({ depth: Choice.ordered([2, 4]), width: Choice.ordered([8, 16]) })))
 * const played = ModelSpace.table({
 *   name: "four networks",
 *   space,
 *   task: Classification.make({ classes: 10 }),
 *   costs: { blocks: ({ depth, width }) => depth * width }
 * })
 * console.log(ModelSpace.costNames(played), played.isTrainable) // [ 'blocks' ] false
 * const built = played.model({ depth: 2, width: 8 })
 * if (Result.isFailure(built)) console.log(built.failure.message)
 * ```
 */
export const table = <A, const Measure extends string, const Cost extends string = never>(
  declared: Pick<Declaration<A, Cost, Measure, never>, "name" | "space" | "task" | "line" | "picture" | "version"> & {
    readonly costs?: { readonly [C in Cost]: (point: A) => number }
  }
): ModelSpace<A, Cost, Measure> => {
  const reason = "its results come from a table, so it has no networks to build"
  const made = make({
    ...declared,
    model: () => Result.fail({ message: reason })
  })
  const costs: { readonly [C in Cost]: (point: A) => number } = Object.assign({}, declared.costs)
  return legible({ ...made, isTrainable: false, costs, chain: null })
}

/**
 * The same networks for another task. Whether it can take their outputs is only checked when one is trained.
 *
 * @example
 * ```ts
 * import { Classification, ModelSpace, Regression } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Choice, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const ages = ModelSpace.make({
 *   name: "ages",
 *   space: Result.getOrThrow(Space.make(Choice.struct({ width: Choice.ordered([8, 16]) }))),
 *   task: Classification.make({ classes: 1, output: "y" }),
 *   model: ({ width }) =>
 *     Model.make({
 *       inputs: { x: Model.input([4]) },
 *       forward: (scope, { x }) => {
 *         const hidden = Nn.gelu(scope)(Nn.linear(Scope.at("hidden")(scope), { out: width })(x))
 *         return { y: Nn.linear(Scope.at("y")(scope), { out: 1 })(hidden) }
 *       }
 *     })
 * })
 * const inYears = ModelSpace.withTask(Regression.make())(ages)
 * console.log(inYears.task.decides, ModelSpace.fingerprint(inYears) === ModelSpace.fingerprint(ages)) // … false
 * ```
 */
export const withTask =
  <Measure extends string>(task: Task.Task<Measure>) =>
  <A, C extends string>(of: ModelSpace<A, C>): ModelSpace<A, C, Measure> =>
    legible({ ...of, task })

/**
 * The space with additional costs, or other ones under the same names.
 *
 * @example
 * ```ts
 * import { Classification, ModelSpace } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Choice, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const mine = ModelSpace.make({
 *   name: "mine",
 *   space: Result.getOrThrow(Space.make(Choice.struct({ depth: Choice.ordered([1, 2, 3]) }))),
 *   task: Classification.make({ classes: 3 }),
 *   model: ({ depth }) =>
 *     Model.make({
 *       inputs: { x: Model.input([4]) },
 *       forward: (scope, { x }) => {
 *         let y = x
 *         for (let i = 0; i < depth; i++) y = Nn.gelu(scope)(Nn.linear(Scope.at(`hidden.${i}`)(scope), { out: 16 })(y))
 *         return { logits: Nn.linear(Scope.at("logits")(scope), { out: 3 })(y) }
 *       }
 *     })
 * })
 * const counted = ModelSpace.withCosts({ layers: ({ depth }: { readonly depth: 1 | 2 | 3 }) => depth + 1 })(mine)
 * console.log(Result.getOrThrow(ModelSpace.costsOf({ depth: 3 })(counted)).layers) // 4
 * // Bounds on it are constraints of a search like any other.
 * console.log(ModelSpace.within({ layers: { max: 3 }, macs: { max: 1e6 } })(counted).length) // 2
 * console.log(ModelSpace.unpriced(counted).layers) // Infinity: what a search takes where a cost could not be told
 * ```
 */
export const withCosts =
  <A, const Added extends string>(costs: { readonly [C in Added]: (point: A) => number }) =>
  <C extends string, M extends string>(of: ModelSpace<A, C, M>): ModelSpace<A, C | Added, M> => {
    const chain =
      of.chain === null ? null : { ...of.chain, costs: of.chain.costs.filter((name) => !Object.hasOwn(costs, name)) }
    return legible({
      ...of,
      costs: { ...of.costs, ...costs } as { readonly [K in C | Added]: (point: A) => number }, // both kinds have been added
      chain
    })
  }

/** Why a point's network cannot be trained. */
export type Untrainable = Unbuildable | Task.OutputsMismatch | Task.MeasuresMissing

/**
 * The network of a point, built once for one example to check that it can be built, that the task takes its outputs, and that the task measures what it declares.
 *
 * @example
 * ```ts
 * import { Classification, ModelSpace } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Choice, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const mine = ModelSpace.make({
 *   name: "mine",
 *   space: Result.getOrThrow(Space.make(Choice.struct({ width: Choice.ordered([8, 16]) }))),
 *   task: Classification.make({ classes: 3 }),
 *   // Its author forgot that three classes want three logits.
 *   model: ({ width }) =>
 *     Model.make({
 *       inputs: { x: Model.input([4]) },
 *       forward: (scope, { x }) => ({ logits: Nn.linear(Scope.at("logits")(scope), { out: width })(x) })
 *     })
 * })
 * const checked = ModelSpace.checked({ width: 8 })(mine)
 * if (Result.isFailure(checked)) console.log(checked.failure.message)
 * // the task classification takes the outputs logits [3], but the model gives logits [8]; …
 * ```
 */
export const checked =
  <const A>(point: A) =>
  (of: Having<A>): Result.Result<Model.Model, Untrainable> =>
    Result.gen(function* () {
      const model = yield* of.model(point)
      const outputs = yield* Result.flatMap(
        guarded(() => Model.outputs(model)),
        (made) => Result.mapError(made, ({ message }) => message)
      ).pipe(Result.mapError((reason) => new Unbuildable({ space: of.name, point: of.line(point), reason })))
      yield* Task.takes(outputs)(of.task)
      yield* Task.tallies(of.task)
      return model
    })

/** The author's function for a point's recipe failed. */
export class RecipeFailed extends Schema.TaggedError<RecipeFailed>()("RecipeFailed", {
  space: Schema.String,
  point: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `the recipe of ${this.point} in ${this.space} failed: ${this.reason}; make its function return its changes to the recipe for every point`
  }
}

/** What a point changes in its training recipe. */
export const recipeOf =
  <const A>(point: A) =>
  (of: Having<A>): Result.Result<Partial<Recipe>, RecipeFailed> =>
    Result.mapError(
      guarded(() => of.recipe(point)),
      (reason) => new RecipeFailed({ space: of.name, point: of.line(point), reason })
    )

/** The author's function for a cost gave no number. */
export class CostFailed extends Schema.TaggedError<CostFailed>()("CostFailed", {
  space: Schema.String,
  cost: Schema.String,
  point: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `the cost ${this.cost} of ${this.point} in ${this.space} ${this.reason}; make its function return a number for every point`
  }
}

/** The names of a space's costs. */
export const costNames = <A, C extends string>(of: Pick<ModelSpace<A, C>, "costs">): ReadonlyArray<C> =>
  Struct.keys(of.costs)

/** The costs of a point, all of them numbers; Infinity for anything that cannot be built. */
export const costsOf =
  <const A>(point: A) =>
  <C extends string>(of: Having<A, C>): Result.Result<{ readonly [K in C]: number }, CostFailed> => {
    const out: Record<string, number> = {}
    for (const cost of costNames(of)) {
      const failed = (reason: string) => new CostFailed({ space: of.name, cost, point: of.line(point), reason })
      const found = guarded(() => of.costs[cost](point))
      if (Result.isFailure(found)) return Result.fail(failed(`failed: ${found.failure}`))
      if (typeof found.success !== "number" || Number.isNaN(found.success))
        return Result.fail(failed(`is ${String(found.success)}, which is not a number`))
      out[cost] = found.success
    }
    return Result.succeed(out as { readonly [K in C]: number }) // there is a value for every name
  }

/** The costs of a point for which an author's function gives none: infinite, like those of anything that cannot be built. */
export const unpriced = <A, C extends string>(of: ModelSpace<A, C>): { readonly [K in C]: number } =>
  // There is a value for every name.
  Object.fromEntries(costNames(of).map((name) => [name, Infinity])) as { readonly [K in C]: number }

/**
 * Bounds on costs, by name, as constraints on the space: solved along the chain if the cost has one.
 *
 * @example
 * ```ts
 * import { Classification, ModelSpace } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Choice, Constrained, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const mine = ModelSpace.make({
 *   name: "mine",
 *   space: Result.getOrThrow(Space.make(Choice.struct({ width: Choice.ordered([8, 16, 512]) }))),
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
 * const made = Constrained.make(mine.space, ModelSpace.within({ parameters: { max: 200 } })(mine))
 * const small = Result.getOrThrow(made)
 * console.log(([8, 16, 512] as const).filter((width) => Constrained.isFeasible({ width })(small))) // [ 8, 16 ]
 * ```
 */
export const within =
  <const Bound extends string>(windows: { readonly [K in Bound]?: Constraint.Window }) =>
  <A, C extends string, M extends string>(of: ModelSpace<A, C | Bound, M>): ReadonlyArray<Constraint.Constraint<A>> =>
    Object.entries<Constraint.Window | undefined>(windows).flatMap(([name, window]) => {
      if (window === undefined) return []
      const { chain, costs } = of
      const cost = costs[name as Bound] // the windows' keys are costs
      // A missing cost is above every upper bound, like that of anything that cannot be built.
      const known = (point: A) => {
        const found = Result.getOrElse(
          guarded(() => cost(point)),
          () => Number.NaN
        )
        return Number.isNaN(found) ? Infinity : found
      }
      const bound = Constraint.bound<A>(name, known, window)
      return [
        chain !== null && chain.costs.some((cost) => cost === name)
          ? { ...bound, chain: { of: chain.of, key: name } }
          : bound
      ]
    })

/** A network to be trained: what it is, what it is for, and what identifies it. */
export interface Trainable {
  readonly model: Model.Model
  readonly task: Task.Task
  /** A description on one line, for people. */
  readonly line: string
  /** What it is, as plain JSON; stored with its checkpoints and weights. */
  readonly about: Schema.Json
}

/**
 * Reads a point from JSON. If the space declares how its networks grow, this also reads scaled-up points, which need not be in the space.
 */
export const read =
  (json: unknown) =>
  <A, C extends string, M extends string>(of: ModelSpace<A, C, M>): Result.Result<A, SpaceError.NotInSpace> => {
    const found = Space.decodeJson(json)(of.space)
    return Result.isFailure(found) && of.scaling !== null ? Space.readJson(json)(of.space) : found
  }

/**
 * A point as JSON, for `read`.
 *
 * @example
 * ```ts
 * import { Classification, ModelSpace } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Choice, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const mine = ModelSpace.make({
 *   name: "mine",
 *   space: Result.getOrThrow(
 *     Space.make(Choice.struct({ width: Choice.ordered([8, 16]), learningRate: Choice.ordered([1e-3, 1e-2]) }))
 *   ),
 *   task: Classification.make({ classes: 3 }),
 *   model: ({ width }) =>
 *     Model.make({
 *       inputs: { x: Model.input([4]) },
 *       forward: (scope, { x }) => {
 *         const hidden = Nn.gelu(scope)(Nn.linear(Scope.at("hidden")(scope), { out: width })(x))
 *         return { logits: Nn.linear(Scope.at("logits")(scope), { out: 3 })(hidden) }
 *       }
 *     }),
 *   recipe: ({ learningRate }) => ({ learningRate })
 * })
 *
 * // A point as a journal, a card or another machine gets it, and read back there.
 * const json = JSON.stringify(ModelSpace.write({ width: 16, learningRate: 1e-2 })(mine))
 * const point = Result.getOrThrow(ModelSpace.read(JSON.parse(json))(mine))
 * console.log(point.width, Result.getOrThrow(ModelSpace.recipeOf(point)(mine))) // 16 { learningRate: 0.01 }
 *
 * // Two points that differ only in how they are trained have the same network.
 * const [slow, fast] = ([1e-3, 1e-2] as const).map((learningRate) =>
 *   Result.getOrThrow(ModelSpace.networkDigest({ width: 16, learningRate })(mine))
 * )
 * console.log(slow === fast) // true
 * console.log(ModelSpace.isModelSpace(mine), ModelSpace.isModelSpace(point)) // true false
 * ```
 */
export const write =
  <const A>(point: A) =>
  (of: Having<A>): Schema.Json =>
    plain(Space.writeJson<unknown>(point)(of.space))

/** Identifies the network of a point by 16 hexadecimal digits of its graph: the same however its module is written. */
export const networkDigest =
  <const A>(point: A) =>
  (of: Having<A>): Result.Result<string, Unbuildable> =>
    Result.flatMap(of.model(point), (model) =>
      Result.mapBoth(
        built(() => Model.evaluation()(model)),
        {
          onSuccess: Program.digest,
          onFailure: ({ message }) => new Unbuildable({ space: of.name, point: of.line(point), reason: message })
        }
      )
    )

/** The network of a point, to be trained. `about` is what is stored with it; the default is the point's JSON. */
export const trainable =
  <const A>(point: A, about?: Schema.Json) =>
  (of: Having<A>): Result.Result<Trainable, Untrainable> =>
    Result.map(checked(point)(of), (model) => ({
      model,
      task: of.task,
      line: of.line(point),
      about: about ?? write(point)(of)
    }))

const plain = (json: unknown): Schema.Json => JSON.parse(JSON.stringify(json ?? null))

/** How many points' networks a fingerprint covers, and how many points are drawn to find them. */
const fingerprinted = 16
const drawn = 256

/** The seed point, and points that together show every option of every choice, or as many as there is room for; always the same ones. */
const telling = <A>(space: Space.Space<A>): ReadonlyArray<A> => {
  const prng = Prng.fromSeed("fingerprint")
  const seen = new Set<string>()
  const points: Array<A> = []
  const look = (point: A) => {
    const options = Result.getOrElse(Space.vector(point)(space), () => []).map((token, site) => `${site} ${token}`)
    if (points.length > 0 && options.every((option) => seen.has(option))) return
    for (const option of options) seen.add(option)
    points.push(point)
  }
  look(Space.seedPoint(space))
  for (let i = 0; i < drawn && points.length < fingerprinted; i++) look(Space.sample(prng)(space))
  return points
}

/**
 * Identifies the space, including everything that decides what network a point means and what it is trained for: the choices, the name and version, the task and,
 * for points that together show every option (as far as a few can), what they are mapped to, their graphs, their costs and what they change in the recipe. No journal, checkpoint or strategy continues with a space whose
 * fingerprint differs.
 */
export const fingerprint = <A, C extends string, M extends string>(of: ModelSpace<A, C, M>): string => {
  const points = telling(of.space)
  const { also, classes, decides, measures, name, outputs, targets } = of.task
  const graphOf = (point: A): string =>
    Result.match(
      Result.flatMap(checked(point)(of), (model): Result.Result<Program.Program, { readonly message: string }> =>
        built(() => {
          const given = Model.apply(Scope.make("training"), { batch: 2 })(model)
          const loss = of.task.loss(given, Op.input("targets", [2, ...targets.shape], targets.dtype), {
            labelSmoothing: 0
          })
          return Program.make({ outputs: { ...given, loss } })
        })
      ),
      { onSuccess: Program.digest, onFailure: ({ message }) => message }
    )
  return Digest.of({
    space: Space.fingerprint(of.space),
    name: of.name,
    version: of.version,
    task: { name, classes, decides, measures, outputs, targets, ...(also === undefined ? {} : { also }) },
    points: points.map((point) => write(point)(of)),
    graphs: points.map(graphOf),
    costs: points.map((point) => Result.getOrElse(costsOf(point)(of), ({ message }) => message)),
    recipes: points.map((point) => Result.getOrElse(recipeOf(point)(of), ({ message }) => message))
  })
}
