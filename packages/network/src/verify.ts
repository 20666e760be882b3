/**
 * Laws that every architecture of a sound search space keeps with sound operators and downsampling modules. Run them on your own
 * with fast-check:
 *
 * @example
 * import { fromSpace } from "@uninet/search-space/arbitrary"
 * import * as Verify from "@uninet/network/verify"
 *
 * it("my space keeps the laws", () => {
 *   fc.assert(fc.property(fromSpace(space), (architecture) => Result.getOrThrow(Verify.check(architecture, sets))))
 * })
 */
import { Costs, gradient, type GraphError, Op, Program, Shape, Tensor } from "@uninet/graph"
import { Loss, Scope } from "@uninet/nn"
import { Architecture } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { ArchitectureError } from "./ArchitectureError.ts"
import * as Network from "./Network.ts"
import * as NetworkCosts from "./NetworkCosts.ts"

/** The names of the laws. */
export const Name = Schema.Literals(["builds", "shape", "parameters", "macs", "gradients", "monotony", "json", "runs"])
export type Name = typeof Name.Type

/** An architecture breaks a law. */
export class LawViolation extends Schema.TaggedError<LawViolation>()("LawViolation", {
  law: Name,
  /** Where: a block's path and name, or `network`. */
  at: Schema.String,
  reason: Schema.String,
  architecture: Architecture.Architecture
}) {
  override get message() {
    return `law "${this.law}" broken at ${this.at}: ${this.reason}\n  in ${Architecture.line(this.architecture)}\n  on a ${this.architecture.image.height}×${this.architecture.image.width} image; mend the operator or module named, or keep the architecture out of the space`
  }
}

/** A law: what it says, and the check of one architecture. */
export interface Law {
  readonly name: Name
  readonly statement: string
  readonly check: (network: Network.Network) => Result.Result<void, LawViolation>
}

const held: Result.Result<void, never> = Result.succeed(undefined)

const broken =
  (law: Name, architecture: Architecture.Architecture) =>
  (at: string, reason: string): Result.Result<never, LawViolation> =>
    Result.fail(new LawViolation({ law, at, reason, architecture }))

/** A graph that cannot be made breaks the law that needs it. */
const orBroken = <A>(
  result: Result.Result<A, GraphError | ArchitectureError>,
  law: Name,
  architecture: Architecture.Architecture
): Result.Result<A, LawViolation> =>
  Result.mapError(result, ({ message }) => new LawViolation({ law, at: "network", reason: message, architecture }))

const nameOf = (block: Network.Block) => `${block.path} (${block.name})`

/** Every block by itself on an input of its declared size. */
const blocksOf = (
  law: Name,
  { architecture, blocks }: Network.Network,
  check: (block: Network.Block, program: Program.Program) => string | undefined
): Result.Result<void, LawViolation> => {
  const fail = broken(law, architecture)
  for (const block of blocks) {
    const x = Op.input("x", [1, block.config.inChannels, block.input.height, block.input.width])
    const program = Program.make({ outputs: { y: Network.block(block, Scope.make("evaluation"))(x) } })
    if (Result.isFailure(program)) return fail(nameOf(block), program.failure.message)
    const reason = check(block, program.success)
    if (reason !== undefined) return fail(nameOf(block), reason)
  }
  return held
}

/** What a block's author says it costs. */
const declared = (block: Network.Block) =>
  block.kind === "dsm"
    ? block.dsm.count?.(block.config, block.input)
    : block.operator.count?.({ ...block.config, stochasticDepth: 0 }, block.input)

const shape: Law = {
  name: "shape",
  statement: "every block gives the shape it declares, and the network gives a logit per image and class",
  check: (network) =>
    Result.gen(function* () {
      const { architecture } = network
      yield* blocksOf("shape", network, () => undefined) // a block checks its own result
      const program = yield* orBroken(Network.evaluation(network, { batch: 2 }), "shape", architecture)
      const { logits } = program.outputs
      if (!Shape.equals(logits.shape, [2, architecture.classes]))
        return yield* broken("shape", architecture)("network", `the logits are ${Shape.print(logits.shape)}`)
    })
}

