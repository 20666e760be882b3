/** The page's server gives this machine the files of its folders, and keeps running whatever is requested. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { serve } from "../browser/serve.ts"

const served = Effect.acquireRelease(
  Effect.promise(async () => {
    const folder = mkdtempSync(join(tmpdir(), "uninet-serve-"))
    const files = join(folder, "files")
    mkdirSync(join(files, "inside"), { recursive: true })
    writeFileSync(join(folder, "secret.txt"), "secret")
    writeFileSync(join(files, "seven.txt"), "seven")
    symlinkSync(join(files, "seven.txt"), join(files, "inside/link.txt"))
    symlinkSync(join(folder, "secret.txt"), join(files, "out.txt"))
    symlinkSync(folder, join(files, "up"))
    execFileSync("mkfifo", [join(files, "pipe")])
    const server = await serve(files, 0)
    const address = server.address()
    return { folder, server, port: typeof address === "object" && address !== null ? address.port : 0 }
  }),
  ({ folder, server }) =>
    Effect.sync(() => {
      server.closeAllConnections()
      server.close()
      rmSync(folder, { recursive: true, force: true })
    })
)

/** The answer to a raw request, one that no client would send. */
const asked = (port: number, path: string, { host = `localhost:${port}`, method = "GET" } = {}) =>
  Effect.callback<{ readonly status: number; readonly body: string }>((resume) => {
    const socket = connect(port, "127.0.0.1", () =>
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    )
    let all = ""
    socket.setEncoding("utf8").on("data", (text: string) => (all += text))
    socket.on("close", () =>
      resume(Effect.succeed({ status: Number(all.split(" ")[1]), body: all.split("\r\n\r\n").slice(1).join("") }))
    )
  })

describe.skipIf(process.platform === "win32")("the page's server", () => {
  it.live("gives the files of its folders, and nothing that lies elsewhere, whatever leads there", () =>
    Effect.gen(function* () {
      const { port } = yield* served
      assert.deepStrictEqual(yield* asked(port, "/files/seven.txt"), { status: 200, body: "seven" })
      assert.deepStrictEqual(yield* asked(port, "/files/inside/link.txt"), { status: 200, body: "seven" })
      assert.deepStrictEqual(yield* asked(port, "/files/seven.txt", { method: "HEAD" }), { status: 200, body: "" })
      assert.include((yield* asked(port, "/")).body, "<html")
      assert.include((yield* asked(port, "/data/Raster.ts")).body, "export")
      for (const path of [
        "/%",
        "/%ff",
        "/%00",
        "/files",
        "/files/",
        "/files/out.txt",
        "/files/up/secret.txt",
        "/files/../secret.txt",
        "/files/..%2fsecret.txt",
        "/files/%2e%2e/secret.txt",
        "/files//etc/passwd",
        "/files/pipe",
        "/files/inside",
        "/data/../package.json",
        `/${"a".repeat(5000)}`,
        "*"
      ]) {
        const { body, status } = yield* asked(port, path)
        assert.include([400, 404], status, path)
        assert.notInclude(body, "secret", path)
      }
      for (const path of ["//", "/\\", "//evil"]) assert.include((yield* asked(port, path)).body, "<html", path)
      assert.strictEqual((yield* asked(port, "/files/seven.txt", { method: "POST" })).status, 405)
      // A foreign page whose name now resolves to this machine.
      for (const host of ["evil.example", `evil.example:${port}`, "localhost.evil.example", ""])
        assert.include([400, 403], (yield* asked(port, "/files/seven.txt", { host })).status, host)
      for (const host of [`127.0.0.1:${port}`, `LOCALHOST:${port}`])
        assert.strictEqual((yield* asked(port, "/files/seven.txt", { host })).status, 200)
    })
  )
})
