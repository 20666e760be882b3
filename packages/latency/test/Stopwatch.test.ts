import { assert, describe, it } from "@effect/vitest"
import { Form, Load, Memory, Statistics, Stopwatch, Target } from "@uninet/latency"
import { Model as Onnx } from "@uninet/onnx"
import { Model, Nn, Scope } from "@uninet/nn"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

const target = { threads: 1, batch: 2 }

const network = (width: number) =>
  Result.getOrThrow(
    Form.of(
      Model.make({
        inputs: { x: Model.input([4]) },
        forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: width })(x) })
      })
    )
  )

/** `y = exp(x) + exp(exp(x))` of 256 numbers an example. */
const exponentials = Onnx.encode({
  name: "exponentials",
  nodes: [
    { opType: "Exp", domain: "", inputs: ["x"], outputs: ["a"], attributes: {} },
    { opType: "Exp", domain: "", inputs: ["a"], outputs: ["b"], attributes: {} },
    { opType: "Add", domain: "", inputs: ["a", "b"], outputs: ["y"], attributes: {} }
  ],
  constants: [],
  inputs: [{ name: "x", type: "float32", shape: ["batch", 256] }],
  outputs: [{ name: "y", type: "float32", shape: ["batch", 256] }],
  metadata: {}
})

describe("measuring", () => {
  it.effect("gives every model its latency in the order asked for, in an interval", () =>
    Effect.gen(function* () {
      const turns: Array<number> = []
      const { models, others, reference } = yield* Stopwatch.measure({
        target,
        rounds: 3,
        onTurn: (done) => Effect.sync(() => turns.push(done))
      })([
        { name: "narrow", file: network(2) },
        { name: "wide", file: network(64) }
      ])
      assert.deepEqual(
        models.map(({ name }) => name),
        ["narrow", "wide"]
      )
      for (const { latency, turns } of models) {
        assert.isTrue(0 < latency.value && latency.low <= latency.value && latency.value <= latency.high)
        assert.strictEqual(turns, 3)
      }
      assert.isTrue(reference.milliseconds > 0 && others >= 0)
      assert.deepEqual(turns, [1, 2, 3, 4, 5, 6])
    })
  )

  it.effect("names the model that does not run", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Stopwatch.measure({ target, rounds: 3 })([{ name: "broken.onnx", file: Uint8Array.of(1, 2, 3) }])
      )
      assert.match(error.message, /^broken\.onnx cannot be measured: /)
    })
  )

  it.effect("plans memory for what is held at once", () =>
    Effect.gen(function* () {
      // Both of the sum's terms, one of which it is written over.
      assert.strictEqual(yield* Memory.planned(target)({ name: "exponentials", file: exponentials }), 2 * 2 * 256 * 4)
    })
  )

  it("understands threads of this processor, and says what is not measured here", () => {
    assert.deepEqual(Result.getOrThrow(Target.parse(8)("cpu:2")), { threads: 2, batch: 8 })
    assert.deepEqual(Result.getOrThrow(Target.parse(1)("cpu")), { threads: 1, batch: 1 })
    assert.deepEqual(Result.getOrThrow(Target.parse(4)("webgpu")), { threads: 1, batch: 4, provider: "webgpu" })
    assert.strictEqual(Target.print({ threads: 1, batch: 4, provider: "webgpu" }), "webgpu, batch 4")
    for (const text of ["gpu", "cpu:0", "browser"])
      assert.match(
        Result.getOrThrow(Result.flip(Target.parse(1)(text))).message,
        /^\S+ cannot be measured here: models are measured on cpu, cpu:n or webgpu; give cpu:n /
      )
  })

  it("counts what others had of the machine", () => {
    assert.strictEqual(Load.others({ busy: 100, own: 50, at: 0 }, { busy: 1100, own: 550, at: 1000 }), 0.5)
    // A system whose counts stand still says nothing.
    assert.strictEqual(Load.others({ busy: 0, own: 50, at: 0 }, { busy: 0, own: 550, at: 1000 }), 0)
  })

  it("has intervals that are wider where it is asked for, and in ratios of what is uncertain", () => {
    const [narrow, wide] = [1, 3].map((widened) => Statistics.quantileOf(0.5, widened)([1, 2, 3, 4, 5]))
    assert.strictEqual(narrow.value, 3)
    assert.closeTo(wide.high - 3, 3 * (narrow.high - 3), 1e-12)
    const { high, low, value } = Statistics.ratio({ value: 4, low: 3, high: 5 }, { value: 2, low: 2, high: 2 })
    assert.deepEqual([low, value, high], [1.5, 2, 2.5])
  })
})