const parameters: Law = {
  name: "parameters",
  statement: "the parameters a block declares are those it holds, and the network's costs count all of them",
  check: (network) =>
    Result.gen(function* () {
      yield* blocksOf("parameters", network, (block, program) => {
        const { parameters } = Costs.ofProgram(program)
        const said = declared(block)?.parameters ?? parameters
        return said === parameters ? undefined : `it declares ${said} parameters and holds ${parameters}`
      })
      return yield* whole("parameters", network)
    })
}

const macs: Law = {
  name: "macs",
  statement:
    "the multiply-accumulates a block declares are the sum over its ops, and the network's costs that over all of them",
  check: (network) =>
    Result.gen(function* () {
      yield* blocksOf("macs", network, (block, program) => {
        const { macs } = Costs.ofProgram(program)
        const said = declared(block)?.macs ?? macs
        return said === macs ? undefined : `it declares ${said} MACs and its ops have ${macs}`
      })
      return yield* whole("macs", network)
    })
}

/** The network's costs, put together from its parts, are those of its one graph. */
const whole = (law: "parameters" | "macs", network: Network.Network): Result.Result<void, LawViolation> =>
  Result.gen(function* () {
    const { architecture } = network
    const costs = yield* orBroken(NetworkCosts.of(network), law, architecture)
    const program = yield* orBroken(Network.evaluation(network), law, architecture)
    const sum = Costs.ofProgram(program)[law]
    if (costs[law] !== sum)
      return yield* broken(law, architecture)("network", `its costs say ${costs[law]} ${law}, its graph has ${sum}`)
  })

const gradients: Law = {
  name: "gradients",
  statement: "in training, every parameter has a gradient of its own shape",
  check: (network) =>
    Result.gen(function* () {
      const { architecture } = network
      const { channels, height, width } = architecture.image
      const image = Op.input("image", [2, channels, height, width])
      const logits = Network.forward(network, Scope.make("training"))(image)
      const loss = Loss.crossEntropy(logits, Op.input("labels", [2], "int32"))
      const forward = yield* orBroken(Program.make({ outputs: { loss } }), "gradients", architecture)
      const found = gradient(loss, forward.variables)
      for (const [i, variable] of forward.variables.entries()) {
        const g = found[i]
        const fail = broken("gradients", architecture)
        if (g === undefined) return yield* fail(variable.attributes.name, "the loss does not depend on it")
        if (g.fault !== undefined) return yield* fail(variable.attributes.name, g.fault.message)
        if (!Shape.equals(g.shape, variable.shape))
          return yield* fail(
            variable.attributes.name,
            `it is ${Shape.print(variable.shape)}, its gradient ${Shape.print(g.shape)}`
          )
      }
    })
}

/** The same architecture with one quantity larger. */
const larger = (
  architecture: Architecture.Architecture
): ReadonlyArray<readonly [string, Architecture.Architecture]> => {
  const { headDim, image, stages } = architecture
  const stage = (i: number, change: Partial<Architecture.Stage>) => ({
    ...architecture,
    stages: stages.map((s, k) => (k === i ? { ...s, ...change } : s))
  })
  return [
    ["a larger image", { ...architecture, image: { ...image, height: 2 * image.height, width: 2 * image.width } }],
    ...stages.flatMap(({ channels, expansion, repeats }, i) => [
      [`a larger expansion in stage ${i}`, stage(i, { expansion: expansion + 1 })] as const,
      [`more channels in stage ${i}`, stage(i, { channels: channels + headDim })] as const,
      [`one more repeat in stage ${i}`, stage(i, { repeats: repeats + 1 })] as const
    ])
  ]
}

const monotony: Law = {
  name: "monotony",
  statement: "a larger image, expansion, channel count or depth never costs fewer parameters or multiply-accumulates",
  check: (network) =>
    Result.gen(function* () {
      const { architecture, sets } = network
      const costs = yield* orBroken(NetworkCosts.of(network), "monotony", architecture)
      for (const [what, other] of larger(architecture)) {
        const made = Network.make(other, sets)
        if (Result.isFailure(made)) continue // a stage without a module may be unable to widen
        const more = yield* orBroken(NetworkCosts.of(made.success), "monotony", other)
        for (const quantity of ["parameters", "macs"] as const)
          if (more[quantity] < costs[quantity])
            return yield* broken("monotony", architecture)(
              "network",
              `${what} needs ${more[quantity]} ${quantity} instead of ${costs[quantity]}`
            )
      }
    })
}

