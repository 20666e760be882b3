import { assert, describe, it } from "@effect/vitest"
import { Format, type Trained } from "@uninet/export"
import { Model as Networks } from "@uninet/nn"
import { Model } from "@uninet/onnx"
import { Network } from "@uninet/uninet"
import { Prng } from "@uninet/search-space"
import { Initialise } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { folder, here, uninet } from "./support/cli.ts"

const architecture = {
  image: { channels: 1, height: 28, width: 28 },
  classes: 10,
  stem: { channels: 8, stride: 2 },
  stages: [
    { operator: "DWConv", dsm: "L", expansion: 2, channels: 8, repeats: 1, stride: 2 },
    { operator: "SA", dsm: "LG", expansion: 2, channels: 16, repeats: 1, stride: 2 }
  ],
  head: { channels: 32 },
  headDim: 8
}
const classes = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

/** A search's folder in its final state, made without the search. */
const aRun = (below: string): string => {
  const run = join(below, "run")
  mkdirSync(run)
  const model = Network.model(Result.getOrThrow(Network.make(architecture)))
  const { variables } = Result.getOrThrow(Networks.evaluation()(model))
  const network = {
    space: { _tag: "Named", name: "uninet" },
    facts: {
      inputs: { image: { shape: [1, 28, 28], dtype: "float32" } },
      targets: { shape: [], dtype: "int32" },
      classes: 10
    },
    point: architecture
  }
  const trained: Trained.Trained = {
    model,
    weights: Initialise.values(Prng.fromSeed("run"))(variables),
    card: {
      network,
      line: "a line",
      inputs: model.inputs,
      outputs: Result.getOrThrow(Networks.outputs(model)),
      task: "classification",
      classes,
      picture: { input: "image", mean: [0.13], deviation: [0.31], cropRatio: 1 },
      provenance: { testAccuracy: "0.1" }
    },
    pytorch: null
  }
  writeFileSync(join(run, "best.safetensors"), Result.getOrThrow(Format.safetensors(trained)).content)
  writeFileSync(join(run, "best.json"), JSON.stringify({ trial: 18, seed: "demo", dataset: "mnist", network }))
  return run
}

