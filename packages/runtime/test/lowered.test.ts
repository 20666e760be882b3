import { assert, describe, it } from "@effect/vitest"
import { Op, Program } from "@uninet/graph"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Lowered from "../src/internal/lowered.js"

const program = (kernel: number) => {
  const x = Op.input("x", [16, 2, 8, 8])
  const weight = Op.input("weight", [2, 1, kernel, kernel])
  return Result.getOrThrow(Program.make({ outputs: { y: Op.gelu(Op.conv2d(x, weight, { groups: 2 })) } }))
}
const packs = { packedInputs: [], packedOutputs: [] }

describe("lowering on ONNX Runtime", () => {
  it.effect("a graph that was lowered before is not lowered again, wherever it was built", () =>
    Effect.gen(function* () {
      const lower = yield* Lowered.make
      assert.strictEqual(yield* lower(program(3), 16, packs), yield* lower(program(3), 16, packs))
    })
  )

  it.effect("another graph, and another block size, is", () =>
    Effect.gen(function* () {
      const lower = yield* Lowered.make
      const first = yield* lower(program(3), 16, packs)
      assert.notStrictEqual(first, yield* lower(program(5), 16, packs))
      assert.notStrictEqual(first, yield* lower(program(3), 0, packs))
    })
  )
})
