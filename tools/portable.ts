/**
 * Checks that a whole search with `--device portable` gives the same journal wherever it runs, entry by entry and bit by bit: in `uninet
 * search` itself, in Node on this processor, in a Node that uses neither AVX nor fused multiply-add, in Chromium, and under emulation on an
 * x86-64 processor with AVX2 and nothing newer (`--emulate`) and on ARM64 (`--node`).
 *
 *     node tools/portable.ts [--trials 8] [--epochs 1] [--seed 0] [--examples 10000] [--emulate] [--only <part of a name>]
 *       [--node <Node for linux-arm64>] [--qemu qemu-aarch64] [--root /usr/aarch64-linux-gnu] [--qemu-x86 qemu-x86_64]
 *
 * `--examples` is how many of MNIST's 10,000 digits are used; `uninet search` is among the runs only if all are. For the requirements of
 * emulation see `tools/emulated.ts`.
 */
import * as Browser from "@uninet/browser"
import { Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs, promisify } from "node:util"
import { inBrowser } from "./src/portable/browser.ts"
import { bundle } from "./src/portable/bundle.ts"
import { digits } from "./src/portable/digits.ts"
import type { Options } from "./src/portable/search.ts"

const { values: given } = parseArgs({
  options: {
    trials: { type: "string", default: "8" },
    epochs: { type: "string", default: "1" },
    seed: { type: "string", default: "0" },
    examples: { type: "string", default: "10000" },
    emulate: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    node: { type: "string" },
    "qemu-x86": { type: "string", default: "qemu-x86_64" },
    qemu: { type: "string", default: "qemu-aarch64" },
    root: { type: "string", default: "/usr/aarch64-linux-gnu" }
  }
})

const options: Options = { trials: Number(given.trials), epochs: Number(given.epochs), seed: given.seed }
const examples = Number(given.examples)
const all = 10_000

const folder = mkdtempSync(join(tmpdir(), "uninet-portable-"))
const [script, data] = [join(folder, "search.mjs"), join(folder, "digits")]

const run = async (command: string, args: ReadonlyArray<string>) =>
  (await promisify(execFile)(command, args, { encoding: "utf8", maxBuffer: 2 ** 28 })).stdout

const inNode = (command: string, args: ReadonlyArray<string>) => () =>
  run(command, [...args, script, data, JSON.stringify(options)])

/** The trials in the command line's journal; its finals are not part of the search. */
const byCommandLine = async () => {
  const out = join(folder, "run")
  const bin = fileURLToPath(new URL("../packages/cli/src/bin.ts", import.meta.url))
  const flags = { device: "portable", ...options, finalists: 1, "final-epochs": 1, workers: 2, out }
  await run(process.execPath, [
    bin,
    "search",
    ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)])
  ])
  const { entries } = await Effect.runPromise(Journal.read(join(out, "journal.db")))
  const trials = entries.map(({ entry }) => entry).filter((entry) => Journal.stepOf(entry) < 1000)
  return JSON.stringify(trials)
}

/** Without features that no emulator has, and that nothing here uses. */
const haswell = "Haswell,-pcid,-x2apic,-tsc-deadline,-invpcid,-hle,-rtm"
const plain = ["--no-enable-avx2", "--no-enable-avx", "--no-enable-fma3"]
const runs: ReadonlyArray<readonly [string, (() => Promise<string>) | undefined, string]> = [
  ["Node on this processor", inNode(process.execPath, []), ""],
  ["uninet search", examples === all ? byCommandLine : undefined, "it takes all digits: --examples 10000"],
  ["Node without AVX and multiply-add", inNode(process.execPath, plain), ""],
  [
    "Chromium",
    Browser.executable === undefined
      ? undefined
      : async () =>
          inBrowser(
            Browser.executable ?? "",
            await bundle(new URL("src/portable/page.ts", import.meta.url), "browser"),
            readFileSync(data),
            options,
            3600
          ),
    "there is none (Debian: apt-get install chromium)"
  ],
  [
    "Node on x86-64 with AVX2 (Haswell), emulated",
    given.emulate ? inNode(given["qemu-x86"], ["-cpu", haswell, process.execPath]) : undefined,
    "--emulate takes it in"
  ],
  [
    "Node on ARM64, emulated",
    given.node === undefined ? undefined : inNode(given.qemu, ["-L", given.root, given.node]),
    "name a Node for linux-arm64 by --node"
  ]
]

/** One entry per line, with names in order, so that two journals can be compared. */
const lines = (json: string): ReadonlyArray<string> => {
  const sorted = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(sorted)
      : typeof value === "object" && value !== null
        ? Object.fromEntries(
            Object.entries(value)
              .toSorted(([a], [b]) => (a < b ? -1 : 1))
              .map(([key, inner]) => [key, sorted(inner)])
          )
        : value
  const entries: unknown = JSON.parse(json)
  return Array.isArray(entries) ? entries.map((entry) => JSON.stringify(sorted(entry))) : []
}

try {
  writeFileSync(script, await bundle(new URL("src/portable/node.ts", import.meta.url), "node"))
  writeFileSync(data, digits(examples))
  let first: ReadonlyArray<string> | undefined
  // The others are compared with the first.
  for (const [name, search, why] of runs.filter(([name], i) => i === 0 || name.includes(given.only))) {
    if (search === undefined) {
      console.log(`${name}: left out; ${why}`)
      continue
    }
    const began = performance.now()
    try {
      const found = lines(await search())
      first ??= found
      const at = first.findIndex((line, i) => line !== found[i])
      const same = at === -1 && found.length === first.length
      if (!same || found.length === 0) process.exitCode = 1
      const digest = createHash("sha256").update(found.join("\n")).digest("hex").slice(0, 16)
      const seconds = Math.round((performance.now() - began) / 1000)
      console.log(`${name}: ${found.length} entries, ${digest}, ${same ? "as first" : "OTHER"} (${seconds} s)`)
      if (at !== -1) console.log(`  first ${first[at]}\n  here  ${found[at] ?? "nothing"}`)
    } catch (error) {
      process.exitCode = 1
      console.log(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
} finally {
  rmSync(folder, { recursive: true })
}
