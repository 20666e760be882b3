/** The proxies by name, and the scores of a network under some of them: in one program, or two if some look at no examples, compiled and run once. */
import { Costs, Program, Shape, type Tensor } from "@uninet/graph"
import type { ModelSpace } from "@uninet/model-space"
import { Regularisation } from "@uninet/nn"
import { type Data, Runtime, type RuntimeError } from "@uninet/engine"
import { Prng } from "@uninet/search-space"
import { Initialise } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { NotApplicable, ScoreUndefined, Unscorable } from "./PredictorError.ts"
import { complexity } from "./proxies/complexity.ts"
import { expressivity } from "./proxies/expressivity.ts"
import { gradientNorm } from "./proxies/gradientNorm.ts"
import { grasp } from "./proxies/grasp.ts"
import { jacov } from "./proxies/jacov.ts"
import { macs } from "./proxies/macs.ts"
import { naswot } from "./proxies/naswot.ts"
import { parameters } from "./proxies/parameters.ts"
import { progressivity } from "./proxies/progressivity.ts"
import { snip } from "./proxies/snip.ts"
import { synflow } from "./proxies/synflow.ts"
import { trainability } from "./proxies/trainability.ts"
import { vkdnw } from "./proxies/vkdnw.ts"
import { zico } from "./proxies/zico.ts"
import type { Laid, Proxy } from "./Proxy.ts"
import * as Subject from "./Subject.ts"

/** Every proxy in this package, by its name on the command line. */
export const all = {
  parameters,
  macs,
  "grad-norm": gradientNorm,
  snip,
  grasp,
  synflow,
  jacov,
  naswot,
  zico,
  expressivity,
  progressivity,
  trainability,
  complexity,
  vkdnw
} as const satisfies Record<string, Proxy>

/** The name of a built-in proxy. */
export type Name = keyof typeof all

/** Whether a text names a built-in proxy. */
export const isName = (name: string): name is Name => Object.hasOwn(all, name)

/** The four proxies of AZ-NAS, which `LogRanks.combine` combines into one ranking. */
export const azNas: ReadonlyArray<Proxy> = [expressivity, progressivity, trainability, complexity]

/** A batch of examples: the model's inputs by name, `[batch, …]` each, and the targets. */
export interface Examples {
  readonly inputs: Readonly<Record<string, Data>>
  readonly targets: Data
}

/** How the networks' initial weights and inputs are drawn. */
export interface Options {
  /** Seed of the network's initial weights, the noise and the signs. */
  readonly seed: string | number
  /** An even number of examples, 4 or more. Default 32. */
  readonly batch?: number
  /** As many as the batch. Default: normal noise for float inputs, and targets drawn in the same way. */
  readonly examples?: Examples
}

/** What a proxy says about a network. */
export interface Scored {
  readonly proxy: string
  /** `null` if it says nothing; `problem` says why. */
  readonly score: number | null
  readonly problem: NotApplicable | ScoreUndefined | null
  /** Multiply-accumulates of its program by itself; when run together, proxies share what they have in common. */
  readonly macs: number
}

interface Ready {
  readonly proxy: Proxy
  readonly laid: Laid
  /** Its outputs and inputs under names that are unique among all proxies. */
  readonly outputs: Readonly<Record<string, Tensor.Tensor>>
  readonly macs: number
  /** Whether it looks at any examples; proxies that do share their forward pass. */
  readonly isOnExamples: boolean
}

const prefixed = (proxy: string, name: string) => `${proxy}/${name}`

/** A proxy of the network as a program that can be compiled, or why there is none. */
const ready = (proxy: Proxy, subject: Subject.Subject): Result.Result<Ready, NotApplicable> =>
  Result.gen(function* () {
    const says = (reason: string) => new NotApplicable({ proxy: proxy.name, reason })
    // A custom proxy or model may throw.
    const laid = yield* yield* Result.try({
      try: () => proxy.lay(subject),
      catch: (cause) => says(cause instanceof Error ? cause.message : String(cause))
    })
    const outputs = Object.fromEntries(
      Object.entries(laid.outputs).map(([name, tensor]) => [prefixed(proxy.name, name), tensor])
    )
    const program = yield* Result.mapError(Program.make({ outputs }), ({ message }) => says(message))
    if (program.inputs.some(Regularisation.isNoise))
      return yield* Result.fail(says("it has random operations with a fixed rate"))
    return { proxy, laid, outputs, macs: Costs.ofProgram(program).macs, isOnExamples: program.inputs.length > 0 }
  })

