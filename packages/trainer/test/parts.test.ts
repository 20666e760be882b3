import { assert, describe, it } from "@effect/vitest"
import { Augmentation, Dataset } from "@uninet/data"
import { Op, Program } from "@uninet/graph"
import { Model } from "@uninet/nn"
import { OnnxRuntime, Runtime } from "@uninet/runtime"
import type { ModelSpace } from "@uninet/model-space"
import {
  Distillation,
  type FitOptions,
  Initialise,
  Lookahead,
  Optimiser,
  Progressive,
  Recipe,
  Teacher,
  Trainer,
  TrainingProgram,
  Views,
  Whitening
} from "@uninet/trainer"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { architecture, layer, network, networkOf, recipe } from "./support/tiny.ts"

const evaluation = Result.getOrThrow(Model.evaluation({ batch: 2 })(network.model))

/** Runs a model's evaluation on one picture of 3×4 and returns its output. */
const looked = (views: Views.Views, forward: Model.Model["forward"]) =>
  Effect.gen(function* () {
    const model = Views.of(views)({ inputs: { image: Model.input([1, 3, 4]) }, forward })
    const program = Result.getOrThrow(Model.evaluation({ batch: 2 })(model))
    const { run } = yield* (yield* Runtime).compile({ program })
    const picture = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    const { out } = yield* run("program", { image: Float32Array.from([...picture, ...picture.map((x) => 100 * x)]) })
    return [Array.from(out.slice(0, 12)), Array.from(out.slice(12), (x) => x / 100)] as const
  }).pipe(Effect.scoped, Effect.provide(OnnxRuntime.cpu()))

const same: Model.Model["forward"] = (_, { image }) => ({ out: image ?? Op.fill(0) })

const reflected = (i: number, n: number) => (i < 0 ? -i : i >= n ? 2 * n - 2 - i : i)

/** The picture's number at a position, or the one reflected there. */
const at = (row: number, column: number) => 1 + 4 * reflected(row, 3) + reflected(column, 4)

const digest = (given: Recipe.Recipe) =>
  Program.digest(Result.getOrThrow(TrainingProgram.make(network.model, network.task, given)))

/** Trains the tiny network, or another one, to the end. */
const trained = (options: Partial<FitOptions> & Pick<FitOptions, "recipe">, of = network) =>
  Effect.gen(function* () {
    const events = yield* Stream.runCollect((yield* Trainer).fit(of, { seed: 1, ...options }))
    const last = events.at(-1)
    return last?._tag === "Finished" ? last : assert.fail()
  })

/** The final weights of that training. */
const weightsOf = (recipe: Recipe.Recipe, of = network) => Effect.map(trained({ recipe }, of), ({ weights }) => weights)

/** Probabilities at a temperature of 3. */
const softened = (logits: ReadonlyArray<number>) => {
  const each = logits.map((x) => Math.exp(x / 3))
  const sum = each.reduce((a, b) => a + b)
  return each.map((x) => x / sum)
}

const row = (values: ReadonlyArray<number>) => Op.constant(Float32Array.from(values), [1, values.length])

describe("views", () => {
  it.effect("are the mean of the picture and of its mirror image, of each picture of the batch by itself", () =>
    Effect.gen(function* () {
      const [one, other] = yield* looked({ mirror: true, shift: 0 }, same)
      assert.deepStrictEqual(one, [2.5, 2.5, 2.5, 2.5, 6.5, 6.5, 6.5, 6.5, 10.5, 10.5, 10.5, 10.5])
      assert.deepStrictEqual(other, one)
    })
  )

  it.effect("are half of the picture in its place, and a quarter of each shift, reflected at the edges", () =>
    Effect.gen(function* () {
      const wanted = [0, 1, 2].flatMap((row) =>
        [0, 1, 2, 3].map((c) => at(row, c) / 2 + at(row + 1, c + 1) / 4 + at(row - 1, c - 1) / 4)
      )
      assert.deepStrictEqual((yield* looked({ mirror: false, shift: 1 }, same))[0], wanted)
    })
  )

  it("leave a model alone where there are none, and are refused where its targets would not follow", () => {
    assert.strictEqual(Views.of({ mirror: false, shift: 0 })(network.model), network.model)
    assert.strictEqual(Views.of(undefined)(network.model), network.model)
    const views = { mirror: true, shift: 0 }
    const rows = Model.make({ inputs: { row: Model.input([3]) }, forward: (_, { row }) => ({ logits: row }) })
    const refused = (model: Model.Model, task = network.task) =>
      Result.match(TrainingProgram.make(model, task, { ...Recipe.proxy, views }), {
        onFailure: ({ message }) => message,
        onSuccess: () => ""
      })
    assert.match(
      refused(rows),
      /views cannot be used .* the network's only input is not a picture; leave the views out/
    )
    const allows = { ...network.task.allows, augmentation: "values" as const }
    assert.match(
      refused(network.model, { ...network.task, allows }),
      /its outputs would not be transformed with the pictures/
    )
  })
})

