/** Every file format and every flag that is read from outside: valid examples, and their readers. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Uninet } from "@uninet/cli"
import { Table } from "@uninet/controller"
import { Datasets, Raster } from "@uninet/data"
import { Safetensors } from "@uninet/nn"
import { Model } from "@uninet/onnx"
import { Config, Journal } from "@uninet/search"
import type { Prng } from "@uninet/search-space"
import { Checkpoint, Recipe, Selection } from "@uninet/trainer"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { TestConsole } from "effect/testing"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { gzipSync } from "node:zlib"
import * as Mutate from "./mutate.ts"

/** What happened to an input: it was accepted, or refused with a message. */
export type Verdict = { readonly _tag: "Taken" } | { readonly _tag: "Refused"; readonly said: string }

export interface Format {
  readonly name: string
  /** Reads an input that the generator makes; `folder` is an empty folder for its use only. Also returns the input's size. */
  readonly attempt: (random: Prng.Prng, folder: string) => Promise<{ readonly verdict: Verdict; readonly size: number }>
}

const taken: Verdict = { _tag: "Taken" }
const refused = (said: string): Verdict => ({ _tag: "Refused", said })

/** A defect is not a refusal: it is thrown. */
const verdictOf = async <A, E extends { readonly message: string }>(effect: Effect.Effect<A, E>): Promise<Verdict> => {
  const exit = await Effect.runPromiseExit(effect)
  if (Exit.isSuccess(exit)) return taken
  const error = Cause.findErrorOption(exit.cause)
  if (error._tag === "None") throw Cause.squash(exit.cause)
  return refused(error.value.message)
}

const ofResult = <A, E extends { readonly message: string }>(result: Result.Result<A, E>): Verdict =>
  Result.isSuccess(result) ? taken : refused(result.failure.message)

/** Runs a command line in this process; its output is one verdict. */
const commandLine = async (args: ReadonlyArray<string>): Promise<Verdict> => {
  const { code, said } = await Effect.runPromise(
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Uninet.run(args))
      if (Exit.isFailure(exit) && Cause.hasDies(exit.cause)) throw Cause.squash(exit.cause)
      return { code: Uninet.exitCode(exit), said: (yield* TestConsole.errorLines).map(String).join("\n") }
    }).pipe(Effect.provide(Layer.mergeAll(NodeServices.layer, TestConsole.layer)))
  )
  return code === 0
    ? taken
    : refused(
        said
          .split("\n")
          .filter((line) => !/^(Try: |note: |timing |\d+ |checking )/.test(line))
          .join("\n")
      )
}

const network = {
  image: { channels: 1, height: 8, width: 8 },
  classes: 2,
  stem: { channels: 8, stride: 1 },
  stages: [
    { operator: "DWConv", dsm: null, expansion: 1, channels: 8, repeats: 1, stride: 1 },
    { operator: "SA", dsm: "LG", expansion: 2, channels: 16, repeats: 1, stride: 2, settings: { kernel: 3 } }
  ],
  head: { channels: 16 },
  headDim: 8
} as const

/** As plain JSON. */
const plain = (value: unknown) => JSON.parse(JSON.stringify(value))

const recipe = plain(Recipe.presets.quick)

const tensors = new Map([
  ["stem.0.weight", Safetensors.fromFloat32(new Float32Array(72), [8, 1, 3, 3])],
  ["classifier.bias", Safetensors.fromFloat32(new Float32Array(2), [2])]
])
const safetensors = Safetensors.encode({ tensors, metadata: { network: JSON.stringify(network), seed: "0" } })
const headerOf = (file: Uint8Array) => {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true))
  return { length, header: JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length))) }
}

/** A safetensors file with a changed header before its numbers, or with changed bytes. */
const respoken = (file: Uint8Array, random: Prng.Prng): Uint8Array => {
  if (random.nextInt(2) === 0) return Mutate.bytes(file, random)
  const { header, length } = headerOf(file)
  const text = new TextEncoder().encode(Mutate.jsonText(header, random))
  const out = new Uint8Array(8 + text.length + file.length - 8 - length)
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true)
  out.set(text, 8)
  out.set(file.subarray(8 + length), 8 + text.length)
  return out
}

const checkpoint = Checkpoint.encode({
  identity: {
    network: { line: "a network", about: null, digest: "0" },
    recipe: Recipe.presets.quick,
    seed: "0",
    dataset: { name: "mnist", classes: ["a", "b"], examples: 2 },
    surroundings: [{ data: "0", software: "uninet", engine: "none", host: "none" }]
  },
  state: { step: 1, epoch: 0, loss: 1, measures: { accuracy: 0.5 }, selection: Selection.initial, seconds: 1 },
  variables: new Map([["w", { shape: [2], data: Float32Array.of(1, 2) }]]),
  best: new Map()
})

