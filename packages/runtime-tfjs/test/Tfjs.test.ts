import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import { Op, Program } from "@uninet/graph"
import { type RuntimeError, Runtime } from "@uninet/engine"
import { Tfjs } from "@uninet/runtime-tfjs"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Prng, Space } from "@uninet/search-space"
import * as Starting from "../../runtime/test/support/starting.ts"
import { space, train } from "./support/steps.ts"

const made = (ends: Parameters<typeof Program.make>[0]) => Result.getOrThrow(Program.make(ends))

const variable = (name: string, shape: ReadonlyArray<number>, role: Op.Role = "parameter") =>
  Op.variable({ name, role, initialiser: { kind: "constant", value: 0 }, decay: false }, shape)

const x = Op.input("x", [2])
const count = variable("count", [], "buffer")
const counting = made({
  outputs: { y: Op.add(x, count), x, count },
  updates: [{ variable: count, value: Op.add(count, Op.fill(1)) }]
})

const level = () => tf.memory().numTensors

const backends = { wasm: Tfjs.wasm(), cpu: Tfjs.cpu() }

for (const [name, layer] of Object.entries(backends))
  describe(`an executable on tfjs ${name}`, () => {
    it.live("keeps what its programs update, and gives outputs that are the caller's own", () =>
      Effect.gen(function* () {
        const { read, run } = yield* (yield* Runtime).compile({ counting })
        const first = yield* run("counting", { x: Float32Array.of(1, 2) })
        const second = yield* run("counting", { x: Float32Array.of(1, 2) })
        assert.deepStrictEqual([...first.y, ...second.y, ...second.x, ...second.count], [1, 2, 2, 3, 1, 2, 1])
        first.y[0] = 9
        assert.deepStrictEqual(yield* read, new Map([["count", Float32Array.of(2)]]))
      }).pipe(Effect.scoped, Effect.provide(layer))
    )

    it.live("takes values of single variables, joined by the optimiser or not, and refuses those that do not fit", () =>
      Effect.gen(function* () {
        const [p, q] = [variable("p", [2]), variable("q", [3])]
        const rate = Op.input("rate", [])
        const step = Op.input("step", [])
        const updates = [p, q].flatMap((parameter) => {
          const moments = [1, 2].map((n) =>
            variable(`moment${n}/${parameter.attributes.name}`, parameter.shape, "moment")
          )
          const state = { parameter, gradient: Op.fill(1, parameter.shape), moment1: moments[0], moment2: moments[1] }
          const next = Op.adamw({ beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 }, state, rate, step)
          return [
            { variable: parameter, value: next.parameter },
            { variable: moments[0], value: next.moment1 },
            { variable: moments[1], value: next.moment2 }
          ]
        })
        const training = made({ outputs: { q }, updates })
        const reading = made({ outputs: { both: Op.concat([p, q], 0) } })
        const { read, run, write } = yield* (yield* Runtime).compile({ training, reading })
        yield* write(new Map([["q", Float32Array.of(1, 2, 3)]]))
        yield* run("training", { rate: Float32Array.of(0.5), step: Float32Array.of(1) })
        const { both } = yield* run("reading", {})
        for (const [i, value] of [-0.5, -0.5, 0.5, 1.5, 2.5].entries()) assert.closeTo(both[i], value, 1e-5)
        const values = yield* read
        assert.deepStrictEqual([...values.keys()].sort(), [
          "moment1/p",
          "moment1/q",
          "moment2/p",
          "moment2/q",
          "p",
          "q"
        ])
        assert.closeTo(values.get("moment1/q")?.[2] ?? 0, 0.1, 1e-6)
        const error = yield* Effect.flip(
          write(
            new Map([
              ["q", Float32Array.of(1)],
              ["r", Float32Array.of(1)]
            ])
          )
        )
        assert.strictEqual(
          error.message,
          "the values do not fit the network's variables: no such variable: r; q has 3 elements, not 1"
        )
        assert.deepStrictEqual(yield* read, values)
      }).pipe(Effect.scoped, Effect.provide(layer))
    )

    it.live("says which input is missing or of the wrong type", () =>
      Effect.gen(function* () {
        const { run } = yield* (yield* Runtime).compile({ counting })
        const none = yield* Effect.flip(run("counting", {}))
        const wrong = yield* Effect.flip(run("counting", { x: Int32Array.of(1, 2) }))
        assert.strictEqual(
          none.message,
          'the program "counting" needs 2 elements of float32 [2] for its input "x"; given: nothing'
        )
        assert.include(wrong.message, "given: 2 elements of int32")
      }).pipe(Effect.scoped, Effect.provide(layer))
    )

    for (const [law, check] of Object.entries(Starting.laws))
      it.live(`variables ${law}`, () =>
        check.pipe(
          Effect.map((broken) => assert.isUndefined(broken)),
          Effect.scoped,
          Effect.provide(layer)
        )
      )

    it.live("holds as many tensors after every run as before, and none when its scope has ended", () =>
      Effect.gen(function* () {
        const before = level()
        yield* Effect.gen(function* () {
          const { run } = yield* (yield* Runtime).compile({ counting })
          const compiled = level()
          for (let i = 0; i < 3; i++) {
            yield* run("counting", { x: Float32Array.of(1, 2) })
            assert.strictEqual(level(), compiled)
          }
        }).pipe(Effect.scoped)
        assert.strictEqual(level(), before)
        // A whole training step, several thousand kernel calls.
        const architecture = Space.sample(Prng.fromSeed("memory"))(space)
        yield* train(architecture, "memory", 2)
        assert.strictEqual(level(), before)
      }).pipe(Effect.provide(layer))
    )
  })

