import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { here, uninet } from "./support/cli.ts"

describe("uninet doctor", () => {
  it.live("checks every engine by a training step, and says why and how to add what is absent", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* here(["doctor", "--json"])
      assert.strictEqual(code, 0)
      const found = JSON.parse(stdout)
      assert.strictEqual(found.node, process.version)
      for (const key of ["cores", "memoryBytes", "freeMemoryBytes"]) assert.isAbove(found[key], 0)
      const engine = (device: string) => found.engines.find((one: { device: string }) => one.device === device)
      for (const device of ["cpu", "portable", "loops", "tfjs-wasm", "tfjs-cpu"]) {
        const { state, step, version } = engine(device)
        assert.deepStrictEqual([state, step?.verified], ["ready", true], device)
        assert.isAbove(step.seconds, 0)
        assert.match(version, /^\d+\.\d+\.\d+/)
      }
      const absent = engine("tfjs-node-gpu")
      assert.strictEqual(absent.state, "absent")
      assert.include(absent.reason, "@tensorflow/tfjs-node-gpu is not installed")
      assert.include(absent.remedy.command, "pnpm add -w --allow-build=@tensorflow/tfjs-node-gpu")
      assert.isNotEmpty(absent.why)
    })
  )
})

const args = (device: string) => ["verify", "--runs", "1", "--device", device]
const verify = (device: string) => here(args(device))

describe("--device", () => {
  it.live("computes elsewhere, falls back once where auto finds nothing, and refuses what is not there", () =>
    Effect.gen(function* () {
      const wasm = yield* verify("tfjs-wasm")
      assert.strictEqual(wasm.code, 0, wasm.stderr)
      // Node's answer, not the test runner's.
      const absent = yield* uninet(args("tfjs-node"))
      assert.deepStrictEqual([absent.code, absent.stdout], [1, ""])
      assert.match(
        absent.stderr,
        /^uninet: the device tfjs node cannot be used: .*is not installed\. Install it with: .*\n$/
      )
      const unknown = yield* verify("gpu")
      assert.strictEqual(unknown.code, 2)
      assert.include(unknown.stderr, '--device is "gpu"')
      const auto = yield* verify("auto")
      assert.strictEqual(auto.code, 0, auto.stderr)
      assert.strictEqual(auto.stderr.split("--device auto: computing on").length, 2)
    })
  )
})
