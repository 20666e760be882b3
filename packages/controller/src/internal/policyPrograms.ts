/**
 * A policy over token sequences as graphs: one samples a batch of whole sequences in a single run, and one updates the policy.
 *
 * The recurrent state takes in one token after the other, and gives the logits of the next:
 *
 *   s₀ = 0,  sₜ = m·sₜ₋₁ + Eₜ₋₁[tokenₜ₋₁],  logitsₜ = c·Vₜ·tanh(sₜ) + 5bₜ
 *
 * The recurrence is linear: if the tokens are known, as in an update, the states of all sites are one product with the matrix of powers of m, and the
 * nonlinearity comes after it. V and b start at zero, so the first policy is uniform, and what V learns is added to what the independent choices b learn. All
 * sites are padded to the same number of options, so that everything that does not depend on the previous token is a single op over all sites.
 */
import { gradient, Op, Program, type Shape, type Tensor } from "@uninet/graph"
import { Elementary } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Result from "effect/Result"
import type { PolicySite } from "./entries.ts"

export interface Settings {
  readonly policy: "recurrent" | "independent"
  /** Width of the recurrent state. */
  readonly hidden: number
  /** Sequences per sampling run. */
  readonly rows: number
  /** The most sequences in one update. */
  readonly most: number
  /** The ratio is clipped to 1 ± this; `undefined` for the plain score-function gradient. */
  readonly clip: number | undefined
  /** The share of the state that is kept after each token. */
  readonly memory: number
  /** The scale of what contexts add to the logits. */
  readonly context: number
  /** Decoupled weight decay of the logits' parameters, which keeps them within about 1 / this. */
  readonly decay: number
  /** Whether options can be barred, which adds inputs to the programs. */
  readonly constrained: boolean
}

/** How much the logit of an option is lowered if the option is not allowed. */
export const never = 1e9

const adam: Op.AdamW = { beta1: 0.9, beta2: 0.99, epsilon: 1e-6, weightDecay: 0 }

/** AdamW moves every entry by about the learning rate. This factor lets one step move what holds in all contexts (b) as far as many entries of V together move one context. */
const biasScale = 5

/** Ratios are capped at e to this: a sequence proposed under a much older policy may have become likelier by any factor. */
const farthest = 3

type Variable = Tensor.Tensor<"variable">

const variable = (role: Op.Role) => (name: string, shape: Shape.Shape) =>
  Op.variable({ name, role, initialiser: { kind: "constant", value: 0 }, decay: false }, shape)
const parameter = variable("parameter")
const moment = variable("moment")

/** Entry `t` of the first axis, keeping that axis. */
const at = (x: Tensor.Tensor, t: number) => Op.slice(x, 0, t, t + 1)

/** Concatenates along the first axis. */
const joined = (xs: ReadonlyArray<Tensor.Tensor>): Tensor.Tensor => {
  const [first, ...rest] = xs
  return first === undefined ? Op.fill(0) : rest.length === 0 ? first : Op.concat([first, ...rest], 0)
}

interface Parameters {
  /** `[sites, 1, options]` */
  readonly bias: Variable
  /** `[sites, hidden, options]` */
  readonly output: Variable
  /** `[sites, options, hidden]`: what a token adds to the next state. */
  readonly embedding: Variable
}

const parametersOf = (sites: number, options: number, hidden: number): Parameters => ({
  bias: parameter("bias", [sites, 1, options]),
  output: parameter("output", [sites, hidden, options]),
  embedding: parameter("embedding", [sites, options, hidden])
})

/** −10⁹ at padded options, which a site does not have, `[sites, 1, options]`. */
const padding = (sites: ReadonlyArray<PolicySite>, options: number) =>
  Op.constant(
    Float32Array.from(
      sites.flatMap(({ count }) => Array.from({ length: options }, (_, o) => (o < count ? 0 : -never)))
    ),
    [sites.length, 1, options]
  )