const codec = Schema.fromJsonString(Schema.toCodecJson(Architecture.Architecture))

const json: Law = {
  name: "json",
  statement: "the architecture as JSON is read back as itself",
  check: ({ architecture }) => {
    const back = Result.flatMap(Schema.encodeResult(codec)(architecture), Schema.decodeUnknownResult(codec))
    const fail = broken("json", architecture)
    if (Result.isFailure(back)) return fail("network", back.failure.message)
    return Architecture.hash(back.success) === Architecture.hash(architecture)
      ? held
      : fail("network", "what is read back is another architecture")
  }
}

/** The laws that need no engine, cheapest first. */
export const laws: ReadonlyArray<Law> = [json, shape, parameters, macs, gradients, monotony]

/**
 * Checks an architecture against the laws that need no engine, all of them by default. Fails with the first one that is broken.
 *
 * `sets` are the operators and modules in use; UniNet's own by default. An architecture that they cannot build at all breaks the law
 * `builds`.
 */
export const check = (
  architecture: Architecture.Architecture,
  sets: Network.Sets = Network.standard,
  which: ReadonlyArray<Law> = laws
): Result.Result<void, LawViolation> =>
  Result.gen(function* () {
    const network = yield* orBroken(Network.make(architecture, sets), "builds", architecture)
    for (const law of which) yield* law.check(network)
  })

/** Runs a program once on any engine: outputs by name, in row-major order. */
export type Engine<E, R> = (
  program: Program.Program,
  given: {
    readonly inputs: Readonly<Record<string, Float32Array>>
    readonly variables: ReadonlyMap<string, Float32Array>
  }
) => Effect.Effect<Readonly<Record<string, ArrayLike<number>>>, E, R>

/** A variable's first value, with a sine wave in place of random numbers. */
const someValue = ({ attributes: { initialiser }, shape }: Tensor.Tensor<"variable">): Float32Array => {
  const amplitude =
    initialiser.kind === "uniform"
      ? initialiser.bound
      : initialiser.kind === "truncatedNormal"
        ? initialiser.deviation
        : 0
  const offset = initialiser.kind === "constant" ? initialiser.value : 0
  return Float32Array.from({ length: Shape.size(shape) }, (_, i) => offset + amplitude * Math.sin(1 + 7 * i))
}

/**
 * The law `runs`: on the engine, two images give two rows of finite logits.
 *
 * @example
 * const engine: Verify.Engine<RuntimeError, Runtime> = (program, { inputs, variables }) =>
 *   Effect.scoped(Effect.gen(function* () {
 *     const executable = yield* (yield* Runtime).compile({ program })
 *     yield* executable.write(variables)
 *     return yield* executable.run("program", inputs)
 *   }))
 */
export const runs = <E, R>(
  engine: Engine<E, R>,
  architecture: Architecture.Architecture,
  sets: Network.Sets = Network.standard
): Effect.Effect<void, LawViolation | E, R> =>
  Effect.gen(function* () {
    const batch = 2
    const network = yield* Effect.fromResult(orBroken(Network.make(architecture, sets), "builds", architecture))
    const program = yield* Effect.fromResult(orBroken(Network.evaluation(network, { batch }), "runs", architecture))
    const inputs = Object.fromEntries(
      program.inputs.map(({ attributes: { name }, shape }) => [
        name,
        Float32Array.from({ length: Shape.size(shape) }, (_, i) => Math.sin(i))
      ])
    )
    const variables = new Map(program.variables.map((v) => [v.attributes.name, someValue(v)]))
    const logits = Array.from((yield* engine(program, { inputs, variables }))["logits"] ?? [])
    const fail = broken("runs", architecture)
    if (logits.length !== batch * architecture.classes)
      return yield* Effect.fromResult(
        fail(
          "network",
          `the engine gave ${logits.length} numbers for ${batch} images of ${architecture.classes} classes`
        )
      )
    if (!logits.every(Number.isFinite)) return yield* Effect.fromResult(fail("network", "a logit is not finite"))
  })