describe("what goes wrong", () => {
  const pooled = made({ outputs: { y: Op.maxPool2d(Op.input("x", [1, 1, 4, 4]), { kernel: [3, 3] }) } })

  it.live("a backend without a kernel is told with the op that needs it", () =>
    Effect.gen(function* () {
      const runtime = yield* Runtime
      const kernel = tf.getKernel("MaxPool", "cpu")
      tf.unregisterKernel("MaxPool", "cpu")
      yield* Effect.addFinalizer(() => Effect.sync(() => tf.registerKernel(kernel)))
      const error = yield* Effect.flip(runtime.compile({ pooled }))
      assert.strictEqual(
        error.message,
        'tfjs cpu has no kernel MaxPool, which maxPool2d (x) of the program "pooled" needs. Use another device.'
      )
    }).pipe(Effect.scoped, Effect.provide(Tfjs.cpu()))
  )

  it.live("a package that is not installed is named with the command that adds it", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.provide(Runtime, Tfjs.nodeGpu()))
      assert.strictEqual(error._tag, "DeviceUnavailable")
      assert.include(error.message, "pnpm add -w --allow-build=@tensorflow/tfjs-node-gpu @tensorflow/tfjs-node-gpu")
    })
  )

  it.live("the best engine is the first that works", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Runtime).name, "tfjs wasm")
    }).pipe(Effect.provide(Tfjs.best()))
  )

  it.live("a program that needs more memory than there is fails as such, and frees what it had", () =>
    Effect.gen(function* () {
      // 24 GB in one tensor.
      const wide = Op.input("x", [1, 1])
      const program = made({ outputs: { y: Op.sum(Op.exp(Op.broadcastTo(wide, [80_000, 80_000]))) } })
      const error: RuntimeError = yield* Effect.flip((yield* Runtime).compile({ program }))
      assert.strictEqual(error._tag, "OutOfDeviceMemory", error.message)
      assert.include(error.message, "Use a smaller batch or another device")
    }).pipe(Effect.scoped, Effect.provide(Tfjs.cpu()))
  )
})
