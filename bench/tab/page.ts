/** Training steps of a network in a page, with this project's loops and with jax-js, in turns. `bench/tab.ts` opens it and receives the results. */
import { init, jit, lax, nn, numpy as np, tree, valueAndGrad } from "@jax-js/jax"
import { Runtime } from "@uninet/engine"
import { Op } from "@uninet/graph"
import { Loops } from "@uninet/loops"
import { Classification, Optimiser, Recipe } from "@uninet/model-space"
import { Model, Nn, Scope } from "@uninet/nn"
import { Prng } from "@uninet/search-space"
import { Initialise, TrainingProgram, type Weights } from "@uninet/trainer"
import * as Effect from "effect/Effect"

/** The request to the page, and its results. */
export interface Options {
  readonly rounds: number
  /** In one turn, which ends after a second in any case. */
  readonly steps: number
}

/** The milliseconds of every step, and the losses of the first five, which warm both up and have to be the same. */
export interface Measured {
  readonly network: string
  readonly uninet: { readonly milliseconds: ReadonlyArray<number>; readonly losses: ReadonlyArray<number> }
  readonly jax: { readonly milliseconds: ReadonlyArray<number>; readonly losses: ReadonlyArray<number> }
}

const batch = 64
const classes = 10
const learningRate = 0.05
const momentum = 0.9
const side = 28

const prng = Prng.fromSeed("tab")
const images = Float32Array.from({ length: batch * side * side }, () => prng.nextFloat())
const labels = Int32Array.from({ length: batch }, () => prng.nextInt(classes))
const oneHot = Float32Array.from({ length: batch * classes }, (_, i) =>
  labels[Math.floor(i / classes)] === i % classes ? 1 : 0
)

type Arrays = Record<string, np.Array>

interface Network {
  readonly name: string
  readonly model: Model.Model
  /** The same for jax-js, with the same parameters by name. It owns its arguments. */
  readonly logits: (parameters: Arrays, x: np.Array) => np.Array
}

const linear = (x: np.Array, parameters: Arrays, name: string): np.Array =>
  np.matmul(x, np.transpose(parameters[`${name}.weight`])).add(parameters[`${name}.bias`])

const convolution = (x: np.Array, parameters: Arrays, name: string): np.Array => {
  const bias = parameters[`${name}.bias`]
  return lax
    .conv(
      x,
      parameters[`${name}.weight`],
      [2, 2],
      [
        [1, 1],
        [1, 1]
      ]
    )
    .add(bias.reshape([1, bias.shape[0], 1, 1]))
}

const input = { image: Model.input([1, side, side]) }

const networks: ReadonlyArray<Network> = [
  {
    name: "784 → 256 → 10",
    model: Model.make({
      inputs: input,
      forward: (scope, { image }) => {
        const flat = Op.reshape(image, [image.shape[0], side * side])
        const hidden = Nn.relu(scope)(Nn.linear(Scope.at("hidden")(scope), { out: 256 })(flat))
        return { logits: Nn.linear(Scope.at("classifier")(scope), { out: classes })(hidden) }
      }
    }),
    logits: (parameters, x) =>
      linear(nn.relu(linear(x.reshape([batch, side * side]), parameters, "hidden")), parameters, "classifier")
  },
  {
    name: "two convolutions (16, 32) and a linear layer",
    model: Model.make({
      inputs: input,
      forward: (scope, { image }) => {
        const strided = (name: string, out: number) =>
          Nn.convolution(Scope.at(name)(scope), { out, kernel: 3, stride: 2, padding: [1, 1, 1, 1] })
        const features = Nn.relu(scope)(strided("second", 32)(Nn.relu(scope)(strided("first", 16)(image))))
        const flat = Op.reshape(features, [image.shape[0], 32 * 7 * 7])
        return { logits: Nn.linear(Scope.at("classifier")(scope), { out: classes })(flat) }
      }
    }),
    logits: (parameters, x) => {
      const features = nn.relu(convolution(nn.relu(convolution(x, parameters, "first")), parameters, "second"))
      return linear(features.reshape([batch, 32 * 7 * 7]), parameters, "classifier")
    }
  }
]