const onnx = Model.encode({
  name: "bare",
  nodes: [],
  constants: [],
  inputs: [],
  outputs: [],
  metadata: { network: JSON.stringify(network), classes: "[]" }
})

const idx = (dimensions: ReadonlyArray<number>, bytes: Uint8Array): Uint8Array => {
  const out = new Uint8Array(4 + 4 * dimensions.length + bytes.length)
  const view = new DataView(out.buffer)
  view.setUint32(0, 0x0800 + dimensions.length)
  for (const [i, n] of dimensions.entries()) view.setUint32(4 + 4 * i, n)
  out.set(bytes, 4 + 4 * dimensions.length)
  return out
}
const labels = Uint8Array.from({ length: 40 }, (_, i) => i % 10)
const images = Uint8Array.from({ length: 40 * 16 }, (_, i) => i % 256)

const table = {
  name: "toy",
  choices: [
    { name: "a", options: ["x", "y"] },
    { name: "b", options: ["x", "y", "z"] }
  ],
  columns: ["choice", "search", "report"],
  rows: [0, 1].flatMap((a) => [0, 1, 2].map((b) => [[a, b], 80 + a + b, 90 + a + b]))
}

const bmp = () => {
  const out = new Uint8Array(54 + 16)
  const view = new DataView(out.buffer)
  out.set([0x42, 0x4d])
  view.setUint32(2, out.length, true)
  view.setUint32(10, 54, true)
  view.setUint32(14, 40, true)
  view.setInt32(18, 2, true)
  view.setInt32(22, 2, true)
  view.setUint16(26, 1, true)
  view.setUint16(28, 24, true)
  return out
}
const png = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC",
  "base64"
)
const gif = Buffer.from("R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==", "base64")
const ppm = new TextEncoder().encode("P6\n2 2\n255\n............")
const pictures: ReadonlyArray<Uint8Array> = [bmp(), png, gif, ppm]

const identity = { space: "s", seed: "1", settings: { dataset: "mnist" }, notes: { trials: 3 } }
const entry = {
  _tag: "Finished",
  trial: 0,
  evaluation: { measures: { accuracy: 0.5 }, epochs: 1, stoppedAfter: 1 },
  reward: 0.5
}

const training = {
  name: "B0",
  network: {
    space: { _tag: "Named", name: "uninet" },
    facts: {
      inputs: { image: { shape: [1, 8, 8], dtype: "float32" } },
      targets: { shape: [], dtype: "int32" },
      classes: 2
    },
    point: network
  },
  dataset: "mnist",
  skipBad: false,
  recipe,
  seed: "0",
  threads: 1,
  device: "cpu"
}

const config = {
  trials: 4,
  epochs: 1,
  batch: 64,
  strategy: "random",
  seed: "0",
  targetMacs: "1M",
  within: { macs: { max: 1e6 } },
  dataset: "mnist",
  recipe,
  fidelity: "asha",
  maxTime: "1h",
  ahead: 8,
  workers: 1
}

/** Flags by command, with arguments that make it end soon, whatever the flags are. */
const commands: ReadonlyArray<readonly [args: ReadonlyArray<string>, flags: ReadonlyArray<string>]> = [
  [
    ["search", "--dry-run", "--dataset", "/nowhere"],
    [
      "trials",
      "epochs",
      "batch",
      "strategy",
      "seed",
      "target-macs",
      "max-macs",
      "within",
      "objectives",
      "fidelity",
      "min-epochs",
      "rung-factor",
      "ahead",
      "workers",
      "threads",
      "finalists",
      "final-epochs",
      "trial-time",
      "trial-memory",
      "max-time",
      "max-total-macs",
      "space",
      "resume",
      "config"
    ]
  ],
  [
    ["train", "B0", "--dataset", "/nowhere"],
    ["recipe", "epochs", "batch", "seed", "threads", "save-steps", "resume", "weights"]
  ],
  [
    ["evaluate", "/nowhere"],
    ["batch", "threads", "split", "dataset", "image"]
  ],
  [
    ["inspect", "/nowhere"],
    ["image", "size"]
  ],
  [
    ["scale", "/nowhere"],
    ["phi", "coefficients", "target-macs", "image", "epochs", "batch", "workers"]
  ],
  [
    ["benchmark", "/nowhere.json"],
    ["budgets", "seeds", "strategies"]
  ],
  [
    ["verify", "/nowhere.ts"],
    ["runs", "seed", "path"]
  ],
  [
    ["data", "/nowhere"],
    ["image", "sheet"]
  ],
  [
    ["replay", "/nowhere", "0"],
    ["config", "device"]
  ],
  [
    ["export", "/nowhere"],
    ["format", "weights", "seed", "dataset"]
  ],
  [
    ["classify", "/nowhere.onnx", "a.png"],
    ["top", "threads"]
  ]
]