/** The state before each site, `[sites, rows, hidden]`, computed from the embedding of each token, which has the same shape. */
const statesOf = (said: Tensor.Tensor, memory: number): Tensor.Tensor => {
  const [sites = 0, rows = 0, hidden = 0] = said.shape
  const fading = Array.from({ length: sites }, (_, age) => Elementary.pow(memory, age))
  const powers = Float32Array.from(
    { length: sites * sites },
    (_, i) => fading[Math.floor(i / sites) - 1 - (i % sites)] ?? 0
  )
  return Op.reshape(
    Op.matmul(Op.constant(powers, [sites, sites]), Op.reshape(said, [sites, rows * hidden])),
    said.shape
  )
}

/** The logits that do not depend on tokens, `[sites, 1 or rows, options]`. */
const independent = (
  sites: ReadonlyArray<PolicySite>,
  options: number,
  p: Parameters,
  barred: Tensor.Tensor | undefined
) => {
  const own = Op.add(Op.scale(p.bias, biasScale), padding(sites, options))
  return barred === undefined ? own : Op.add(barred, own)
}

/**
 * Samples one site after the other, since each depends on the tokens before it. The option with the largest sum of logit and Gumbel noise is drawn.
 *
 * Inputs: `gumbel` `[sites, rows, options]`, and `barred` of the same shape (0 or −10⁹) under constraints. Outputs: `tokens` `[sites, rows]` (also at sites
 * that do not exist), `logs` (log-probabilities) `[sites, rows, options]`, `logProbability` of the sequences `[rows]`.
 */
const sampling = (sites: ReadonlyArray<PolicySite>, options: number, p: Parameters, settings: Settings) => {
  const { constrained, context: contextScale, memory, policy, rows } = settings
  const shape = [sites.length, rows, options]
  const own = independent(sites, options, p, constrained ? Op.input("barred", shape) : undefined)
  const noisy = Op.add(Op.input("gumbel", shape), own)
  const chosen: Array<Tensor.Tensor> = []
  const tokens: Array<Tensor.Tensor> = []
  const contexts: Array<Tensor.Tensor> = []
  const output = Op.scale(p.output, contextScale)
  let state: Tensor.Tensor | undefined
  for (const [t, site] of sites.entries()) {
    let scores = at(noisy, t)
    if (policy === "recurrent") {
      const before = chosen[t - 1]
      if (before !== undefined) {
        const said = Op.matmul(before, at(p.embedding, t - 1))
        state = state === undefined ? said : Op.add(said, Op.scale(state, memory))
        const context = Op.matmul(Op.tanh(state), at(output, t))
        contexts.push(context)
        scores = Op.add(scores, context)
      } else contexts.push(Op.broadcastTo(Op.fill(0), [1, rows, options]))
    }
    const token = Op.argMax(scores)
    let choice: Tensor.Tensor = Op.oneHot(token, options)
    // a site whose conditions do not hold makes no choice, with probability 1
    for (const condition of site.conditions) {
      const holds = Float32Array.from({ length: options }, (_, option) => (condition.options.has(option) ? 1 : 0))
      choice = Op.mul(choice, Op.matmul(Arr.getUnsafe(chosen, condition.site), Op.constant(holds, [options, 1])))
    }
    chosen.push(choice)
    tokens.push(token)
  }
  const logs = Op.logSoftmax(contexts.length === 0 ? Op.broadcastTo(own, shape) : Op.add(joined(contexts), own))
  const logProbability = Op.sum(Op.mul(joined(chosen), logs), [0, 2])
  return Program.make({ outputs: { tokens: joined(tokens), logs, logProbability } })
}

/**
 * One step of AdamW on the (clipped) objective with its entropy bonus.
 *
 * Inputs, with n = `most`: `taken` (one-hot, zeros where a site does not exist) and `barred` `[sites, n, options]`, `present` `[sites, n]`, `advantage`, `former`
 * (log-probability when sampled), `known` (1 if `former` is known, 0 if the present log-probability stands in for it) and `weight` `[n]`; scalars `entropyWeight`, `learningRate`, `step`. Output: `logProbability` `[n]` before the step.
 */
