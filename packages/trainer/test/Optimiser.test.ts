import { assert, describe, it } from "@effect/vitest"
import { Op, Program, Shape, type Tensor } from "@uninet/graph"
import { OnnxRuntime, Runtime } from "@uninet/runtime"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Optimiser } from "@uninet/trainer"

const parameter = (name: string, decay = true, shape: Shape.Shape = [3]): Tensor.Tensor<"variable"> =>
  Op.variable({ name, role: "parameter", initialiser: { kind: "constant", value: 0 }, decay }, shape)

/** The loss Σ c·w: its gradient is c, whatever w is. */
const linear = (variables: ReadonlyArray<Tensor.Tensor<"variable">>) =>
  variables
    .map((w) => Op.sum(Op.mul(w, Op.input(`gradient of ${w.attributes.name}`, w.shape))))
    .reduce((a, b) => Op.add(a, b))

/** Takes steps with these gradients from w = [1, -2, 0.5] and returns every variable after each. */
const steps = Effect.fnUntraced(function* (
  variables: ReadonlyArray<Tensor.Tensor<"variable">>,
  options: Optimiser.Options,
  gradients: ReadonlyArray<Readonly<Record<string, ReadonlyArray<number>>>>,
  learningRate = 0.1
) {
  const loss = linear(variables)
  const { gradientNorm, updates } = Optimiser.updates(options)(loss)
  const training = Result.getOrThrow(Program.make({ outputs: { gradientNorm }, updates }))
  const { read, run, write } = yield* (yield* Runtime).compile({ training })
  yield* write(
    new Map(
      variables.map((w) => [
        w.attributes.name,
        Float32Array.from({ length: Shape.size(w.shape) }, (_, i) => [1, -2, 0.5][i % 3])
      ])
    )
  )
  const after: Array<{ readonly norm: number; readonly of: (name: string) => ReadonlyArray<number> }> = []
  for (const [step, named] of gradients.entries()) {
    const outputs = yield* run("training", {
      ...Optimiser.inputs(options.groups, learningRate, step, options.biasRate),
      ...Object.fromEntries(Object.entries(named).map(([name, g]) => [`gradient of ${name}`, Float32Array.from(g)]))
    })
    const values = yield* read
    after.push({ norm: outputs["gradientNorm"][0], of: (name) => [...(values.get(name) ?? [])] })
  }
  return after
})

const near = (found: ReadonlyArray<number>, expected: ReadonlyArray<number>) => {
  assert.strictEqual(found.length, expected.length)
  found.forEach((x, i) => assert.closeTo(x, expected[i], 2e-6))
}

const engine = Effect.provide(OnnxRuntime.cpu())
const plain = { groups: [], gradientClip: null }
const gradients = [
  [0.3, -1, 2],
  [-0.7, 0.2, 0.1],
  [0.05, 0.4, -3]
]
const ofW = gradients.map((w) => ({ w }))

/** v ← μv + g + λw; w ← w − ηv, or η(g + λw + μv), in double precision. */
const sgdReference = (momentum: number, nesterov: boolean, decay: number) => {
  let w = [1, -2, 0.5]
  let v = [0, 0, 0]
  return gradients.map((g) => {
    const pull = g.map((x, i) => x + decay * w[i])
    v = v.map((x, i) => momentum * x + pull[i])
    w = w.map((x, i) => x - 0.1 * (nesterov ? pull[i] + momentum * v[i] : v[i]))
    return w
  })
}
const adamwReference = (decay: number, rate = 0.1, b1 = 0.9, b2 = 0.999) => {
  let w = [1, -2, 0.5]
  let m = [0, 0, 0]
  let v = [0, 0, 0]
  return gradients.map((g, t) => {
    m = m.map((x, i) => b1 * x + (1 - b1) * g[i])
    v = v.map((x, i) => b2 * x + (1 - b2) * g[i] ** 2)
    w = w.map(
      (x, i) =>
        x * (1 - rate * decay) - (rate * (m[i] / (1 - b1 ** (t + 1)))) / (Math.sqrt(v[i] / (1 - b2 ** (t + 1))) + 1e-8)
    )
    return w
  })
}