describe("whitening", () => {
  const prng = Prng.fromSeed("whitening")
  const image = { channels: 2, height: 6, width: 7 }
  /** Neighbouring pixels are similar, and so are the two channels. */
  const pictures = new Float32Array(40 * 2 * 6 * 7)
  for (let i = 0; i < pictures.length; i++) pictures[i] = prng.nextNormal() + (i % 7 === 0 ? 0 : 0.8 * pictures[i - 1])
  const size = 2 * 2 * 3
  const ofPatches = Whitening.moments(pictures, image, [2, 3])

  it("finds the directions of a symmetric matrix, each by itself, in falling order", () => {
    const found = Whitening.eigen(ofPatches)
    const product = (v: Float64Array, i: number) => v.reduce((sum, x, j) => sum + x * ofPatches[i * size + j], 0)
    for (const [place, { value, vector }] of found.entries()) {
      vector.forEach((x, i) => assert.closeTo(product(vector, i), value * x, 1e-10))
      assert.isAtLeast(value, found[place + 1]?.value ?? 0)
    }
  })

  it("gives filters whose answers have variance 1 and go with no other, then their opposites, then what was drawn", () => {
    const drawn = new Float32Array(30 * size).fill(0.5)
    const weight = Whitening.filters(drawn, 30, ofPatches, { examples: 40, epsilon: 1e-9 })
    const row = (i: number) => Array.from(weight.subarray(i * size, (i + 1) * size))
    const covariance = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) =>
      a.reduce((sum, x, i) => sum + x * b.reduce((all, y, j) => all + y * ofPatches[i * size + j], 0), 0)
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) assert.closeTo(covariance(row(i), row(j)), Number(i === j), 1e-4)
      assert.deepStrictEqual(
        row(size + i),
        row(i).map((x) => -x)
      )
    }
    assert.deepStrictEqual(
      row(2 * size),
      Array.from({ length: size }, () => 0.5)
    )
  })

  it.effect("is the first convolution's weight, which no step changes", () =>
    Effect.gen(function* () {
      const own: Recipe.Recipe = { ...Recipe.proxy, batch: 16 }
      const whitening = { examples: 60, epsilon: 5e-4 }
      const [one, two] = [yield* weightsOf({ ...own, whitening }), yield* weightsOf({ ...own, whitening, epochs: 2 })]
      assert.deepStrictEqual(one.get("stem.0.weight"), two.get("stem.0.weight"))
      assert.notDeepEqual(one.get("classifier.weight"), two.get("classifier.weight"))
      const plain = yield* weightsOf(own)
      assert.notDeepEqual(plain.get("stem.0.weight"), one.get("stem.0.weight"))
      const rows = Model.make({
        inputs: { image: Model.input([1, 8, 8]) },
        forward: (_, { image }) => ({ logits: Op.reshape(Op.slice(image, 2, 0, 1), [image.shape[0] ?? 1, 8]) })
      })
      const refused = TrainingProgram.make(rows, network.task, { ...Recipe.proxy, whitening })
      assert.match(Result.isFailure(refused) ? refused.failure.message : "", /no convolution of the pictures/)
    }).pipe(Effect.provide(layer()))
  )
})

