import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Dataset } from "@uninet/data"
import { Device } from "@uninet/latency"
import { Evaluator, Experiment, Journal, Reward, Trial } from "@uninet/search"
import { ModelSpace } from "@uninet/model-space"
import { Model, Safetensors, Weights } from "@uninet/nn"
import { Prng } from "@uninet/search-space"
import { Initialise, Trainer } from "@uninet/trainer"
import { UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { TestConsole } from "effect/testing"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as domain from "../src/internal/domain.js"
import * as experimentProgress from "../src/internal/experimentProgress.js"
import * as results from "../src/internal/experimentResults.js"
import * as tables from "../src/internal/experimentTables.js"
import * as experiments from "../src/internal/experiment.js"
import * as plans from "../src/internal/plan.js"
import { folder, here, tinyDataset, tinyNetwork } from "./support/cli.js"
import { deviceOf } from "./support/device.js"

const recipe = { batch: 32 }
const given = {
  dataset: "tiny",
  budget: { trials: 2 },
  strategy: "random",
  recipe,
  retrain: { seeds: 2, epochs: 2 },
  arms: {
    convolution: { only: { operators: ["Conv", "DWConv"], dsms: ["L"] } },
    plain: { network: "net.json" }
  }
} satisfies Experiment.Input

const digits = Array.from({ length: 10 }, (_, i) => String(i))
const shift = { _tag: "RandomCrop", padding: 1 }

/** Weights of the tiny network as `uninet train` leaves them, for some classes; drawn, not trained. */
const teacherFile = (classes: ReadonlyArray<string>, seed = 1) => {
  const { channels, ...image } = tinyNetwork.image
  const of = ModelSpace.erased(Result.getOrThrow(UniNetSpace.models({ image, channels, classes: tinyNetwork.classes })))
  const point = Result.getOrThrow(ModelSpace.read(tinyNetwork)(of))
  const program = Result.getOrThrow(Model.evaluation()(Result.getOrThrow(of.model(point))))
  const weights = Initialise.values(Prng.fromSeed(seed))(program.variables)
  const metadata = { architecture: JSON.stringify(tinyNetwork), classes: JSON.stringify(classes) }
  return Safetensors.encode(Result.getOrThrow(Weights.toSafetensors(program, metadata)(weights)))
}

/** Trains in no time, to a figure that the seed decides; its worker is lost after this many. */
const training = (asked: Array<string>, most = Infinity): Layer.Layer<Evaluator.Evaluator> =>
  Layer.succeed(Evaluator.Evaluator, {
    concurrency: 2,
    evaluate: ({ epochs = 1, seed }) =>
      Effect.suspend(() => {
        if (asked.length >= most)
          return Effect.fail(new Evaluator.EvaluatorLost({ problem: "It is gone", remedy: "Go on" }))
        asked.push(seed)
        const accuracy = 0.8 + Prng.fromSeed(seed).nextFloat() / 10
        return Effect.succeed({
          measures: { accuracy, top5: 1, loss: 1, calibrationError: 0 },
          epochs,
          weights: new Map([["w", Float32Array.of(accuracy)]])
        } satisfies Trial.Evaluated)
      })
  })

const tested = Layer.mock(Trainer, {
  evaluate: (_, weights) =>
    Effect.succeed({
      measures: { accuracy: weights.get("w")?.[0] ?? 0, top5: 1, loss: 1, calibrationError: 0 },
      examples: 64,
      details: null
    })
})

/** Runs it in a folder, and returns its table without the time it took. */
const run = (
  below: string,
  out: string,
  asked: Array<string>,
  {
    allowMixed = false,
    most,
    written = given
  }: { readonly allowMixed?: boolean; readonly most?: number; readonly written?: Experiment.Input } = {}
) =>
  Effect.gen(function* () {
    const machine = { workers: 2, device: "cpu", allowMixed, evaluator: () => training(asked, most) } as const
    const loaded = {
      experiment: yield* Experiment.read(join(below, "parts.json"))(written),
      path: join(below, "parts.json")
    }
    const services = yield* domain.training(yield* experiments.dataPlan(loaded, machine, out))
    const { experiment } = loaded
    return yield* Effect.gen(function* () {
      const arms = yield* experiments.arms(loaded, machine, out)
      const units = experiments.unitsOf(experiment, arms, out)
      const display = yield* experimentProgress.make(experiment, 1, 2)
      yield* Effect.provide(experiments.run(experiment, units, machine, display, Effect.void), tested)
      const stood = yield* Effect.forEach(units, experiments.stand)
      const found = results.of(experiment, arms, stood, yield* Dataset.Dataset)
      return { found, text: tables.markdown(found, experiment, ["accuracy"]) }
    }).pipe(Effect.provide(services))
  }).pipe(Effect.scoped, Effect.provide([NodeServices.layer, TestConsole.layer]))

describe("uninet experiment", () => {
  it.live(
    "searches every arm, trains and tests its best with fresh seeds, and comes to the same where it was stopped",
    () =>
      Effect.gen(function* () {
        const below = yield* folder
        tinyDataset(below)
        writeFileSync(join(below, "net.json"), JSON.stringify(tinyNetwork))
        const whole: Array<string> = []
        const { found, text } = yield* run(below, join(below, "whole"), whole)
        assert.isTrue(found.isWhole)
        assert.deepStrictEqual(
          found.arms.map(({ name, searches, trained }) => [name, searches[0]?.trials, trained.length]),
          [
            ["convolution", 2, 2],
            ["plain", undefined, 2]
          ]
        )
        // The same seed in every arm: this trainer's figures depend on nothing else.
        assert.deepStrictEqual(
          found.contrasts.map(({ arm, count, mean, verdict }) => [arm, count, mean, verdict]),
          [["plain", 2, 0, "open"]]
        )
        assert.strictEqual(whole.filter((seed) => seed === "0/final/1").length, 2)
        assert.match(text, /\| plain \| convolution \| 2 \| 0\.00% ± 0\.00% .* not distinguishable \|/)
        assert.match(
          text,
          /\n\| arm \| seed \| trial \| validation accuracy \| MACs \|.* operator \| dsm \| network \|\n/
        )
        const [searched] = found.arms[0]?.searches ?? []
        const operators = Object.values(searched?.best?.choices["operator"] ?? {})
        assert.strictEqual(
          operators.reduce((a, b) => a + b, 0),
          searched?.best?.choices["dsm"]?.["L"]
        )
        assert.deepStrictEqual([found.arms[0]?.strategy, found.arms[0]?.trainings], ["random", 4])
        assert.match(searched?.best?.line ?? "", /^DWConv e1 8×1( \| L (DW)?Conv [^|]*)+$/)

        const [out, asked] = [join(below, "stopped"), new Array<string>()]
        assert.match((yield* Effect.flip(run(below, out, asked, { most: 3 }))).message, /the arm \w+: .*It is gone/)
        assert.strictEqual((yield* run(below, out, asked)).text, text)
        // The training that was running when it was stopped is done again.
        assert.isAtMost(asked.length, whole.length + 2)
        assert.isFalse(existsSync(join(out, "plain", "0", "again", "checkpoints")))

        const begun = join(below, "begun")
        yield* Effect.flip(run(below, begun, [], { most: 3 }))

        // A finished experiment is only read: nothing is trained, and the current surroundings do not matter.
        const labels = join(below, "tiny", "train-labels-idx1-ubyte")
        writeFileSync(
          labels,
          readFileSync(labels).map((byte, i) => (i < 8 ? byte : 1 - byte))
        )
        const later: Array<string> = []
        assert.strictEqual((yield* run(below, out, later)).text, text)
        assert.deepStrictEqual(later, [])
        // An unfinished one is refused, or becomes a mixture that says what is mixed.
        assert.match(
          (yield* Effect.flip(run(below, begun, later))).message,
          /the data's content was \w+ and is now \w+\./
        )
        const mixture = yield* run(below, begun, later, { allowMixed: true })
        assert.isNotEmpty(mixture.found.mixed)
        assert.match(mixture.text, /\*\*Mixed: .*: (\w+, seed 0 \(the data's content: \w+ for \w+\)(; )?)+\.\*\*/)
      })
  )

  it.live("teaches arms by a network whose logits are computed once, and is another with another teacher", () =>
    Effect.gen(function* () {
      const below = yield* folder
      tinyDataset(below)
      writeFileSync(join(below, "net.json"), JSON.stringify(tinyNetwork))
      const file = join(below, "teacher.safetensors")
      writeFileSync(file, teacherFile(digits))
      const { plain } = given.arms
      const taught = { ...plain, teacher: "teacher.safetensors" }
      const written = { ...given, arms: { taught, shifted: { ...taught, recipe: { augmentation: [shift] } } } }
      const out = join(below, "out")
      const asked: Array<string> = []
      yield* run(below, out, asked, { written })
      const tables = readdirSync(join(out, "teachers"))
      assert.strictEqual(tables.length, 1)
      const logits = join(out, "teachers", tables[0] ?? "")
      const bytes = readFileSync(logits)
      assert.strictEqual(bytes.length % (4 * digits.length), 0)
      const of = (arm: string) => Journal.read(join(out, arm, "0", "again", "journal.db"))
      const [{ identity }, moved] = yield* Effect.all([of("taught"), of("shifted")])
      assert.match(String(identity.settings["teacher"]), /^[0-9a-f]{16}$/)
      const { teacher } = Schema.decodeUnknownSync(plans.Notes)(identity.notes)
      assert.deepStrictEqual(teacher, { file, logits })
      // The teacher itself is run on shifted pictures, so there are no stored logits.
      assert.deepStrictEqual(Schema.decodeUnknownSync(plans.Notes)(moved.identity.notes).teacher, { file })

      writeFileSync(file, teacherFile(digits, 2))
      const other = yield* Effect.flip(run(below, out, asked, { written: { ...given, arms: { taught } } }))
      assert.match(other.message, /the arm taught: .* belongs to another search: its teacher is /)
    }).pipe(Effect.scoped)
  )

  it.live("bounds and rewards arms by what their networks take on a device, whose file is of their space", () =>
    Effect.gen(function* () {
      const below = yield* folder
      tinyDataset(below)
      const machine = { workers: 2, device: "cpu" } as const
      const arms = Effect.fnUntraced(function* (fast: object) {
        const experiment = yield* Experiment.read(join(below, "parts.json"))({ ...given, arms: { fast } })
        const loaded = { experiment, path: join(below, "parts.json") }
        const services = yield* domain.training(yield* experiments.dataPlan(loaded, machine, below))
        return yield* Effect.provide(experiments.arms(loaded, machine, below), services)
      })
      const [{ domain: plain } = assert.fail()] = yield* arms({})
      const device = deviceOf(plain.of, {
        fixed: 0.1,
        families: { "conv2d depthwise": [1, 0, 0, 0, 0] },
        corrections: {}
      })
      writeFileSync(join(below, "device.json"), Device.print(device))
      const bounded = yield* arms({ deviceFile: "device.json", within: { latency: { max: 5 } } })
      assert.deepStrictEqual(
        bounded.map(({ domain: { bounds, of, reward } }) => [bounds, Object.hasOwn(of.costs, "latency"), reward]),
        [[["at most latency 5 ms"], true, Reward.measure]]
      )
      const reward = Reward.mnas({ cost: "latency", target: 5 })
      const [rewarded] = yield* arms({ deviceFile: "device.json", reward })
      assert.deepStrictEqual(rewarded?.domain.reward, reward)
      assert.match(
        (yield* Effect.flip(arms({ reward }))).message,
        /^the arm fast: latency is asked for, but no device is known\./
      )
      const none = yield* Effect.flip(arms({ reward: Reward.mnas({ cost: "watts", target: 5 }) }))
      assert.match(none.message, /^the arm fast: the space uninet has no watts\. Give one of macs, /)
      const other = yield* Effect.flip(arms({ deviceFile: "device.json", space: "mobilenet" }))
      assert.match(other.message, /^the arm fast: .*the device file is for the space uninet, not for the mobilenet /)
    }).pipe(Effect.scoped, Effect.provide([NodeServices.layer, TestConsole.layer]))
  )

  it.live("refuses what cannot be held against one another, and a file that has changed", () =>
    Effect.gen(function* () {
      const below = yield* folder
      tinyDataset(below)
      writeFileSync(join(below, "net.json"), JSON.stringify(tinyNetwork))
      const file = join(below, "parts.json")
      const said = (experiment: object) => {
        writeFileSync(file, JSON.stringify({ ...given, ...experiment }))
        return Effect.map(here(["experiment", file, "--out", join(below, "out")]), ({ code, stderr }) => {
          assert.strictEqual(code, 1)
          return stderr
        })
      }
      const one = { only: { operators: ["Conv"], dsms: ["L"], expansions: [2], widths: [1], depths: [0] } }
      assert.match(yield* said({ arms: { one } }), /the arm one: its space has 1 network, fewer than the 2 trials/)
      assert.match(
        yield* said({ budget: { macs: 1000 }, arms: { joint: {} } }),
        /the arm joint: no network of its space can be trained with the 1\.00 K MACs of every arm/
      )
      assert.match(
        yield* said({ within: { macs: { max: 2e4 } }, arms: { plain: given.arms.plain } }),
        /the arm plain: its network has 27\.4 K MACs, but every arm has at most 20\.0 K MACs/
      )
      const { convolution, plain } = given.arms
      assert.match(
        yield* said({ arms: { plain: { ...plain, teacher: "nobody.safetensors" } } }),
        /the arm plain: the teacher: .*nobody\.safetensors cannot be read\./
      )
      writeFileSync(join(below, "stranger.safetensors"), teacherFile(["cat", "dog"]))
      // Before the search, not when it is over.
      assert.match(
        yield* said({ retrain: { ...given.retrain, teacher: "stranger.safetensors" }, arms: { convolution } }),
        /the arm convolution: the teacher .*stranger\.safetensors: it distinguishes cat, dog, but tiny has 0, 1, 2, /
      )
      assert.match(yield* said({ arms: { a: { only: { operators: ["None"] } } } }), /the kit has no "None"/)
      assert.match(yield* said({ arms: { a: { space: "vit", only: { heads: [1] } } } }), /it cannot be restricted to/)
      assert.isFalse(existsSync(join(below, "out")))
      const begun = yield* Experiment.read(file)(given)
      const other = join(below, "begun")
      mkdirSync(other)
      writeFileSync(join(other, "experiment.json"), Experiment.print(begun))
      writeFileSync(file, JSON.stringify({ ...given, epochs: 2 }))
      const changed = yield* here(["experiment", file, "--out", other])
      assert.match(changed.stderr, /has been changed since its experiment started: epochs was 1 and is now 2\./)
      assert.strictEqual(readFileSync(join(other, "experiment.json"), "utf8"), Experiment.print(begun))
    })
  )
})
