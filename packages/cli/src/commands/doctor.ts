/** `uninet doctor`: lists the available devices, checks each with a training step, and says how to add what is missing. */
import { OnnxRuntime } from "@uninet/runtime"
import { Tfjs } from "@uninet/runtime-tfjs"
import * as Arr from "effect/Array"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Command } from "effect/cli"
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { availableParallelism, cpus, freemem, platform, totalmem } from "node:os"
import { fileURLToPath } from "node:url"
import * as command from "../internal/command.ts"
import * as Device from "../internal/device.ts"
import { Outcome, OutcomeText } from "../internal/engineCheck.ts"
import * as flags from "../internal/flags.ts"

/** What is known of a device before it is tried. */
interface Known {
  readonly library: string
  readonly version: string
  /** The reason to use it. */
  readonly why: string
  /** The command that adds it; empty if it comes with the installation. */
  readonly command: string
  /** What else it needs, or an alternative, one line each. */
  readonly notes: ReadonlyArray<string>
}

/** The location of ONNX Runtime's library: in a checkout as its makers publish it, otherwise in a package for the platform. */
const ortFolder = import.meta.url.endsWith(".ts")
  ? "packages/runtime/node_modules/onnxruntime-node"
  : "node_modules/@uninet/onnxruntime-node-linux-x64"

const ofOrt = { library: "onnxruntime-node", version: OnnxRuntime.version }
const ofTfjs = { library: "TensorFlow.js", version: Tfjs.version }
const ofLoops = { library: "WebAssembly", version: process.versions.v8 }
const nodePackage = (name: string) => `npx -y pnpm add -w --allow-build=${name} ${name}@${Tfjs.version}`

/** A software Vulkan driver that comes with Debian's browser: slow, but enough to try the engine. */
const software = "/usr/lib/chromium/vk_swiftshader_icd.json"

const known: Record<Device.Chosen, Known> = {
  cpu: { ...ofOrt, why: "the standard engine", command: "npx -y pnpm install", notes: [] },
  portable: {
    ...ofLoops,
    why: "the same bits on every processor and in every browser",
    command: "npx -y pnpm install",
    notes: []
  },
  loops: {
    ...ofLoops,
    why: "the portable loops with fused multiply-add, fast on small networks",
    command: "npx -y pnpm install",
    notes: []
  },
  webgpu: {
    ...ofOrt,
    why: "trains on any vendor's GPU and keeps the weights on it",
    command: platform() === "linux" ? "apt-get install libvulkan1 mesa-vulkan-drivers" : "",
    notes:
      platform() === "linux"
        ? [
            "needs a GPU; for NVIDIA's, use its own driver instead of mesa's",
            "without one it can be tried on the processor, slowly:",
            `  apt-get install chromium`,
            `  LD_LIBRARY_PATH=/usr/lib/chromium VK_ICD_FILENAMES=${software} ${command.uninet("doctor")}`
          ]
        : ["needs the GPU vendor's driver"]
  },
  cuda: {
    ...ofOrt,
    why: "trains on an NVIDIA GPU with cuDNN",
    command: `(cd ${ortFolder} && ONNXRUNTIME_NODE_INSTALL=cuda12 node script/install.js)`,
    notes: ["needs Linux on x64, an NVIDIA GPU with its driver, CUDA 12 and cuDNN 9; downloads the provider from NuGet"]
  },
  "tfjs-node-gpu": {
    ...ofTfjs,
    why: "a second opinion on an NVIDIA GPU, from TensorFlow's own kernels",
    command: nodePackage("@tensorflow/tfjs-node-gpu"),
    notes: ["needs CUDA 11 and cuDNN 8; downloads libtensorflow"]
  },
  "tfjs-node": {
    ...ofTfjs,
    why: "a second opinion from TensorFlow's own kernels",
    command: nodePackage("@tensorflow/tfjs-node"),
    notes: ["downloads libtensorflow"]
  },
  "tfjs-wasm": {
    ...ofTfjs,
    why: "runs where ONNX Runtime does not, including browsers",
    command: "npx -y pnpm install",
    notes: []
  },
  "tfjs-cpu": { ...ofTfjs, why: "checks the others: plain JavaScript, slow", command: "npx -y pnpm install", notes: [] }
}

/** The result for a device. */
interface Found {
  readonly device: Device.Chosen
  readonly library: string
  readonly version: string
  readonly state: "ready" | "absent" | "wrong"
  /** The engine and its device. */
  readonly engine: string | null
  readonly step: { readonly seconds: number; readonly loss: number; readonly verified: boolean } | null
  readonly reason: string | null
  readonly why: string
  readonly remedy: { readonly command: string; readonly notes: ReadonlyArray<string> } | null
}