const recipe = Recipe.Recipe.make({
  ...Recipe.proxy,
  batch,
  labelSmoothing: 0,
  optimiser: Optimiser.sgd({ momentum, nesterov: false, weightDecay: 0 })
})

/** A step by jax-js, all in one `jit`: its output is the loss. */
const byJax = (network: Network, weights: Weights, shapes: ReadonlyMap<string, ReadonlyArray<number>>) => {
  const loss = (parameters: Arrays, x: np.Array, targets: np.Array) =>
    targets
      .mul(nn.logSoftmax(network.logits(parameters, x)))
      .sum()
      .mul(-1 / batch)
  const train = jit(
    (parameters: Arrays, before: Arrays, x: np.Array, targets: np.Array): [Arrays, Arrays, np.Array] => {
      const [value, gradients] = valueAndGrad(loss)(tree.ref(parameters), x, targets)
      // `map` returns arrays in the form of its arguments.
      const velocities = tree.map((v: np.Array, g: np.Array) => v.mul(momentum).add(g), before, gradients) as Arrays
      const moved = tree.map((p: np.Array, v: np.Array) => p.sub(v.mul(learningRate)), parameters, tree.ref(velocities))
      return [moved as Arrays, velocities, value]
    }
  )
  const arrays = (of: (data: Float32Array) => Float32Array<ArrayBuffer>): Arrays =>
    Object.fromEntries(
      [...weights].map(([name, data]) => [name, np.array(of(data)).reshape([...(shapes.get(name) ?? [])])])
    )
  let parameters = arrays((data) => new Float32Array(data))
  let velocities = arrays((data) => new Float32Array(data.length))
  const x = np.array(images).reshape([batch, 1, side, side])
  const targets = np.array(oneHot).reshape([batch, classes])
  return async () => {
    const [moved, kept, value] = train(parameters, velocities, x.ref, targets.ref)
    parameters = moved
    velocities = kept
    // Lazy work is completed before the clock is read.
    const [found] = await value.data()
    await Promise.all(
      [...Object.values(parameters), ...Object.values(velocities)].map((each) => each.blockUntilReady())
    )
    return found
  }
}

const measured = (network: Network, { rounds, steps }: Options) =>
  Effect.gen(function* () {
    const task = Classification.make({ classes })
    const training = yield* Effect.fromResult(TrainingProgram.make(network.model, task, recipe))
    const executable = yield* (yield* Runtime).compile({ training })
    const parameters = training.variables.filter(({ attributes }) => attributes.role === "parameter")
    const weights = Initialise.values(Prng.fromSeed("weights"))(parameters)
    yield* executable.write(weights)
    let step = 0
    const uninet = Effect.suspend(() =>
      executable.run("training", { image: images, targets: labels, ...Optimiser.inputs([], learningRate, step++) })
    ).pipe(Effect.map(({ loss }) => loss[0]))
    const next = byJax(network, weights, new Map(parameters.map((each) => [each.attributes.name, each.shape])))
    const jax = Effect.promise(next)

    const sides = { uninet, jax }
    const losses = { uninet: new Array<number>(), jax: new Array<number>() }
    const milliseconds = { uninet: new Array<number>(), jax: new Array<number>() }
    for (const name of ["uninet", "jax"] as const) for (let i = 0; i < 5; i++) losses[name].push(yield* sides[name])
    for (let round = 0; round < rounds; round++)
      for (const name of ["uninet", "jax"] as const) {
        const turn = performance.now()
        for (let i = 0; i < steps && performance.now() - turn < 1000; i++) {
          const begun = performance.now()
          yield* sides[name]
          milliseconds[name].push(performance.now() - begun)
        }
      }
    return {
      network: network.name,
      uninet: { milliseconds: milliseconds.uninet, losses: losses.uninet },
      jax: { milliseconds: milliseconds.jax, losses: losses.jax }
    }
  }).pipe(Effect.scoped)

/** Measures both on every network, and reports what it is doing. */
export const measure = async (options: Options, say: (line: string) => void): Promise<ReadonlyArray<Measured>> => {
  await init("wasm")
  const all = Effect.forEach(networks, (network) =>
    Effect.andThen(
      Effect.sync(() => say(network.name)),
      measured(network, options)
    )
  )
  return await Effect.runPromise(Effect.provide(all, Loops.fast()))
}
