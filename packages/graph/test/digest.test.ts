import { assert, describe, it } from "@effect/vitest"
import { Op, Program } from "@uninet/graph"
import * as Result from "effect/Result"
import fc from "fast-check"
import { execFileSync } from "node:child_process"
import * as Murmur from "../src/internal/murmur.js"
import { digested } from "./support/digested.ts"
import { check } from "./support/draw.ts"
import { programOf } from "./support/gradients.ts"
import { graph, growAll, type Step } from "./support/graphs.ts"

describe("MurmurHash3", () => {
  it("is the published one", () => {
    assert.strictEqual(Murmur.ofText(""), "0".repeat(32))
    assert.strictEqual(
      Murmur.ofText("I will not buy this tobacconist's, it is scratched."),
      "9b5b7ba2ef3f7866889adeaf00f3f98e"
    )
    assert.strictEqual(Murmur.ofText("The quick brown fox jumps over the lazy dog"), "2f1583c3ecee2c675d7bf66ce5e91d2c")
  })
})

/** A random graph's tensors as outputs. */
const outputsOf = (steps: ReadonlyArray<Step>) => {
  const leaves = [Op.input("a", [2, 3]), Op.input("b", [2, 3]), Op.input("weight", [3, 3])]
  return Object.fromEntries(growAll(steps, leaves).map((t, i) => [`${i}`, t]))
}

/** One output made of a constant of many elements, one of which is changed. */
const withConstant = (change: (data: Float32Array) => void = () => undefined) => {
  const data = Float32Array.from({ length: 10_000 }, (_, i) => i)
  change(data)
  return Program.digest(programOf({ y: Op.constant(data, [100, 100]) }))
}

describe("Program.digest", () => {
  it("is the same in every process and on every machine", () => {
    const expected = "e6398511d2284a853785e27a93ef7a22"
    assert.strictEqual(Program.digest(digested()), expected)
    const code = `
      import { Program } from "@uninet/graph"
      import { digested } from "./test/support/digested.ts"
      console.log(Program.digest(digested()))`
    const args = ["--input-type=module-typescript", "--eval", code]
    const printed = execFileSync(process.execPath, args, { cwd: new URL("..", import.meta.url) })
    assert.strictEqual(printed.toString().trim(), expected)
  })

  it("is equal exactly where fingerprints are, constants apart", () =>
    check(fc.tuple(graph, graph), ([some, others]) => {
      const [a, b] = [some, others].map((steps) => programOf(outputsOf(steps)))
      assert.strictEqual(Program.digest(a), Program.digest(programOf(outputsOf(some))))
      assert.strictEqual(Program.digest(a) === Program.digest(b), Program.fingerprint(a) === Program.fingerprint(b))
    }))

  it("tells constants of any size apart by their bits, and not by which array they are", () => {
    assert.strictEqual(withConstant(), withConstant())
    const changed = [
      withConstant(),
      withConstant((data) => (data[9999] += 1)),
      withConstant((data) => (data[0] = -0)),
      withConstant((data) => (data[5000] = Number.NaN))
    ]
    assert.strictEqual(new Set(changed).size, changed.length)
    const data = Float32Array.from({ length: 8 }, (_, i) => i)
    const digest = (shape: ReadonlyArray<number>, of: Float32Array | Int32Array = data) =>
      Program.digest(programOf({ y: Op.constant(of, shape) }))
    assert.notStrictEqual(digest([8]), digest([2, 4]))
    assert.notStrictEqual(digest([8]), digest([8], new Int32Array(data.buffer)))
    assert.strictEqual(digest([2], Float32Array.of(2, 3)), digest([2], data.subarray(2, 4)))
  })

  it("tells names, attributes that JSON has no word for, and updates apart", () => {
    const x = Op.input("x", [2])
    const count = Op.variable(
      { name: "count", role: "buffer", initialiser: { kind: "constant", value: 0 }, decay: false },
      [2]
    )
    const updating = (value: typeof x | typeof count) =>
      Result.getOrThrow(Program.make({ outputs: { x }, updates: [{ variable: count, value }] }))
    const programs = [
      programOf({ x }),
      programOf({ y: x }),
      programOf({ x: Op.input("y", [2]) }),
      ...[0, -0, Number.NaN, Infinity, -Infinity].map((value) => programOf({ x: Op.fill(value, [2]) })),
      updating(x),
      updating(count)
    ]
    assert.strictEqual(new Set(programs.map(Program.digest)).size, programs.length)
  })
})