/** The time limit for one device: a software WebGPU driver compiles its shaders for a quarter of a minute. */
const limit = 60_000

const script = new URL(
  import.meta.url.endsWith(".ts") ? "../internal/engineCheck.ts" : "../internal/engineCheck.js",
  import.meta.url
)

/** Tries a device in a separate process. */
const tried = (device: Device.Chosen): Effect.Effect<Outcome> =>
  Effect.callback<Outcome>((resume) => {
    const args = ["--disable-warning=ExperimentalWarning", fileURLToPath(script), device]
    const child = execFile(process.execPath, args, { timeout: limit, killSignal: "SIGKILL" }, (error, stdout) => {
      const line = stdout.trimEnd().split("\n").at(-1) ?? ""
      const outcome = Schema.decodeUnknownOption(OutcomeText)(line)
      const how = error?.killed === true ? `no answer within ${limit / 1000} s` : "its driver ended the process"
      resume(Effect.succeed(Option.getOrElse(outcome, () => Outcome.cases.Failed.make({ reason: how }))))
    })
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

/** On two engines, the losses of one computation differ only by rounding. */
const tolerance = 1e-3

const agree = (losses: ReadonlyArray<number>, reference: ReadonlyArray<number>) =>
  losses.length === reference.length &&
  Arr.zip(losses, reference).every(([loss, own]) => Math.abs(loss - own) < tolerance)

const judged = (device: Device.Chosen, outcome: Outcome, reference: ReadonlyArray<number> | undefined): Found => {
  const { command, library, notes, version, why } = known[device]
  const remedy = { command, notes }
  const common = { device, library, version, why }
  if (outcome._tag === "Failed")
    return { ...common, state: "absent", engine: null, step: null, reason: outcome.reason, remedy }
  const { engine, losses, seconds } = outcome
  const verified = agree(losses, reference ?? losses) && (losses.at(-1) ?? Infinity) < (losses[0] ?? 0)
  return {
    ...common,
    state: verified ? "ready" : "wrong",
    engine,
    step: { seconds, loss: losses.at(-1) ?? Number.NaN, verified },
    reason: verified ? null : "its training steps do not give the same numbers as ONNX Runtime on the processor",
    remedy: null
  }
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`

const shown = ({ device, library, reason, remedy, state, step, version, why }: Found): string => {
  const head = `${device.padEnd(14)}${state.padEnd(8)}`
  if (step !== null) {
    const result = step.verified ? "training step verified" : (reason ?? "")
    return `${head}${library} ${version}, ${result}, ${(1000 * step.seconds).toFixed(0)} ms`
  }
  const lines = [`${head}${reason ?? ""}`, `why: ${why}`]
  if (remedy !== null && remedy.command !== "") lines.push(`add: ${remedy.command}`)
  if (remedy !== null) lines.push(...remedy.notes)
  return lines.join("\n  ")
}

export const doctor = Command.make(
  "doctor",
  { json: flags.json },
  Effect.fnUntraced(function* ({ json }) {
    yield* Console.error(`trying ${Device.chosen.length} engines, each for at most ${limit / 1000} s …`)
    // The standard engine first: the others are compared with it.
    const standard = yield* tried(Device.standard)
    const reference = standard._tag === "Ran" ? standard.losses : undefined
    const others = Device.chosen.filter((device) => device !== Device.standard)
    const outcomes = yield* Effect.forEach(others, (device) => Effect.map(tried(device), (o) => [device, o] as const), {
      concurrency: 3
    })
    const all = [[Device.standard, standard] as const, ...outcomes]
    const engines = all.map(([device, outcome]) => judged(device, outcome, reference))
    const machine = {
      node: process.version,
      platform: `${process.platform} ${process.arch}`,
      processor: cpus()[0]?.model.trim() ?? "",
      cores: availableParallelism(),
      memoryBytes: totalmem(),
      freeMemoryBytes: freemem(),
      nvidia: existsSync("/dev/nvidia0")
    }
    if (json) return yield* Console.log(JSON.stringify({ ...machine, engines }, null, 2))
    const { cores, freeMemoryBytes, memoryBytes, node, processor } = machine
    yield* Console.log(
      [
        `Node ${node} on ${machine.platform}, ${processor}, ${cores} cores, ${gigabytes(memoryBytes)} of memory, ${gigabytes(freeMemoryBytes)} free`,
        "",
        ...engines.map(shown),
        "",
        "Choose a device with --device; auto is the first GPU that works, else cpu."
      ].join("\n")
    )
  })
).pipe(
  Command.withDescription(
    "List what there is to compute with, check each with a training step, and say how to add the rest"
  ),
  Command.withExamples([
    { command: "uninet doctor", description: "Every device, with what is missing and the command that adds it" },
    { command: "uninet doctor --json", description: "The same as JSON" }
  ])
)