const pick = <A>(random: Prng.Prng, some: ReadonlyArray<A>): A => {
  const found = some[random.nextInt(some.length)]
  if (found === undefined) throw new Error("there is nothing to pick from")
  return found
}

const file = (folder: string, name: string, content: Uint8Array | string): string => {
  const path = join(folder, name)
  mkdirSync(join(path, ".."), { recursive: true })
  writeFileSync(path, content)
  return path
}

const sized = (verdict: Verdict, content: { readonly length: number }) => ({ verdict, size: content.length })

export const formats: ReadonlyArray<Format> = [
  {
    name: "network",
    attempt: async (random, folder) => {
      const whole = pick<unknown>(random, [network, { architecture: network }, { network: training.network }])
      const text = Mutate.jsonText(plain(whole), random)
      return sized(await commandLine(["inspect", file(folder, "network.json", text)]), text)
    }
  },
  {
    name: "recipe",
    attempt: async (random, folder) => {
      const text = Mutate.jsonText(recipe, random)
      const path = file(folder, "recipe.json", text)
      return sized(await commandLine(["train", "B0", "--recipe", path, "--dataset", join(folder, "nowhere")]), text)
    }
  },
  {
    name: "safetensors",
    attempt: async (random) => {
      const content = respoken(safetensors, random)
      return sized(ofResult(Safetensors.decode(content)), content)
    }
  },
  {
    name: "checkpoint",
    attempt: async (random) => {
      const content = respoken(checkpoint, random)
      return sized(ofResult(Checkpoint.decode("step-00000001.safetensors")(content)), content)
    }
  },
  {
    name: "weights",
    attempt: async (random, folder) => {
      const content = respoken(safetensors, random)
      return sized(await commandLine(["evaluate", file(folder, "best.safetensors", content)]), content)
    }
  },
  {
    name: "onnx",
    attempt: async (random) => {
      const content = Mutate.bytes(onnx, random)
      return sized(ofResult(Model.metadataOf(content)), content)
    }
  },
  {
    name: "idx",
    attempt: async (random, folder) => {
      const files: Array<readonly [string, Uint8Array]> = [
        ["train-images-idx3-ubyte", idx([40, 4, 4], images)],
        ["train-labels-idx1-ubyte", idx([40], labels)],
        ["t10k-images-idx3-ubyte", idx([40, 4, 4], images)],
        ["t10k-labels-idx1-ubyte", idx([40], labels)]
      ]
      const at = random.nextInt(files.length)
      const isZipped = random.nextInt(2) === 0
      for (const [i, [name, content]] of files.entries()) {
        const spoilt = i === at ? Mutate.bytes(content, random) : content
        file(folder, isZipped ? `${name}.gz` : name, isZipped ? gzipSync(spoilt) : spoilt)
      }
      return { verdict: await verdictOf(Effect.scoped(Datasets.make(folder))), size: images.length }
    }
  },
  {
    name: "cifar",
    attempt: async (random, folder) => {
      const rows = Uint8Array.from({ length: 20 * 3073 }, (_, i) => (i % 3073 === 0 ? (i / 3073) % 10 : i % 256))
      const names = [...[1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`), "test_batch.bin"]
      const spoilt = random.nextInt(names.length)
      for (const [i, name] of names.entries()) file(folder, name, i === spoilt ? Mutate.bytes(rows, random) : rows)
      if (random.nextInt(4) === 0)
        file(folder, "batches.meta.txt", Mutate.bytes(new TextEncoder().encode("a\nb\nc\n"), random))
      return { verdict: await verdictOf(Effect.scoped(Datasets.make(folder))), size: rows.length }
    }
  },
  {
    name: "picture",
    attempt: async (random) => {
      const content = Mutate.bytes(pick(random, pictures), random)
      const found = await Raster.decode(content)
      return sized("reason" in found ? refused(`picture: ${found.reason}. Replace it`) : taken, content)
    }
  },
  {
    name: "table",
    attempt: async (random) => {
      const text = new TextEncoder().encode(Mutate.jsonText(plain(table), random))
      const zipped = Uint8Array.from(gzipSync(text))
      const content = pick(random, [text, zipped, Mutate.bytes(zipped, random)])
      return sized(await verdictOf(Table.fromBytes(content, "table.json")), content)
    }
  },
  {
    name: "journal",
    attempt: async (random, folder) => {
      const path = join(folder, "journal.db")
      const db = new DatabaseSync(path)
      db.exec(
        `pragma application_id = ${0x55_6e_69_4e}; pragma user_version = 3;
        create table search (identity text not null, begun integer not null);
        create table entry (trial integer not null, step integer not null, kind text not null, at integer not null, data text not null, primary key (trial, step)) without rowid`
      )
      const [header, row] =
        random.nextInt(2) === 0
          ? [Mutate.jsonText(identity, random), JSON.stringify(entry)]
          : [JSON.stringify(identity), Mutate.jsonText(entry, random)]
      db.prepare("insert into search values (?, 0)").run(header)
      db.prepare("insert into entry values (0, 1, 'Finished', 0, ?)").run(row)
      db.close()
      if (random.nextInt(3) === 0) {
        const spoilt = Mutate.bytes(Uint8Array.from(readFileSync(path)), random)
        writeFileSync(path, spoilt)
      }
      return { verdict: await verdictOf(Journal.read(path)), size: 16_384 }
    }
  },
  {
    name: "search folder",
    attempt: async (random, folder) => {
      const command = pick(random, ["status", "replay", "runs", "stop"])
      file(
        folder,
        "run/live.json",
        Mutate.jsonText({ at: 0, phase: "search", share: 0.5, left: null, running: [] }, random)
      )
      file(folder, "run/best.json", Mutate.jsonText(plain({ trial: 0, network: training.network }), random))
      file(folder, "run/journal.db", Mutate.bytes(new TextEncoder().encode("SQLite format 3\0 and so on"), random))
      const run = join(folder, "run")
      const args =
        command === "runs"
          ? ["runs", folder]
          : command === "replay"
            ? ["replay", run, Mutate.word(random)]
            : [command, run]
      return { verdict: await commandLine([...args]), size: 4096 }
    }
  },
  {
    name: "training folder",
    attempt: async (random, folder) => {
      file(folder, "run/train.json", Mutate.jsonText(training, random))
      const line = `${Mutate.jsonText({ _tag: "Epoch", epoch: 0, validation: { measures: { accuracy: 1 } }, isBest: true }, random)}\n`
      file(folder, "run/metrics.jsonl", line)
      const args = pick(random, [
        ["runs", folder],
        ["inspect", join(folder, "run")],
        ["evaluate", join(folder, "run")]
      ])
      return { verdict: await commandLine(args), size: 4096 }
    }
  },
  {
    name: "config",
    attempt: async (random) => {
      const exported: unknown = Mutate.json(Mutate.json(plain(config), random), random)
      const module = { exported, path: "/c/uninet.config.ts", url: "file:///c/uninet.config.ts", version: "1" }
      return { verdict: await verdictOf(Config.read(module)), size: 4096 }
    }
  },
  {
    name: "flags",
    attempt: async (random) => {
      const [args, flags] = pick(random, commands)
      const some = Array.from({ length: 1 + random.nextInt(3) }, () => {
        const flag = `--${pick(random, flags)}`
        const value = Mutate.word(random)
        return random.nextInt(4) === 0 ? [`${flag}=${value}`] : [flag, value]
      })
      return { verdict: await commandLine([...args, ...some.flat()]), size: 4096 }
    }
  }
]

/** What is wrong with a refusal, if anything: it should be a readable sentence that names a place and the remedy. */
export const faultOf = (verdict: Verdict): string | undefined => {
  if (verdict._tag === "Taken") return undefined
  const { said } = verdict
  if (said.trim() === "") return "it is refused without a word"
  if (/ {4}at |node:internal/.test(said)) return "it is refused with a stack trace"
  if (
    /Schema validation failed|\[object Object\]|Cannot read propert|is not a function|is not iterable|Maximum call stack|Invalid array length|Invalid typed array/.test(
      said
    )
  )
    return "it is refused in a programmer's words"
  if (/\n\s+at \[/.test(said)) return "it is refused in several lines"
  if (!/[/.:"]/.test(said)) return "it is refused without a place"
  if (said.length > 12_000) return `it is refused in ${said.length} characters`
  return undefined
}

export const clear = (folder: string): void => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
}