/** The value of a program's input. */
const valueOf = (
  { attributes: { name }, dtype, shape }: Tensor.Tensor<"input">,
  { task }: Pick<ModelSpace.Trainable, "task">,
  prng: Prng.Prng,
  examples: Examples | undefined
): Result.Result<Data, Unscorable> => {
  const size = Shape.size(shape)
  const own = prng.split(name)
  if (name.startsWith("signs/"))
    return Result.succeed(Float32Array.from({ length: size }, () => (own.nextUint32() & 1 ? 1 : -1)))
  const given = examples === undefined ? undefined : name === Subject.targets ? examples.targets : examples.inputs[name]
  if (given !== undefined)
    return given.length === size
      ? Result.succeed(given)
      : Result.fail(
          new Unscorable({
            reason: `${given.length} values were given for ${name}, which takes ${Shape.print(shape)}; give a whole batch`
          })
        )
  if (dtype === "float32") return Result.succeed(Float32Array.from({ length: size }, () => own.nextNormal()))
  return name === Subject.targets && task.classes !== null
    ? Result.succeed(Int32Array.from({ length: size }, () => own.nextInt(task.classes ?? 1)))
    : Result.fail(
        new Unscorable({ reason: `${name} takes integers, which cannot be drawn at random; give a batch of examples` })
      )
}

/**
 * The scores of a network with its initial weights under each of the given proxies, in their order.
 *
 * If a proxy cannot score this network, its score is `null`, with the reason. Fails with `Unscorable` if no proxy can, and with the engine's error.
 *
 * @example
 * ```ts
 * import { Loops } from "@uninet/loops"
 * import { ModelSpace } from "@uninet/model-space"
 * import { Proxies } from "@uninet/predictor"
 * import { Space } from "@uninet/search-space"
 * import { UniNetSpace } from "@uninet/uninet"
 * import { Effect, Result } from "effect"
 *
 * const digits = Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10 }))
 * const network = Result.getOrThrow(ModelSpace.trainable(Space.seedPoint(digits.space))(digits))
 * const scores = Proxies.score([Proxies.all.naswot, Proxies.all.snip], { seed: "demo", batch: 16 })(network)
 *
 * Effect.runPromise(Effect.provide(scores, Loops.fast())).then(console.table)
 * ```
 */
export const score =
  (proxies: ReadonlyArray<Proxy>, { batch = 32, examples, seed }: Options) =>
  (
    network: Pick<ModelSpace.Trainable, "model" | "task">
  ): Effect.Effect<ReadonlyArray<Scored>, Unscorable | RuntimeError, Runtime> =>
    Effect.scoped(
      Effect.gen(function* () {
        const subject = yield* Effect.fromResult(Subject.make(network, { batch }))
        const each = proxies.map((proxy) => [proxy, ready(proxy, subject)] as const)
        const values: Record<string, Data> = {}
        // Proxies without examples share nothing with the others, and compile faster by themselves.
        for (const part of [true, false]) {
          const own = each.flatMap(([, made]) =>
            Result.isSuccess(made) && made.success.isOnExamples === part ? [made.success.outputs] : []
          )
          const outputs: Record<string, Tensor.Tensor> = Object.assign({}, ...own)
          if (Object.keys(outputs).length === 0) continue
          const program = yield* Effect.mapError(
            Effect.fromResult(Program.make({ outputs })),
            ({ message }) => new Unscorable({ reason: message })
          )
          const prng = Prng.fromSeed(seed)
          const inputs: Record<string, Data> = {}
          for (const input of program.inputs)
            inputs[input.attributes.name] = yield* Effect.fromResult(
              valueOf(input, network, prng.split("inputs"), examples)
            )
          const executable = yield* (yield* Runtime).compile({ proxies: program }, { once: true })
          yield* Initialise.write(executable, program.variables, prng.split("parameters"))
          Object.assign(values, yield* executable.run("proxies", inputs))
        }
        return each.map(([{ name }, made]): Scored => {
          if (Result.isFailure(made)) return { proxy: name, score: null, problem: made.failure, macs: 0 }
          const { laid, macs } = made.success
          const own = Object.fromEntries(
            Object.keys(laid.outputs).map((output) => [output, values[prefixed(name, output)]])
          )
          const found = laid.score(own)
          return Number.isFinite(found)
            ? { proxy: name, score: found, problem: null, macs }
            : { proxy: name, score: null, problem: new ScoreUndefined({ proxy: name, value: String(found) }), macs }
        })
      })
    )
