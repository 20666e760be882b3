/**
 * Compares a network with a file of reference vectors: with the same weights and images and the same training steps, how far is every
 * number from the reference?
 *
 * The file is a safetensors file with the tensors `weights/<name>` (running statistics included), `input/<i>`, `labels/<i>`,
 * `eval/logits`, `train/<i>/logits`, `train/<i>/loss`, `grad/<name>` (first step), `running1/<name>` (after the first step) and
 * `adamw<n>/<name>` (parameters after n steps), and the network's configuration as JSON in the metadata's `config`.
 */
import { gradient, Op, Program } from "@uninet/graph"
import { Loss, RunningStatistics, Safetensors, Scope, Weights } from "@uninet/nn"
import { type Data, Runtime } from "@uninet/runtime"
import { type Architecture, Network } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** The file is sound, but not a reference for this project. */
export class NotAReference extends Schema.TaggedError<NotAReference>()("NotAReference", {
  reason: Schema.String
}) {
  override get message() {
    return `not a file of reference vectors: ${this.reason}`
  }
}

const Six = Schema.Array(Schema.Int)

/** The configuration, in the terms of the authors' code. */
const Config = Schema.fromJsonString(
  Schema.Struct({
    repeats: Six,
    expansion: Six,
    channels: Six,
    head_dim: Schema.Int,
    final_head_dim: Schema.Int,
    stem_dim: Schema.Int,
    input_size: Schema.Int,
    classes: Schema.Int,
    ops: Schema.Array(Schema.String),
    dsms: Schema.Array(Schema.String)
  })
)

/** The authors' classes; other names are taken to be this project's. */
const authorsNames: Readonly<Record<string, string>> = {
  DWConvBlock: "DWConv",
  AttentionBlock: "SA",
  LocalDSM: "L",
  LocalGlobalDSM: "LG"
}

/** The strides of every released UniNet; the reference's configuration does not include them. */
const strides = [1, 2, 2, 2, 1, 2]

/** AdamW as in the reference's training: weight decay on every parameter. */
const adamw: Op.AdamW = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.05 }
const learningRate = 1e-3

/** How far a group of tensors is from the reference. */
export interface Deviation {
  /** The largest max |Δ| / max |reference| over the tensors that are not mathematically zero. */
  readonly worst: number
  /** The tensor with that error. */
  readonly tensor: string
  /** The largest |Δ| over the tensors that are mathematically zero. */
  readonly worstOfZeros: number
  readonly tensors: number
  /** The share of tensors within 1e-4. */
  readonly within1e4: number
}

export interface Report {
  readonly file: string
  readonly engine: string
  readonly parameters: number
  readonly evaluationLogits: Deviation
  readonly trainingLogits: Deviation
  /** |Δ| / |loss|. */
  readonly losses: Deviation
  readonly gradients: Deviation
  readonly runningStatistics: Deviation
  /** After the last step: the elements that have a gradient, */
  readonly finalParameters: Deviation
  /**
   * and those whose gradient is mathematically zero (a bias before a batch norm, an attention key's bias). No two float32 engines can agree
   * on these: AdamW divides rounding noise by its own magnitude, which turns it into full-size steps. The network's output does not depend
   * on them.
   */
  readonly finalParametersWithoutGradient: Deviation
}

/** Gradients below this are zero apart from rounding: those of a bias right before a batch norm. */
const zero = 1e-6

interface Pair {
  readonly name: string
  readonly found: ArrayLike<number>
  readonly wanted: ArrayLike<number>
}

const largest = (numbers: ArrayLike<number>, at: (i: number) => number) => {
  let max = 0
  for (let i = 0; i < numbers.length; i++) {
    const value = Math.abs(at(i))
    max = value <= max ? max : value // keeps a NaN
  }
  return max
}