const improving = (sites: ReadonlyArray<PolicySite>, options: number, p: Parameters, settings: Settings) => {
  const { clip, constrained, context, decay, memory, most, policy } = settings
  const steps = sites.length
  const shape = [steps, most, options]
  const taken = Op.input("taken", shape)
  const present = Op.input("present", [steps, most])
  const [advantage, former, known, weight] = [
    Op.input("advantage", [most]),
    Op.input("former", [most]),
    Op.input("known", [most]),
    Op.input("weight", [most])
  ]
  const [entropyWeight, learningRate, step] = [
    Op.input("entropyWeight", []),
    Op.input("learningRate", []),
    Op.input("step", [])
  ]

  const own = independent(sites, options, p, constrained ? Op.input("barred", shape) : undefined)
  const contexts = () => {
    const states = statesOf(Op.matmul(taken, p.embedding), memory)
    return Op.matmul(Op.tanh(states), Op.scale(p.output, context))
  }
  const log = Op.logSoftmax(policy === "recurrent" ? Op.add(contexts(), own) : Op.broadcastTo(own, shape))
  const logProbability = Op.sum(Op.mul(taken, log), [0, 2])
  const entropy = Op.sum(Op.mul(Op.neg(Op.sum(Op.mul(Op.exp(log), log), [2])), present), [0])
  const gain = () => {
    const plain = Op.mul(logProbability, advantage)
    if (clip === undefined) return plain
    const ratio = Op.exp(Op.min(Op.mul(Op.sub(logProbability, former), known), Op.fill(farthest)))
    const clipped = Op.min(Op.max(ratio, Op.fill(1 - clip)), Op.fill(1 + clip))
    // a sequence without a known former probability has the ratio 1, and so the plain gradient
    return Op.add(
      Op.min(Op.mul(ratio, advantage), Op.mul(clipped, advantage)),
      Op.mul(plain, Op.sub(Op.fill(1), known))
    )
  }
  const loss = Op.neg(Op.sum(Op.mul(Op.add(gain(), Op.mul(entropy, entropyWeight)), weight)))

  const trained = policy === "recurrent" ? [p.bias, p.output, p.embedding] : [p.bias]
  const gradients = gradient(loss, trained)
  const updates = trained.flatMap((of, i) => {
    const slope = gradients[i]
    // a space with one site does not use the recurrence
    if (slope === undefined) return []
    const moment1 = moment(`${of.attributes.name}.moment1`, of.shape)
    const moment2 = moment(`${of.attributes.name}.moment2`, of.shape)
    const decayed = of === p.bias || of === p.output
    const next = Op.adamw(
      decayed ? { ...adam, weightDecay: decay } : adam,
      { parameter: of, gradient: slope, moment1, moment2 },
      learningRate,
      step
    )
    return [
      { variable: of, value: next.parameter },
      { variable: moment1, value: next.moment1 },
      { variable: moment2, value: next.moment2 }
    ]
  })
  return Program.make({ outputs: { logProbability }, updates })
}

/** Standard deviations of the initial values of the variables that do not start at zero. */
export const deviations: ReadonlyArray<readonly [name: string, deviation: number]> = [["embedding", 1]]

/** Makes both programs, for a space with at least one site. */
export const make = (
  sites: ReadonlyArray<PolicySite>,
  settings: Settings
): Result.Result<
  { readonly sample: Program.Program; readonly update: Program.Program },
  Result.Result.Failure<ReturnType<typeof Program.make>>
> => {
  const options = Math.max(...sites.map(({ count }) => count))
  const parameters = parametersOf(sites.length, options, settings.hidden)
  return Result.all({
    sample: sampling(sites, options, parameters, settings),
    update: improving(sites, options, parameters, settings)
  })
}
