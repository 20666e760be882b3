/**
 * A policy over token sequences as programs of the project's own graph: one that samples a batch of whole sequences in a single run, and one that
 * improves it.
 *
 * The recurrent cell reads the token before and writes the logits of the next:
 *
 *   hₜ = tanh(Eₜ₋₁[tokenₜ₋₁] + U·hₜ₋₁ + pₜ),  logitsₜ = Vₜ·hₜ + bₜ
 *
 * V and b start at zero, so the first policy is uniform, and what V learns comes on top of what the independent choices b do. Sites are padded to one
 * number of options, so that all that does not wait for the token before is one op over all sites.
 */
import { gradient, Op, Program, Tensor } from "@uninet/graph"
import { Constrained, type Prng, Site, type Space } from "@uninet/search-space"
import { Runtime, type Data } from "@uninet/runtime"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { InvalidSnapshot, PolicyFailed } from "../StrategyError.ts"
import type { Points } from "./points.ts"

export interface Settings {
  readonly policy: "recurrent" | "independent"
  readonly hidden: number
  /** Sequences of one update at most. */
  readonly most: number
  /** Half the width of the ratios' clip; `undefined` for the plain score-function gradient. */
  readonly clip: number | undefined
}

/** A sequence of the policy's, as it was sampled. */
export interface Sampled {
  /** For every site the token, or absent. Not canonical: what the policy did. */
  readonly actions: Int32Array
  /** log π of the whole sequence when it was sampled. */
  readonly logProbability: number
  /** Which options were allowed, one entry for every site and option; undefined without constraints. */
  readonly mask: Float32Array | undefined
}

/** One sequence of an update. */
export interface Experience {
  readonly sampled: Sampled
  readonly advantage: number
}

export interface Policy {
  /** Sequences sampled in one run. */
  readonly rows: number
  readonly sample: (prng: Prng.Prng) => Effect.Effect<ReadonlyArray<Sampled>, PolicyFailed>
  /** Given sequences as the policy would have sampled them: their present log-probabilities. */
  readonly evaluate: (actions: ReadonlyArray<Int32Array>) => Effect.Effect<
    {
      readonly sampled: ReadonlyArray<Sampled>
      readonly probabilities: (row: number, site: number) => ReadonlyArray<number>
    },
    PolicyFailed
  >
  /** One step of AdamW on up to `batch` sequences. */
  readonly update: (
    experiences: ReadonlyArray<Experience>,
    settings: { readonly learningRate: number; readonly entropy: number }
  ) => Effect.Effect<void, PolicyFailed>
  /** First values, drawn from the generator. */
  readonly initialise: (prng: Prng.Prng) => Effect.Effect<void, PolicyFailed>
  readonly save: Effect.Effect<Schema.Json, PolicyFailed>
  readonly load: (state: Schema.Json) => Effect.Effect<void, PolicyFailed | InvalidSnapshot>
}

const adam: Op.AdamW = { beta1: 0.9, beta2: 0.99, epsilon: 1e-6, weightDecay: 0 }
/** What a logit is lowered by where its option is not allowed. */
const never = 1e9

const State = Schema.Struct({ step: Schema.Int, variables: Schema.Record(Schema.String, Schema.String) })

/** The sequences of one sampling run. */
const sampledRows = 32