describe("SGD", () => {
  for (const [momentum, nesterov, weightDecay] of [
    [0, false, 0],
    [0.9, false, 0],
    [0.9, false, 0.01],
    [0.8, true, 0.01]
  ] as const)
    it.effect(`moves by its closed form: momentum ${momentum}, nesterov ${nesterov}, decay ${weightDecay}`, () =>
      Effect.gen(function* () {
        const optimiser = Optimiser.sgd({ momentum, nesterov, weightDecay })
        const found = yield* steps([parameter("w")], { ...plain, optimiser }, ofW)
        sgdReference(momentum, nesterov, weightDecay).forEach((w, i) => near(found[i].of("w"), w))
      }).pipe(Effect.scoped, engine)
    )

  it.effect("does not decay what is marked as free of it", () =>
    Effect.gen(function* () {
      const optimiser = Optimiser.sgd({ momentum: 0.9, weightDecay: 0.5 })
      const found = yield* steps([parameter("w", false)], { ...plain, optimiser }, ofW)
      near(found[2].of("w"), sgdReference(0.9, false, 0)[2])
    }).pipe(Effect.scoped, engine)
  )
})

describe("AdamW", () => {
  it.effect("moves by its closed form", () =>
    Effect.gen(function* () {
      const found = yield* steps([parameter("w")], { ...plain, optimiser: Optimiser.adamw() }, ofW)
      adamwReference(0.05).forEach((w, i) => near(found[i].of("w"), w))
    }).pipe(Effect.scoped, engine)
  )

  it.effect("gives a group its own rate and decay: the first whose prefix fits", () =>
    Effect.gen(function* () {
      const groups = [
        Optimiser.Group.make({ prefix: "head.frozen", learningRate: 0 }),
        Optimiser.Group.make({ prefix: "head", learningRate: 0.5, weightDecay: 4 })
      ]
      const names = ["w", "head.weight", "head.frozen"]
      const found = yield* steps(
        names.map((name) => parameter(name)),
        { optimiser: Optimiser.adamw(), groups, gradientClip: null },
        gradients.map((g) => Object.fromEntries(names.map((name) => [name, g])))
      )
      near(found[2].of("w"), adamwReference(0.05)[2])
      near(found[2].of("head.weight"), adamwReference(0.2, 0.05)[2])
      near(found[2].of("head.frozen"), [1, -2, 0.5])
    }).pipe(Effect.scoped, engine)
  )
})

/** Rows of numbers. */
type Rows = ReadonlyArray<ReadonlyArray<number>>
const times = (a: Rows, b: Rows): Rows =>
  a.map((row) => b[0].map((_, j) => row.reduce((sum, x, k) => sum + x * b[k][j], 0)))
const turned = (a: Rows): Rows => a[0].map((_, j) => a.map((row) => row[j]))
const flatOf = (a: Rows) => a.flat()
const combined = (a: Rows, p: number, b: Rows, q: number): Rows =>
  a.map((row, i) => row.map((x, j) => p * x + q * b[i][j]))

/** Newton–Schulz in double precision, as in the code of Muon's author. */
const orthogonalReference = (g: Rows): Rows => {
  if (g.length > g[0].length) return turned(orthogonalReference(turned(g)))
  const norm = Math.sqrt(flatOf(g).reduce((sum, x) => sum + x * x, 0)) + 1e-7
  let x: Rows = g.map((row) => row.map((value) => value / norm))
  for (let i = 0; i < 5; i++) {
    const square = times(x, turned(x))
    const polynomial = combined(square, -4.775, times(square, square), 2.0315)
    x = combined(x, 3.4445, times(polynomial, x), 1)
  }
  return x
}