const compare = (pairs: ReadonlyArray<Pair>): Deviation => {
  let [worst, tensor, worstOfZeros, within] = [0, "", 0, 0]
  for (const { found, name, wanted } of pairs) {
    const magnitude = largest(wanted, (i) => wanted[i])
    const delta = found.length === wanted.length ? largest(wanted, (i) => found[i] - wanted[i]) : Infinity
    const error = magnitude < zero ? delta : delta / magnitude
    if (magnitude < zero ? delta <= 1e-5 : error <= 1e-4) within++
    if (magnitude < zero) worstOfZeros = Math.max(worstOfZeros, delta)
    else if (!(error <= worst)) [worst, tensor] = [error, name]
  }
  return {
    worst,
    tensor,
    worstOfZeros,
    tensors: pairs.length,
    within1e4: pairs.length === 0 ? 1 : within / pairs.length
  }
}

/**
 * The elements of a pair at some indices; nothing if there are none. All other elements count as equal, so that errors stay relative to the
 * whole tensor.
 */
const only = ({ found, name, wanted }: Pair, at: (i: number) => boolean): ReadonlyArray<Pair> => {
  const chosen = Array.from(wanted, (_, i) => at(i))
  if (!chosen.includes(true)) return []
  return [{ name, wanted, found: Array.from(wanted, (value, i) => (chosen[i] === true ? (found[i] ?? NaN) : value)) }]
}

/** The reference's architecture. */
const architectureOf = (config: typeof Config.Type, channels: number): Architecture.Architecture => ({
  image: { channels, height: config.input_size, width: config.input_size },
  classes: config.classes,
  stem: { channels: config.stem_dim, stride: 2 },
  stages: config.ops.map((operator, i) => ({
    operator: authorsNames[operator] ?? operator,
    dsm: i === 0 ? null : (authorsNames[config.dsms[i - 1]] ?? config.dsms[i - 1] ?? null),
    expansion: config.expansion[i],
    channels: config.channels[i],
    repeats: config.repeats[i],
    stride: strides[i] ?? 1
  })),
  head: { channels: config.final_head_dim },
  headDim: config.head_dim
})

/** One training step: forward, mean cross entropy, backward, AdamW, running statistics. */
const stepProgram = (network: Network.Network, batch: number) => {
  const { channels, height, width } = network.architecture.image
  const image = Op.input("image", [batch, channels, height, width])
  const logits = Network.forward(network, Scope.make("training"))(image)
  const loss = Loss.crossEntropy(logits, Op.input("labels", [batch], "int32"))
  const [rate, step] = [Op.input("learningRate", []), Op.input("step", [])]
  return Program.make({ outputs: { logits } }).pipe(
    Result.flatMap(({ variables }) => {
      const gradients = gradient(loss, variables)
      const outputs: Record<string, (typeof gradients)[number] & {}> = { logits, loss }
      const updates: Array<Program.Update> = [...RunningStatistics.updates([logits])]
      for (const [i, parameter] of variables.entries()) {
        const g = gradients[i]
        if (g === undefined) continue
        const { name } = parameter.attributes
        const moment = (of: string) =>
          Op.variable(
            { name: `${of}/${name}`, role: "moment", initialiser: { kind: "constant", value: 0 }, decay: false },
            parameter.shape
          )
        const [moment1, moment2] = [moment("moment1"), moment("moment2")]
        const next = Op.adamw(adamw, { parameter, gradient: g, moment1, moment2 }, rate, step)
        outputs[`grad/${name}`] = g
        updates.push(
          { variable: parameter, value: next.parameter },
          { variable: moment1, value: next.moment1 },
          { variable: moment2, value: next.moment2 }
        )
      }
      return Program.make({ outputs, updates })
    })
  )
}

const missing = (name: string) => new NotAReference({ reason: `it has no tensor ${name} of the right type` })

/**
 * Runs the reference's network on the `Runtime` in the context and reports the worst errors. `label` names the file in the report.
 *
 * Fails if the file is not a reference, its weights do not belong to the network, or the engine fails.
 */