describe("growing pictures", () => {
  const small = { epochs: 1, size: 4 }
  const one: Recipe.Recipe = { ...recipe, epochs: 1 }
  const refused = (of: ModelSpace.Trainable, size: number) =>
    Result.match(TrainingProgram.all(of.model, of.task, { ...one, progressive: [{ epochs: 1, size }] }), {
      onFailure: ({ message }) => message,
      onSuccess: () => ""
    })

  it.effect("train the same weights as the network of that size does, and then those of the network's own", () =>
    Effect.gen(function* () {
      const smaller = { ...network, model: Progressive.of(4)(network.model) ?? network.model }
      const reference = yield* weightsOf({ ...one, imageSize: 4 }, smaller)
      assert.deepStrictEqual(yield* weightsOf({ ...one, progressive: [small] }), reference)
      const two = { ...one, epochs: 2 }
      const [grown, plain] = [yield* weightsOf({ ...two, progressive: [small] }), yield* weightsOf(two)]
      assert.notDeepEqual(grown, plain)
    }).pipe(Effect.provide(layer()))
  )

  it("are no part of the step on the network's own pictures", () => {
    assert.strictEqual(digest({ ...recipe, progressive: [small] }), digest(recipe))
    const growing = [small, { epochs: 2, size: 6 }]
    assert.deepStrictEqual(
      [0, 1, 2, 3].map((epoch) => Progressive.sizeAt(epoch)(growing)),
      [4, 6, 6, undefined]
    )
  })

  it("are refused where they do not grow, or where weights count positions", () => {
    const longer = TrainingProgram.checkRecipe({ ...one, progressive: [small, small] })
    assert.match(
      Result.isFailure(longer) ? longer.failure.message : "",
      /its sizes take 2 epochs, but the recipe has only 1/
    )
    assert.match(refused(network, 8), /pictures of 8 pixels are no smaller than the network's 8; give a smaller size/)
    const mixer = networkOf({
      ...architecture,
      stages: architecture.stages.map((stage) => ({ ...stage, operator: "MLP" }))
    })
    assert.match(
      refused(mixer, 4),
      /cannot use its weights for pictures of 4 pixels \(its blocks\.0\.mix\.fc1\.weight is /
    )
  })
})

describe("a teacher", () => {
  const own: Recipe.Recipe = { ...Recipe.proxy, batch: 16 }
  const distillation = { weight: 0.5, temperature: 3 }
  const fit = (options: Partial<FitOptions>) => Effect.map(trained({ recipe: own, ...options }), (last) => last.weights)
  const refused = (options: Partial<FitOptions>) => Effect.map(Effect.flip(fit(options)), ({ message }) => message)

  it.effect("has its part in the loss, the cross entropy with its softened probabilities", () =>
    Effect.gen(function* () {
      const logits = [1, -2, 0.5, 3]
      const teacher = [2, 0, -1, 0.5]
      const [p, q] = [softened(teacher), softened(logits)]
      const wanted = 0.5 * 7 + 0.5 * 9 * -p.reduce((sum, each, i) => sum + each * Math.log(q[i] ?? 0), 0)
      const loss = Distillation.loss(
        distillation,
        network.task,
        { logits: row(logits) },
        { own: Op.fill(7), teacher: row(teacher) }
      )
      const program = Result.getOrThrow(Program.make({ outputs: { loss } }))
      const { run } = yield* (yield* Runtime).compile({ program })
      assert.closeTo((yield* run("program", {})).loss[0] ?? 0, wanted, 1e-5)
    }).pipe(Effect.scoped, Effect.provide(OnnxRuntime.cpu()))
  )

  it.effect("teaches, is a part of what a checkpoint is of, and counts nothing at a weight of 0", () =>
    Effect.gen(function* () {
      const plain = yield* fit({})
      const teacher = { network, weights: plain }
      const taught = yield* fit({ recipe: { ...own, distillation }, teacher })
      assert.notDeepEqual(taught, plain)
      const deaf = yield* fit({ recipe: { ...own, distillation: { ...distillation, weight: 0 } }, teacher })
      for (const [name, weights] of deaf)
        weights.forEach((x, i) => assert.closeTo(x, plain.get(name)?.[i] ?? Number.NaN, 1e-5, name))
    }).pipe(Effect.provide(layer()))
  )

  it.effect("has its logits from a table wherever examples are shown as they are, and only there", () =>
    Effect.gen(function* () {
      const weights = yield* fit({})
      const told = { ...own, distillation }
      const logits = yield* Teacher.logitsOf(yield* Dataset.Dataset, null)({ network, weights })
      const asked = yield* fit({ recipe: told, teacher: { network, weights } })
      const looked = yield* fit({ recipe: told, teacher: { network, weights, logits } })
      for (const [name, values] of looked)
        values.forEach((x, i) => assert.closeTo(x, asked.get(name)?.[i] ?? Number.NaN, 1e-5, name))
      const wrong = logits.map((x) => -x)
      assert.notDeepEqual(yield* fit({ recipe: told, teacher: { network, weights, logits: wrong } }), looked)
      const moved = { ...told, augmentation: [Augmentation.randomCrop(1)] }
      assert.deepStrictEqual(
        yield* fit({ recipe: moved, teacher: { network, weights, logits: wrong } }),
        yield* fit({ recipe: moved, teacher: { network, weights } })
      )
      const short = { network, weights, logits: logits.slice(1) }
      assert.match(yield* refused({ recipe: told, teacher: short }), /the teacher's logits are \d+ numbers, but /)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("is refused where it has nothing to say, and asked for where the recipe needs it", () =>
    Effect.gen(function* () {
      const teacher = { network, weights: new Map<string, Float32Array>() }
      const recipe = { ...own, distillation }
      assert.match(yield* refused({ recipe }), /there is no teacher; give one/)
      assert.match(yield* refused({ teacher }), /does not say how to learn from it/)
      assert.match(
        yield* refused({ recipe: { ...recipe, progressive: [{ epochs: 1, size: 4 }] }, teacher }),
        /the teacher does not take smaller pictures/
      )
      const larger = { ...network, model: Progressive.of(12)(network.model) ?? network.model }
      assert.match(
        yield* refused({ recipe, teacher: { ...teacher, network: larger } }),
        /takes image \[1×12×12\], but the network takes image \[1×8×8\]/
      )
      assert.match(yield* refused({ recipe, teacher }), /stem/)
      const numbers = { ...network.task, mixed: null }
      const made = TrainingProgram.make(network.model, numbers, recipe)
      assert.match(Result.isFailure(made) ? made.failure.message : "", /not distributions over classes/)
    }).pipe(Effect.provide(layer()))
  )
})

describe("lookahead", () => {
  it.effect("moves slow weights a part of the way, and sets the weights back to them", () =>
    Effect.gen(function* () {
      const program = Result.getOrThrow(Lookahead.program(evaluation.variables))
      const { read, run, write } = yield* (yield* Runtime).compile({ evaluation, program })
      const name = "classifier.bias"
      const set = (value: number) => write(new Map([[name, new Float32Array(4).fill(value)]]))
      const step = (stay: number) => run("program", { [Lookahead.stayName]: Float32Array.of(stay) })
      const both = Effect.map(read, (values) => [values.get(name)?.[0], values.get(`slow.${name}`)?.[0]])
      yield* Initialise.write({ write }, program.variables, Prng.fromSeed("lookahead"))
      yield* set(2)
      yield* step(0)
      assert.deepStrictEqual(yield* both, [2, 2])
      yield* set(6)
      yield* step(0.75)
      assert.deepStrictEqual(yield* both, [3, 3])
      const moved = program.variables.map(({ attributes }) => attributes.name)
      assert.isFalse(moved.some((each) => /running/.test(each)))
    }).pipe(Effect.scoped, Effect.provide(OnnxRuntime.cpu()))
  )

  it("is due after every so many steps", () => {
    const due = Array.from({ length: 7 }, (_, step) => Lookahead.isDue(step)({ every: 3, stay: 0.5 }))
    assert.deepStrictEqual(due, [false, false, true, false, false, true, false])
  })
})

describe("a recipe with every part", () => {
  const whole: Recipe.Recipe = {
    ...recipe,
    epochs: 3,
    learningRate: 0.01,
    optimiser: Optimiser.muon(),
    biasRate: 8,
    lookahead: { every: 3, stay: 0.5 },
    views: { mirror: true, shift: 1 }
  }
  it.effect("trains, is judged by its views, and is the same each time", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* trained({ recipe: whole }), yield* trained({ recipe: whole })]
      assert.deepStrictEqual(one.validation, other.validation)
      const trainer = yield* Trainer
      const judged = (views: Views.Views | undefined) =>
        Effect.map(trainer.evaluate(network, one.weights, "validation", { views }), ({ measures }) => measures)
      assert.deepStrictEqual(yield* judged(whole.views), one.validation.measures)
      assert.notDeepEqual(yield* judged(undefined), one.validation.measures)
    }).pipe(Effect.provide(layer()))
  )

  it("is data that survives JSON, and leaves no trace where it is not asked for", () => {
    const json = Recipe.toJson(whole)
    assert.deepStrictEqual(Schema.decodeUnknownSync(Recipe.Recipe)(json), whole)
    const plain = JSON.stringify(Recipe.toJson(Recipe.quick))
    for (const part of ["biasRate", "distillation", "examples", "lookahead", "progressive", "views"])
      assert.notInclude(plain, part)
    const { lookahead: _l, views: _v, ...rest } = whole
    // Neither is part of a step.
    assert.strictEqual(digest(whole), digest(rest))
  })
})
