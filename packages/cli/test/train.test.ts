import { assert, describe, it } from "@effect/vitest"
import { Safetensors } from "@uninet/nn"
import { Recipe } from "@uninet/model-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { folder, here, tinyDataset, tinyNetwork, uninet } from "./support/cli.ts"

const prepare = Effect.map(folder, (below) => {
  const network = join(below, "network.json")
  writeFileSync(network, JSON.stringify(tinyNetwork))
  return { below, network, dataset: tinyDataset(below) }
})

const tensorsOf = (file: string) => Result.getOrThrow(Safetensors.decode(readFileSync(file))).tensors

const lines = (file: string): ReadonlyArray<{ readonly _tag: string; readonly step: number }> =>
  readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))

describe("uninet train", () => {
  it.live("leaves weights that uninet evaluate reads, checkpoints, metrics and its result", () =>
    Effect.gen(function* () {
      const { below, dataset, network } = yield* prepare
      const out = join(below, "run")
      const trained = yield* here(
        ["train", network, "--dataset", dataset, "--epochs", "2", "--batch", "32", "--out", out, "--json"],
        { cwd: below }
      )
      assert.strictEqual(trained.code, 0, trained.stderr)
      const result = JSON.parse(trained.stdout)
      assert.deepStrictEqual([result.steps, result.out], [18, out])
      assert.deepStrictEqual(readdirSync(out).sort(), [
        "best.safetensors",
        "metrics.jsonl",
        "result.json",
        "step-00000009.safetensors",
        "step-00000018.safetensors",
        "train.json"
      ])
      assert.deepStrictEqual(JSON.parse(readFileSync(join(out, "result.json"), "utf8")), result)
      assert.strictEqual(lines(join(out, "metrics.jsonl")).filter(({ _tag }) => _tag === "Step").length, 18)

      const evaluated = yield* here(["evaluate", out, "--json"], { cwd: below })
      assert.strictEqual(evaluated.code, 0, evaluated.stderr)
      const { accuracy, confusion, examples, split, top5 } = JSON.parse(evaluated.stdout)
      assert.deepStrictEqual([split, examples], ["test", 64])
      assert.isAtMost(accuracy, top5)
      assert.strictEqual(confusion[0][0] + confusion[1][1], accuracy * 64)
      const other = yield* here(["evaluate", join(out, "best.safetensors"), "--batch", "5", "--split", "validation"], {
        cwd: below
      })
      assert.match(other.stdout, /32 examples of .*validation split\naccuracy /)
      // The evaluation gives the same figures as the validation during training.
      assert.include(other.stdout, `accuracy ${(100 * result.best.accuracy).toFixed(2)}%`)

      const { metadata, tensors } = Result.getOrThrow(Safetensors.decode(readFileSync(join(out, "best.safetensors"))))
      const stranger = join(below, "stranger.safetensors")
      writeFileSync(stranger, Safetensors.encode({ tensors, metadata: { ...metadata, classes: '["cat","dog"]' } }))
      const strange = yield* here(["train", network, "--dataset", dataset, "--teacher", stranger], { cwd: below })
      assert.match(
        strange.stderr,
        /--teacher stranger\.safetensors: it distinguishes cat, dog, but tiny has 0, 1, 2, 3, 4 /
      )

      const pupil = join(below, "pupil")
      const taught = yield* here(
        ["train", network, "--dataset", dataset, "--epochs", "1", "--batch", "32", "--out", pupil, "--teacher", out],
        { cwd: below }
      )
      assert.strictEqual(taught.code, 0, taught.stderr)
      const { recipe, teacher } = JSON.parse(readFileSync(join(pupil, "train.json"), "utf8"))
      assert.deepStrictEqual([teacher, recipe.distillation], [out, { weight: 0.5, temperature: 4 }])
      const again = yield* here(["train", "--resume", pupil], { cwd: below })
      assert.strictEqual(again.code, 0, again.stderr)
      rmSync(join(out, "best.safetensors"))
      const alone = yield* here(["train", "--resume", pupil], { cwd: below })
      assert.match(alone.stderr, /--resume pupil: its teacher run is gone or damaged\. Put it back/)

      // Nothing is left of a training that was refused.
      const own = Recipe.toJson({ ...Recipe.quick, epochs: 2, batch: 32, progressive: [{ epochs: 3, size: 8 }] })
      writeFileSync(join(below, "recipe.json"), JSON.stringify(own))
      const refused = ["train", network, "--dataset", dataset, "--recipe", "recipe.json", "--out", join(below, "none")]
      assert.match(
        (yield* here(refused, { cwd: below })).stderr,
        /its sizes take 3 epochs, but the recipe has only 2; /
      )
      assert.notInclude(readdirSync(below), "none")
    }).pipe(Effect.scoped)
  )

  it.live("goes on to the same bits after a kill and after Ctrl-C", () =>
    Effect.gen(function* () {
      const { below, dataset, network } = yield* prepare
      const settings = "--epochs 4 --batch 32 --seed s --save-steps 4".split(" ")
      const begin = (out: string) => ["train", network, "--dataset", dataset, ...settings, "--out", join(below, out)]
      assert.strictEqual((yield* uninet(begin("whole"))).code, 0)
      const killed = yield* uninet(begin("broken"), { until: /epoch 1 of 4/, signal: "SIGKILL" })
      assert.notStrictEqual(killed.code, 0)
      const stopped = yield* uninet(["train", "--resume", "broken"], {
        cwd: below,
        until: /epoch 2 of 4|continuing after/
      })
      assert.strictEqual(stopped.code, 130, stopped.stderr)
      assert.include(stopped.stderr, " train --resume broken")
      const ended = yield* uninet(["train", "--resume", "broken"], { cwd: below })
      assert.strictEqual(ended.code, 0, ended.stderr)
      for (const file of ["best.safetensors", "step-00000036.safetensors"])
        assert.deepStrictEqual(tensorsOf(join(below, "broken", file)), tensorsOf(join(below, "whole", file)))
    }).pipe(Effect.scoped)
  )

  it.live("says where it diverged and how to see it again", () =>
    Effect.gen(function* () {
      const { below, dataset, network } = yield* prepare
      const recipe = join(below, "wild.json")
      const wild = {
        ...Recipe.proxy,
        epochs: 4,
        batch: 32,
        learningRate: 1e6,
        optimiser: { _tag: "Sgd" },
        schedule: { _tag: "Cosine", warmup: 1, from: 0, to: 0 }
      }
      writeFileSync(recipe, JSON.stringify(wild))
      const args = ["train", network, "--dataset", dataset, "--recipe", recipe, "--save-steps", "1", "--out", "run"]
      const { code, stderr } = yield* here(args, { cwd: below })
      assert.strictEqual(code, 1)
      assert.match(
        stderr,
        /training diverged: .* at step \d+ .*last good checkpoint: .*step-\d+\.safetensors; to reproduce it: .* train --resume run/
      )
      const again = yield* here(["train", "--resume", "run"], { cwd: below })
      assert.strictEqual(/at step (\d+)/.exec(again.stderr)?.[1], /at step (\d+)/.exec(stderr)?.[1])
    }).pipe(Effect.scoped)
  )

  it.live("tells an OpenTelemetry collector, and whoever collects lines of JSON, where the environment says so", () =>
    Effect.gen(function* () {
      const { below, dataset, network } = yield* prepare
      const received = new Map<string, string>()
      const server = yield* Effect.acquireRelease(
        Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
          const listening = createServer((request, response) => {
            let body = received.get(request.url ?? "") ?? ""
            request.setEncoding("utf8").on("data", (text: string) => {
              body += text
            })
            request.on("end", () => {
              received.set(request.url ?? "", body)
              response.end("{}")
            })
          })
          listening.listen(0, "127.0.0.1", () => {
            const address = listening.address()
            const port = typeof address === "object" && address !== null ? address.port : 0
            resume(Effect.succeed({ port, close: () => listening.close() }))
          })
        }),
        ({ close }) => Effect.sync(close)
      )
      const { code, stderr } = yield* uninet(
        ["train", network, "--dataset", dataset, "--epochs", "1", "--out", "run"],
        {
          cwd: below,
          env: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${server.port}`, UNINET_LOG: "json" }
        }
      )
      assert.strictEqual(code, 0, stderr)
      assert.include(received.get("/v1/metrics") ?? "", "uninet.train.loss")
      assert.include(received.get("/v1/traces") ?? "", "Trainer.epoch")
      const lines = stderr.trimEnd().split("\n")
      const events: ReadonlyArray<Record<string, unknown>> = lines.map((line) => JSON.parse(line))
      const epoch = events.find(({ event }) => event === "Epoch")
      assert.deepInclude(epoch, { epoch: 1, epochs: 1 })
      assert.property(epoch?.["measures"], "accuracy")
    }).pipe(Effect.scoped)
  )

  it.live("answers mistakes in a sentence, before anything is trained", () =>
    Effect.gen(function* () {
      const { below, dataset, network } = yield* prepare
      const said = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
        const { code, stderr } = yield* here(args, { cwd: below })
        return `${code}: ${stderr.split("\n")[0]}`
      })
      writeFileSync(join(below, "recipe.json"), JSON.stringify({ ...Recipe.proxy, learningrate: 1 }))
      assert.match(yield* said("train"), /^2: uninet: there is no network to train\. Give one of B0/)
      assert.match(yield* said("train", network, "--recipe", "fancy"), /^2: uninet: --recipe is "fancy"\. Give one of/)
      assert.match(
        yield* said("train", network, "--recipe", "recipe.json"),
        /^1: uninet: --recipe recipe\.json is not a recipe: .*learningrate/
      )
      assert.match(yield* said("train", network), /^1: uninet: .*1×12×12.* mnist .*1×28×28/)
      assert.match(yield* said("train", "--resume", "nowhere"), /^1: uninet: --resume nowhere has no train\.json/)
      assert.match(
        yield* said("train", network, "--resume", "x"),
        /^2: uninet: a network cannot be given with --resume/
      )
      assert.match(yield* said("evaluate", "nowhere"), /^1: uninet: nowhere\/best\.safetensors cannot be read/)
      const out = ["--out", "run", "--epochs", "1"]
      assert.match(yield* said("train", network, "--dataset", dataset, ...out), /^0/)
      assert.match(
        yield* said("train", network, "--dataset", dataset, ...out),
        /^1: uninet: --out run already holds a training\. Continue it with --resume run/
      )
    }).pipe(Effect.scoped)
  )
})