const svg = (ground: string, ink: string) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="56" height="56"><rect width="56" height="56" fill="${ground}"/><rect x="24" y="8" width="8" height="40" fill="${ink}"/></svg>`

describe("uninet export and classify", () => {
  it.live("make a run's network an ONNX file that says where it is from, and say what it takes images for", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      const run = aRun(cwd)
      const { code, stderr, stdout } = yield* here(["export", run, "--json"], { cwd })
      assert.strictEqual(code, 0, stderr)
      const { check, files } = JSON.parse(stdout)
      assert.deepStrictEqual(files, ["run.onnx"])
      assert.include(check, { on: "test examples of mnist", examples: 64, sameTop1: 64, runtime: "ONNX Runtime" })
      assert.isBelow(check.worst, 1e-5)
      const metadata = Result.getOrThrow(Model.metadataOf(readFileSync(join(cwd, "run.onnx"))))
      assert.include(metadata, {
        run: "run",
        trial: "18",
        seed: "demo",
        testAccuracy: "0.1",
        mean: "[0.13]",
        cropRatio: "1"
      })
      assert.deepStrictEqual(JSON.parse(metadata["classes"] ?? ""), classes)

      writeFileSync(join(cwd, "one.svg"), svg("black", "white"))
      writeFileSync(join(cwd, "ink.svg"), svg("white", "black"))
      const classified = yield* uninet(["classify", "run.onnx", "one.svg", "ink.svg", "--json", "--top", "99"], { cwd })
      assert.strictEqual(classified.code, 0)
      // ONNX Runtime has nothing to warn about.
      assert.strictEqual(classified.stderr, "")
      const [one, ink] = JSON.parse(classified.stdout)
      assert.deepStrictEqual(one.classes.map(({ label }: { label: string }) => label).sort(), classes.toSorted())
      const sum = one.classes.reduce((n: number, { probability }: { probability: number }) => n + probability, 0)
      assert.approximately(sum, 1, 1e-9)
      assert.notDeepEqual(one.classes, ink.classes)
      const at = (name: string) => join(cwd, name)
      const inverted = yield* here(["classify", at("run.onnx"), at("ink.svg"), "--invert", "--json", "--top", "99"])
      assert.deepStrictEqual(JSON.parse(inverted.stdout)[0].classes, one.classes)
      const some = yield* here(["classify", at("run.onnx"), at("gone.png"), at("one.svg"), "--json", "--top", "99"])
      const [gone, read] = JSON.parse(some.stdout)
      assert.deepStrictEqual([some.code, gone.image, read.classes], [1, at("gone.png"), one.classes])
      assert.include(gone.error, "gone.png: no such file or directory. Give image files")
      const table = yield* here(["classify", at("run.onnx"), at("one.svg"), "--top", "1"])
      assert.match(table.stdout, new RegExp(`one.svg │ ${one.classes[0].label}  \\d+\\.\\d%`))
      for (const name of ["run.onnx", "missing.png"]) {
        const none = yield* here(["classify", at("run.onnx"), at("one.svg"), at(name)])
        // The images that can be read are classified anyway.
        assert.strictEqual(none.code, 1)
        assert.include(none.stdout, `one.svg │ ${one.classes[0].label}`)
        assert.notInclude(none.stdout, name)
        assert.match(
          none.stderr,
          new RegExp(`^uninet: .*${name}: .*\\. Give image files such as JPEG, PNG or WebP\\.\n$`)
        )
      }
    })
  )

  it.live(
    "write a PyTorch module with its weights, checked where there is PyTorch, and nothing over another file",
    () =>
      Effect.gen(function* () {
        const cwd = yield* folder
        writeFileSync(join(cwd, "my-net.json"), JSON.stringify(architecture))
        const args = ["export", "my-net.json", "--seed", "s", "--format", "pytorch"]
        const { code, stderr, stdout } = yield* here(args, { cwd })
        assert.strictEqual(code, 0, stderr)
        assert.match(stdout, /^my_net\.py and my_net\.safetensors: .*B, image .*1×28×28.* to logits .*10.*\n/)
        assert.match(
          stdout,
          /\n(checked in PyTorch \(.*\) on 64 test images .* the same top-1 on 64|not checked: no Python with PyTorch .*)\n/
        )
        assert.match(stdout, /import my_net, then load\(\)/)
        assert.deepStrictEqual(readdirSync(cwd).sort(), ["my-net.json", "my_net.py", "my_net.safetensors"])
        const text = readFileSync(join(cwd, "my_net.py"), "utf8")
        assert.include(text, '"trained": "no"')
        const again = yield* here(args, { cwd })
        assert.strictEqual(again.code, 1)
        assert.match(again.stderr, /^uninet: my_net\.py already exists and was left unchanged; .*\n$/)
        assert.strictEqual(readFileSync(join(cwd, "my_net.py"), "utf8"), text)
      })
  )

  it.live.each([
    [["export", "B9"], 2, /"B9" is neither one of B0, .* nor a file or run that can be read\./],
    [["export", "B0"], 2, /B0 is a network without weights\. Give a run's folder, --weights .* or --seed/],
    [["export", "."], 1, /best\.safetensors cannot be read\. Give the folder of a training or search/],
    [
      ["export", "B0", "--seed", "1", "--format", "tflite"],
      2,
      /--format is "tflite"\. Give "onnx" \| "safetensors" \| "pytorch"/
    ],
    [["export", "B0", "--seed", "1", "--out", "b0.pt"], 2, /--out ends in \.pt, but --format onnx writes \.onnx/],
    [["export", "B0", "--seed", "1", "--dataset", "mnist"], 1, /--dataset: .*3×160×160.*1×28×28/],
    [["classify", "none.onnx", "a.png"], 1, /none\.onnx: it cannot be read/],
    [["classify", "text.txt", "a.png"], 1, /text\.txt: it is not an ONNX model/],
    [
      ["classify", "bare.onnx", "a.png"],
      1,
      /bare\.onnx: it does not say its network's inputs; give a file that this version's uninet export/
    ],
    [["classify", "bare.onnx"], 2, /Missing required argument: image/]
  ] as const)("say in a sentence what is wrong with %s", ([args, code, says]) =>
    Effect.gen(function* () {
      const cwd = yield* folder
      writeFileSync(join(cwd, "text.txt"), "no model")
      const bare = { name: "bare", nodes: [], constants: [], inputs: [], outputs: [], metadata: {} }
      writeFileSync(join(cwd, "bare.onnx"), Model.encode(bare))
      const before = readdirSync(cwd)
      const ran = yield* here(args.map((arg) => (/\.(onnx|txt|png)$|^\.$/.test(arg) ? join(cwd, arg) : arg)))
      assert.strictEqual(ran.code, code, ran.stderr)
      assert.match(ran.stderr, says)
      assert.strictEqual(ran.stdout, "")
      assert.notInclude(ran.stderr, "    at ")
      assert.deepStrictEqual(readdirSync(cwd), before)
    })
  )
})