describe("Muon", () => {
  // Two rows and six columns as a convolution's filters, and a matrix that is as tall.
  const wide = [
    [0.3, -1, 2, 0.5, 0.1, -0.2],
    [-0.7, 0.2, 0.1, 1, -1.5, 0.4]
  ]

  it.effect.each([
    ["filters", [2, 3, 1, 2], wide],
    ["a tall matrix", [6, 2], turned(wide)]
  ] as const)("moves %s by momentum that Newton–Schulz makes orthogonal, as long as AdamW's steps", ([, shape, g]) =>
    Effect.gen(function* () {
      const optimiser = Optimiser.muon({ weightDecay: 0.5 })
      const given = { w: flatOf(g) }
      const found = yield* steps([parameter("w", true, shape)], { ...plain, optimiser }, [given, given])
      let w = Array.from({ length: 12 }, (_, i) => [1, -2, 0.5][i % 3] ?? 0)
      let v: Rows = g.map((row) => row.map(() => 0))
      for (const { of } of found) {
        v = combined(v, 0.95, g, 1)
        const direction = flatOf(orthogonalReference(combined(v, 0.95, g, 1)))
        w = w.map((x, i) => x * (1 - 0.1 * 0.5) - 0.1 * 0.2 * Math.sqrt(6) * direction[i])
        of("w").forEach((x, i) => assert.closeTo(x, w[i], 5e-5))
      }
      // Singular values near 1: the rows are nearly orthogonal, and nearly of length 1.
      const [[aa, ab], [, bb]] = times(orthogonalReference(wide), turned(orthogonalReference(wide)))
      for (const square of [aa, bb]) assert.isTrue(square > 0.4 && square < 1.5, String(square))
      assert.isBelow(Math.abs(ab), 0.3)
    }).pipe(Effect.scoped, engine)
  )

  it.effect("leaves biases, depthwise filters and what is excepted to AdamW", () =>
    Effect.gen(function* () {
      const variables = [
        parameter("bias"),
        parameter("dwconv.weight", true, [3, 1, 1, 1]),
        parameter("classifier.weight", true, [3, 1])
      ]
      const named = gradients.map((g) => Object.fromEntries(variables.map(({ attributes }) => [attributes.name, g])))
      const found = yield* steps(variables, { ...plain, optimiser: Optimiser.muon() }, named)
      const adamw = adamwReference(0.05)
      for (const { attributes } of variables) near(found[2].of(attributes.name), adamw[2])
      const clipped = yield* steps(
        [parameter("bias"), parameter("w", true, [3, 3])],
        { ...plain, gradientClip: 0.5, optimiser: Optimiser.muon() },
        [{ bias: [3, 0, 0], w: [4, 0, 0, 0, 0, 0, 0, 0, 0] }]
      )
      assert.closeTo(clipped[0].norm, 5, 1e-6)
    }).pipe(Effect.scoped, engine)
  )
})

describe("a rate of the biases' own", () => {
  it.effect("is of parameters named bias, in groups as well, and of no other", () =>
    Effect.gen(function* () {
      const variables = ["w", "bias", "head.norm.bias", "head.weight"].map((name) => parameter(name, false))
      const groups = [Optimiser.Group.make({ prefix: "head", learningRate: 0.5 })]
      const named = gradients.map((g) => Object.fromEntries(variables.map(({ attributes }) => [attributes.name, g])))
      const optimiser = Optimiser.adamw()
      const found = yield* steps(variables, { optimiser, groups, gradientClip: null, biasRate: 0.5 }, named)
      const rates = { w: 0.1, bias: 0.05, "head.norm.bias": 0.025, "head.weight": 0.05 }
      for (const [name, rate] of Object.entries(rates)) near(found[2].of(name), adamwReference(0, rate)[2])
    }).pipe(Effect.scoped, engine)
  )

  it("changes nothing of a program where it is not asked for", () => {
    const loss = linear([parameter("bias"), parameter("w")])
    const digest = (options: Partial<Optimiser.Options>) =>
      Program.digest(
        Result.getOrThrow(
          Program.make({
            outputs: {},
            updates: Optimiser.updates({ ...plain, optimiser: Optimiser.adamw(), ...options })(loss).updates
          })
        )
      )
    // As before that rate existed.
    assert.strictEqual(digest({}), "106f34c8690f1b825349cbb8ab83b9ec")
    assert.notStrictEqual(digest({}), digest({ biasRate: 2 }))
  })
})

describe("clipping", () => {
  const norm = Math.sqrt(0.3 ** 2 + 1 + 4 + 0.5 ** 2)
  const named = [{ a: [0.3, -1, 2], b: [0, 0.5, 0] }]
  const variables = [parameter("a", false), parameter("b", false)]
  const optimiser = Optimiser.sgd({ momentum: 0 })

  it.effect("scales all gradients together, by the norm of all together", () =>
    Effect.gen(function* () {
      const [{ norm: found, of }] = yield* steps(variables, { optimiser, groups: [], gradientClip: 0.5 }, named)
      assert.closeTo(found, norm, 1e-6)
      const scale = (0.1 * 0.5) / norm
      near(of("a"), [1 - 0.3 * scale, -2 + scale, 0.5 - 2 * scale])
      near(of("b"), [1, -2 - 0.5 * scale, 0.5])
    }).pipe(Effect.scoped, engine)
  )

  it.effect("leaves gradients below its bound as they are", () =>
    Effect.gen(function* () {
      const [clipped] = yield* steps(variables, { optimiser, groups: [], gradientClip: 3 }, named)
      const [free] = yield* steps(variables, { optimiser, groups: [], gradientClip: null }, named)
      for (const name of ["a", "b"]) assert.deepStrictEqual(clipped.of(name), free.of(name))
    }).pipe(Effect.scoped, engine)
  )
})
