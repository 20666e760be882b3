import { assert, describe, it } from "@effect/vitest"
import { Device, Form } from "@uninet/latency"
import { Model, Nn, Scope } from "@uninet/nn"
import { MobileNet } from "@uninet/spaces"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { folder, here } from "./support/cli.ts"
import { deviceOf } from "./support/device.ts"

const network = (width: number) =>
  Result.getOrThrow(
    Form.of(
      Model.make({
        inputs: { x: Model.input([4]) },
        forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: width })(x) })
      })
    )
  )

const two = (cwd: string) => {
  const files = [join(cwd, "a.onnx"), join(cwd, "b.onnx")] as const
  writeFileSync(files[0], network(2))
  writeFileSync(files[1], network(500))
  return files
}

describe("uninet bench", () => {
  it.effect("shows models beside one another, with ratios to the first", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* here(["bench", ...two(yield* folder), "--rounds", "3"])
      assert.strictEqual(code, 0)
      assert.match(stdout, /model.*ms.*ratio.*memory.*file/)
      assert.match(stdout, /a\.onnx.*│ +1 │ +8B │/)
      assert.match(stdout, /cpu:1, batch 1 of .*; 95% intervals; ratios to the first/)
    })
  )

  it.effect("says the same as JSON", () =>
    Effect.gen(function* () {
      const args = ["bench", ...two(yield* folder), "--rounds", "3", "--json", "--batch", "2"]
      const { models, target } = JSON.parse((yield* here(args)).stdout)
      assert.deepEqual(target, { threads: 1, batch: 2 })
      assert.deepEqual(models[0].ratio, { value: 1, low: 1, high: 1 })
      assert.strictEqual(models[1].memory, 2 * 500 * 4)
      assert.strictEqual(models[1].accuracy, null)
    })
  )

  it.effect("says what is wrong in a sentence", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      writeFileSync(join(cwd, "broken.onnx"), "no model")
      for (const [args, said] of [
        [["bench", "nothing.onnx"], /^uninet: nothing\.onnx does not exist\. Give /],
        [["bench", join(cwd, "broken.onnx")], /broken\.onnx cannot be measured: .*; give an ONNX model/],
        [["bench", "B0", "--for", "npu"], /--for: npu cannot be measured here: .*; give cpu:n for n threads/],
        [["bench", "B0", "B0"], /B0 is given twice/]
      ] as const)
        assert.match((yield* here(args)).stderr, said)
    })
  )
})

describe("uninet profile", () => {
  it.effect("writes nothing that is not whole, and over nothing", () =>
    Effect.gen(function* () {
      const out = join(yield* folder, "device.json")
      const short = yield* here(["profile", "--space", "mobilenet", "--minutes", "1e-9", "--out", out])
      assert.match(short.stderr, /only 0 networks were measured, but 40 are needed; give the profile more minutes/)
      assert.isFalse(existsSync(out))
      writeFileSync(out, "mine")
      assert.match((yield* here(["profile", "--out", out])).stderr, /device\.json already exists/)
    })
  )
})

/** A device for this space that takes equally long for each of its networks. */
const device = () => {
  const of = Result.getOrThrow(MobileNet.models({ channels: 1, height: 16, width: 16, classes: 7 }))
  return Device.print(deviceOf(of, { fixed: 2, families: {}, corrections: {} }))
}

describe("uninet search for a device", () => {
  const search = ["search", "--space", "mobilenet", "--dry-run"]

  it.effect("takes no file of another space, nor bounds on what is not known", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "device.json")
      writeFileSync(file, device())
      for (const [args, said] of [
        [["--device-file", file], /--device-file .*device\.json: the device file is for another mobilenet .*; profile/],
        [["--within", "int8Latency<=1"], /int8Latency is asked for, but no device .*uninet profile --int8 wrote\./],
        [
          ["--within", "int8Accuracy>=0.9"],
          /--within bounds int8Accuracy, which is known only once a network has been trained\./
        ],
        [["--reward", "speed"], /--reward: there is no measure speed\. Give one of accuracy, .*int8Accuracy\./],
        [["--device-file", "nothing.json"], /--device-file nothing\.json cannot be read: ENOENT.*\. Give one that /]
      ] as const)
        assert.match((yield* here([...search, ...args])).stderr, said)
    })
  )
})
