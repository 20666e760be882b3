/** The page of `tab`, with everything it fetches. */
import { copyFileSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { readFile } from "node:fs/promises"
import { createServer } from "node:http"
import { basename, extname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { bundle } from "./portable/bundle.ts"
import { digits } from "./portable/digits.ts"

const source = (name: string) => new URL(`../tab/${name}`, import.meta.url)

/** The digits in the form that the page takes: compressed, under a name that no server mistakes for a compressed page. */
export const compressed = (examples: number): Uint8Array => gzipSync(digits(examples), { level: 9 })

/** Creates the folder afresh and returns its size in bytes. `examples`: the number of digits, by default all of them. */
export const make = async (folder: string, examples = 10_000): Promise<number> => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  copyFileSync(fileURLToPath(source("index.html")), join(folder, "index.html"))
  for (const name of ["page", "worker"])
    writeFileSync(join(folder, `${name}.js`), await bundle(source(`${name}.ts`), "browser", { minify: true }))
  const { resolve } = createRequire(import.meta.url)
  for (const name of ["sql-wasm-browser.js", "sql-wasm-browser.wasm"])
    copyFileSync(resolve(`sql.js/dist/${name}`), join(folder, name))
  writeFileSync(join(folder, "digits.bin"), compressed(examples))
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".wasm": "application/wasm"
}

/** Serves the folder on this machine; 0 takes any free port. Rejects if the port is taken. */
export const serve = (folder: string, port: number): Promise<{ readonly url: string; readonly close: () => void }> => {
  const server = createServer((request, response) => {
    const name = basename(new URL(request.url ?? "/", "http://localhost").pathname) || "index.html"
    readFile(join(folder, name)).then(
      (content) =>
        response.writeHead(200, { "content-type": types[extname(name)] ?? "application/octet-stream" }).end(content),
      () => response.writeHead(404).end()
    )
  })
  const { promise, reject, resolve } = Promise.withResolvers<{ readonly url: string; readonly close: () => void }>()
  server.on("error", reject)
  server.listen(port, "127.0.0.1", () => {
    const address = server.address()
    const close = () => {
      server.close()
      server.closeAllConnections()
    }
    resolve({
      url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : port}/`,
      close
    })
  })
  return promise
}