export const run = Effect.fn("Parity.run")(function* (file: Safetensors.Safetensors, label: string) {
  const names = [...file.tensors.keys()]
  const under = (prefix: string) => names.filter((n) => n.startsWith(prefix)).map((n) => n.slice(prefix.length))
  const numbers = (name: string): Effect.Effect<Float32Array, NotAReference> => {
    const entry = file.tensors.get(name)
    const data = entry === undefined ? undefined : Safetensors.float32(entry)
    return data === undefined ? Effect.fail(missing(name)) : Effect.succeed(data)
  }
  const labels = (name: string): Effect.Effect<Int32Array, NotAReference> => {
    const entry = file.tensors.get(name)
    const data = entry === undefined ? undefined : Safetensors.int64(entry)
    return data === undefined ? Effect.fail(missing(name)) : Effect.succeed(Int32Array.from(data, Number))
  }
  const pairs = (prefix: string, found: (name: string) => ArrayLike<number> | undefined) =>
    Effect.forEach(under(prefix), (name) =>
      Effect.map(numbers(prefix + name), (wanted): Pair => ({ name, found: found(name) ?? [], wanted }))
    )

  const config = yield* Schema.decodeUnknownEffect(Config)(file.metadata["config"]).pipe(
    Effect.mapError(({ message }) => new NotAReference({ reason: `the metadata's config: ${message}` }))
  )
  const [batch, channels] = file.tensors.get("input/0")?.shape ?? []
  if (batch === undefined || channels === undefined) return yield* missing("input/0")
  const steps = under("train/").filter((name) => name.endsWith("/loss")).length

  const network = yield* Effect.fromResult(Network.make(architectureOf(config, channels)))
  const evaluation = yield* Effect.fromResult(Network.evaluation({ batch })(network))
  const step = yield* Effect.fromResult(stepProgram(network, batch))
  const given = { metadata: {}, tensors: new Map(under("weights/").flatMap((n) => entryOf(file, n))) }
  const weights = yield* Effect.fromResult(Weights.fromSafetensors(evaluation)(given))

  const runtime = yield* Runtime
  const executable = yield* runtime.compile({ evaluation, step })
  yield* executable.write(weights)
  const evaluated = yield* executable.run("evaluation", { image: yield* numbers("input/0") })

  const trainingLogits: Array<Pair> = []
  const losses: Array<Pair> = []
  let first: Readonly<Record<string, Data>> = {}
  let afterFirst: ReadonlyMap<string, Data> = new Map()
  for (let i = 0; i < steps; i++) {
    const outputs = yield* executable.run("step", {
      image: yield* numbers(`input/${i}`),
      labels: yield* labels(`labels/${i}`),
      learningRate: Float32Array.of(learningRate),
      step: Float32Array.of(i + 1)
    })
    trainingLogits.push({ name: `${i}`, found: outputs["logits"] ?? [], wanted: yield* numbers(`train/${i}/logits`) })
    losses.push({ name: `${i}`, found: outputs["loss"] ?? [], wanted: yield* numbers(`train/${i}/loss`) })
    if (i === 0) [first, afterFirst] = [outputs, yield* executable.read]
  }
  const final = yield* executable.read
  const gradients = yield* pairs("grad/", (name) => first[`grad/${name}`])
  const finalParameters = yield* pairs(`adamw${steps}/`, (name) => final.get(name))
  const gradientOf = new Map(gradients.map(({ name, wanted }) => [name, wanted]))
  const finalWhere = (hasGradient: boolean) =>
    compare(
      finalParameters.flatMap((pair) => {
        const g = gradientOf.get(pair.name) ?? []
        return only(pair, (i) => Math.abs(g[i] ?? 0) >= zero === hasGradient)
      })
    )

  const report: Report = {
    file: label,
    engine: runtime.name,
    parameters: finalParameters.reduce((sum, { wanted }) => sum + wanted.length, 0),
    evaluationLogits: compare([
      { name: "logits", found: evaluated["logits"] ?? [], wanted: yield* numbers("eval/logits") }
    ]),
    trainingLogits: compare(trainingLogits),
    losses: compare(losses),
    gradients: compare(gradients),
    runningStatistics: compare(yield* pairs("running1/", (name) => afterFirst.get(name))),
    finalParameters: finalWhere(true),
    finalParametersWithoutGradient: finalWhere(false)
  }
  return report
}, Effect.scoped)

const entryOf = (file: Safetensors.Safetensors, name: string): ReadonlyArray<readonly [string, Safetensors.Entry]> => {
  const entry = file.tensors.get(`weights/${name}`)
  return entry === undefined ? [] : [[name, entry]]
}