export const make = Effect.fnUntraced(function* <A>(name: string, points: Points<A>, settings: Settings) {
  const { clip, hidden, most: batch } = settings
  const recurrent = settings.policy === "recurrent"
  const { sites } = points
  const steps = sites.length
  const options = Math.max(1, ...sites.map(({ count }) => count))
  const constrained = points.constrained.constraints.length > 0
  const rows = Math.max(sampledRows, batch)

  const parameter = (name: string, shape: ReadonlyArray<number>) =>
    Op.variable({ name, role: "parameter", initialiser: { kind: "constant", value: 0 }, decay: false }, shape)
  const moment = (name: string, shape: ReadonlyArray<number>) =>
    Op.variable({ name, role: "moment", initialiser: { kind: "constant", value: 0 }, decay: false }, shape)

  const bias = parameter("bias", [steps, 1, options])
  const output = parameter("output", [steps, hidden, options])
  const embedding = parameter("embedding", [steps, options, hidden])
  const position = parameter("position", [steps, 1, hidden])
  const recurrence = parameter("recurrence", [hidden, hidden])
  const parameters = recurrent ? [bias, output, embedding, position, recurrence] : [bias]

  /** −10⁹ at options beyond a site's own. */
  const padding = Op.constant(
    Float32Array.from({ length: steps * options }, (_, i) =>
      i % options < sites[Math.floor(i / options)]!.count ? 0 : -never
    ),
    [steps, 1, options]
  )
  const at = (x: Tensor.Tensor, t: number) => {
    const [, ...rest] = x.shape
    return Op.reshape(Op.slice(x, 0, t, t + 1), rest)
  }
  /** The next state; the first is of the position alone. */
  const cell = (input: Tensor.Tensor, state: Tensor.Tensor | undefined) =>
    Op.tanh(state === undefined ? input : Op.add(input, Op.matmul(state, recurrence)))

  // sampling: one site after the other, since each sees the tokens before
  const gumbel = Op.input("gumbel", [steps, rows, options])
  const allowed = Op.input("allowed", [steps, rows, options])
  const chosen: Array<Tensor.Tensor> = []
  const tokens: Array<Tensor.Tensor> = []
  const logs: Array<Tensor.Tensor> = []
  let total: Tensor.Tensor = Op.fill(0, [rows, 1])
  let state: Tensor.Tensor | undefined
  for (const [t, site] of sites.entries()) {
    let logits = Op.broadcastTo(Op.add(at(bias, t), at(padding, t)), [rows, options])
    if (recurrent) {
      const before = chosen[t - 1]
      const here = at(position, t)
      const input =
        before === undefined
          ? Op.broadcastTo(here, [rows, hidden])
          : Op.add(Op.matmul(before, at(embedding, t - 1)), here)
      state = cell(input, state)
      logits = Op.add(Op.matmul(state, at(output, t)), logits)
    }
    if (constrained) logits = Op.add(logits, at(allowed, t))
    const log = Op.logSoftmax(logits)
    const token = Op.argMax(Op.add(log, at(gumbel, t)))
    let choice: Tensor.Tensor = Op.oneHot(token, options)
    // a site whose condition does not hold chooses nothing, at probability 1
    for (const condition of site.conditions) {
      const holds = Float32Array.from({ length: options }, (_, option) => (condition.options.has(option) ? 1 : 0))
      choice = Op.mul(choice, Op.matmul(chosen[condition.site]!, Op.constant(holds, [options, 1])))
    }
    chosen.push(choice)
    tokens.push(Op.reshape(token, [1, rows]))
    logs.push(Op.reshape(log, [1, rows, options]))
    total = Op.add(total, Op.sum(Op.mul(choice, log), [1], true))
  }

  // improving: the tokens are known, so only the state goes from site to site
  const taken = Op.input("taken", [steps, batch, options])
  const barred = Op.input("barred", [steps, batch, options])
  const present = Op.input("present", [steps, batch])
  const advantage = Op.input("advantage", [batch])
  const former = Op.input("former", [batch])
  const weight = Op.input("weight", [batch])
  const entropyWeight = Op.input("entropyWeight", [])
  const learningRate = Op.input("learningRate", [])
  const step = Op.input("step", [])
  const improving = () => {
    let logits: Tensor.Tensor = Op.broadcastTo(Op.add(bias, padding), [steps, batch, options])
    if (recurrent) {
      const inputs = Op.matmul(taken, embedding)
      const states: Array<Tensor.Tensor> = []
      for (let t = 0; t < steps; t++) {
        const here = at(position, t)
        const input = t === 0 ? Op.broadcastTo(here, [batch, hidden]) : Op.add(at(inputs, t - 1), here)
        states.push(cell(input, states[t - 1]))
      }
      const [first, ...others] = states.map((s) => Op.reshape(s, [1, batch, hidden]))
      if (first !== undefined) logits = Op.add(Op.matmul(Op.concat([first, ...others], 0), output), logits)
    }
    if (constrained) logits = Op.add(logits, barred)
    const log = Op.logSoftmax(logits)
    const logProbability = Op.sum(Op.mul(taken, log), [0, 2])
    const entropies = Op.neg(Op.sum(Op.mul(Op.exp(log), log), [2]))
    const entropy = Op.sum(Op.mul(entropies, present), [0])
    const gain = () => {
      if (clip === undefined) return Op.mul(logProbability, advantage)
      const ratio = Op.exp(Op.sub(logProbability, former))
      const clipped = Op.min(Op.max(ratio, Op.fill(1 - clip)), Op.fill(1 + clip))
      return Op.min(Op.mul(ratio, advantage), Op.mul(clipped, advantage))
    }
    const objective = Op.add(gain(), Op.mul(entropy, entropyWeight))
    const loss = Op.neg(Op.sum(Op.mul(objective, weight)))
    const gradients = gradient(loss, parameters)
    return parameters.flatMap((p, i) => {
      const dp = gradients[i]
      if (dp === undefined) return []
      const state = {
        parameter: p,
        gradient: dp,
        moment1: moment(`${p.attributes.name}.moment1`, p.shape),
        moment2: moment(`${p.attributes.name}.moment2`, p.shape)
      }
      const next = Op.adamw(adam, state, learningRate, step)
      return [
        { variable: p, value: next.parameter },
        { variable: state.moment1, value: next.moment1 },
        { variable: state.moment2, value: next.moment2 }
      ]
    })
  }

  const failed = (cause: unknown) => new PolicyFailed({ strategy: name, cause })
  const concatenated = ([first, ...rest]: ReadonlyArray<Tensor.Tensor>) =>
    first === undefined ? {} : { of: Op.concat([first, ...rest], 0) }
  const programs =
    steps === 0
      ? undefined
      : {
          sample: yield* Effect.mapError(
            Effect.fromResult(
              Program.make({
                outputs: {
                  tokens: concatenated(tokens).of ?? Op.fill(0),
                  logs: concatenated(logs).of ?? Op.fill(0),
                  logProbability: Op.reshape(total, [rows])
                }
              })
            ),
            failed
          ),
          update: yield* Effect.mapError(Effect.fromResult(Program.make({ outputs: {}, updates: improving() })), failed)
        }
  const runtime = yield* Runtime
  const executable = programs === undefined ? undefined : yield* Effect.mapError(runtime.compile(programs), failed)
  let count = 0

  const size = steps * rows * options
  const offset = (t: number, row: number) => (t * rows + row) * options
  /** The chosen options as far as a row of tokens goes. */
  const actionsOf = (drawn: ArrayLike<number>, row: number): Int32Array => {
    const actions = new Int32Array(steps).fill(Site.absent)
    for (const site of sites) if (Site.exists(site, actions)) actions[site.index] = drawn[site.index * rows + row]!
    return actions
  }
  const isAllowed = (mask: Float32Array, t: number, token: number) => mask[t * options + token] === 0

  /**
   * Runs the sampling program until no sequence takes a barred option. Barring options that were not drawn changes no draw, and one that was drawn is
   * barred in the next run with the same noise: so every run settles at least one more site of every sequence.
   */
  const settled = Effect.fnUntraced(function* (noise: Float32Array) {
    const run = (inputs: Readonly<Record<string, Data>>) =>
      executable === undefined
        ? Effect.succeed<Readonly<Record<string, Data>>>({})
        : Effect.mapError(executable.run("sample", inputs), failed)
    if (!constrained) {
      const out = yield* run({ gumbel: noise })
      return { out, masks: undefined }
    }
    const masks = Array.from({ length: rows }, () => new Float32Array(steps * options))
    const known = masks.map(() => "")
    const barredNow = new Float32Array(size)
    for (;;) {
      const out = yield* run({ gumbel: noise, allowed: barredNow })
      let changed = false
      for (let row = 0; row < rows; row++) {
        const actions = actionsOf(out["tokens"]!, row)
        if (known[row] === actions.join()) continue
        const mask = masks[row]!
        const prefix: Array<number> = []
        for (;;) {
          // the prefix is of valid tokens
          const next = Result.getOrThrow(Constrained.next(prefix)(points.constrained))
          if (Option.isNone(next)) break
          const { index } = next.value.site
          for (const [option, may] of next.value.mask.entries()) {
            const bar = may ? 0 : -never
            if (mask[index * options + option] !== bar) {
              mask[index * options + option] = bar
              changed = true
            }
          }
          const token = actions[index]!
          if (!isAllowed(mask, index, token)) break
          prefix.push(token)
        }
        if (isComplete(prefix, actions)) known[row] = actions.join()
        for (let t = 0; t < steps; t++) barredNow.set(mask.subarray(t * options, (t + 1) * options), offset(t, row))
      }
      if (!changed) return { out, masks }
    }
  })

  const noiseOf = (prng: Prng.Prng) => {
    const noise = new Float32Array(size)
    for (let i = 0; i < size; i++) noise[i] = -Math.log(-Math.log(prng.nextFloat() + 2 ** -55))
    return noise
  }

  const rowsOf = (
    out: Readonly<Record<string, Data>>,
    masks: ReadonlyArray<Float32Array> | undefined,
    number: number
  ) =>
    Array.from({ length: number }, (_, row): Sampled => ({
      actions: actionsOf(out["tokens"] ?? [], row),
      logProbability: out["logProbability"]?.[row] ?? 0,
      mask: masks?.[row]
    }))

  const policy: Policy = {
    rows,
    sample: (prng) =>
      Effect.gen(function* () {
        const { masks, out } = yield* settled(noiseOf(prng))
        return rowsOf(out, masks, rows)
      }),
    evaluate: (given) =>
      Effect.gen(function* () {
        const noise = new Float32Array(size)
        for (const [row, actions] of given.entries()) {
          for (let t = 0; t < steps; t++)
            if (actions[t] !== Site.absent) noise[offset(t, row) + actions[t]!] = never / 1000
        }
        const { masks, out } = yield* settled(noise)
        return {
          sampled: rowsOf(out, masks, given.length),
          probabilities: (row: number, site: number) =>
            Array.from({ length: sites[site]!.count }, (_, option) =>
              Math.exp(out["logs"]![offset(site, row) + option]!)
            )
        }
      }),
    update: (experiences, { entropy, learningRate }) => {
      if (executable === undefined || experiences.length === 0) return Effect.void
      const inputs = {
        taken: new Float32Array(steps * batch * options),
        present: new Float32Array(steps * batch),
        advantage: new Float32Array(batch),
        former: new Float32Array(batch),
        weight: new Float32Array(batch),
        entropyWeight: Float32Array.of(entropy),
        learningRate: Float32Array.of(learningRate),
        step: Float32Array.of(++count),
        ...(constrained ? { barred: new Float32Array(steps * batch * options) } : {})
      }
      for (const [row, { advantage, sampled }] of experiences.entries()) {
        inputs.advantage[row] = advantage
        inputs.former[row] = sampled.logProbability
        inputs.weight[row] = 1 / experiences.length
        for (let t = 0; t < steps; t++) {
          const token = sampled.actions[t]!
          if (token === Site.absent) continue
          inputs.taken[(t * batch + row) * options + token] = 1
          inputs.present[t * batch + row] = 1
          if (inputs.barred !== undefined && sampled.mask !== undefined) {
            inputs.barred.set(sampled.mask.subarray(t * options, (t + 1) * options), (t * batch + row) * options)
          }
        }
      }
      return Effect.asVoid(Effect.mapError(executable.run("update", inputs), failed))
    },
    initialise: (prng) => {
      count = 0
      if (executable === undefined) return Effect.void
      return Effect.mapError(
        Effect.gen(function* () {
          const values = new Map([...(yield* executable.read)].map(([name, data]) => [name, data.fill(0)] as const))
          const drawn = (variable: Tensor.Tensor<"variable">, deviation: number) => {
            const data = values.get(variable.attributes.name)
            for (let i = 0; i < (data?.length ?? 0); i++) data![i] = deviation * prng.nextNormal()
          }
          drawn(embedding, 1)
          drawn(position, 0.5)
          drawn(recurrence, 1 / Math.sqrt(hidden))
          yield* executable.write(values)
        }),
        failed
      )
    },
    save: Effect.suspend(() =>
      Effect.map(
        executable === undefined ? Effect.succeed(new Map<string, Data>()) : Effect.mapError(executable.read, failed),
        (values) => ({
          step: count,
          variables: Object.fromEntries(
            [...values].map(([variable, data]) => [
              variable,
              Base64.encode(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
            ])
          )
        })
      )
    ),
    load: (given) =>
      Effect.gen(function* () {
        const invalid = (problem: string) => new InvalidSnapshot({ strategy: name, problem })
        const state = yield* Effect.mapError(Schema.decodeUnknownEffect(State)(given), (e) => invalid(e.message))
        const values = new Map<string, Data>()
        for (const [variable, text] of Object.entries(state.variables)) {
          const bytes = yield* Effect.mapError(Effect.fromResult(Base64.decode(text)), (e) => invalid(e.message))
          if (bytes.length % 4 !== 0) return yield* invalid(`${variable} is cut off`)
          values.set(variable, new Float32Array(bytes.slice().buffer))
        }
        if (executable !== undefined) yield* Effect.mapError(executable.write(values), (e) => invalid(e.message))
        count = state.step
      })
  }
  return policy
})

const isComplete = (prefix: Space.Tokens, actions: Int32Array) =>
  prefix.length === actions.reduce((n, token) => n + (token === Site.absent ? 0 : 1), 0)
