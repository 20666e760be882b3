/**
 * Serves the page with onnxruntime-web and the files of a folder:
 *
 *     node packages/export/browser/serve.ts [folder] [--port 8080]
 *
 * `http://localhost:8080/?model=files/digits.onnx&image=files/seven.png` classifies at once. Everything is local: the page makes no
 * requests to other machines.
 */
import { constants } from "node:fs"
import { open, realpath } from "node:fs/promises"
import { createServer, type IncomingMessage, type Server } from "node:http"
import { createRequire, stripTypeScriptTypes } from "node:module"
import { dirname, extname, resolve, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"

const page = fileURLToPath(new URL(".", import.meta.url))
/** The package that reads pictures in Node: its modules that do not use Node run in the page, with their types removed. */
const { resolve: whereIs } = createRequire(import.meta.url)
const data = dirname(whereIs("@uninet/data"))
/** The package that they import; the page's import map knows it by this name. */
const elementary = dirname(whereIs("@uninet/search-space/elementary"))
const ort = dirname(whereIs("onnxruntime-web"))

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".ts": "text/javascript",
  ".wasm": "application/wasm",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".jpg": "image/jpeg",
  ".webp": "image/webp",
  ".avif": "image/avif"
}

/** A folder of the site, and the name of a file in it; `undefined` if the request is for neither. */
const wanted = (url: string, files: string): readonly [folder: string, name: string] | undefined => {
  if (!url.startsWith("/")) return undefined
  try {
    const { pathname } = new URL(`http://localhost${url}`)
    const [, first = "", ...rest] = decodeURIComponent(pathname).split("/")
    if (first === "ort") return [ort, rest.join("/")]
    if (first === "data") return [data, rest.join("/")]
    if (first === "elementary") return [elementary, rest.join("/")]
    if (first === "files") return [files, rest.join("/")]
    return [page, first || "index.html"]
  } catch {
    // Such as `/%`, which cannot be decoded.
    return undefined
  }
}

/** The bytes of a file in a folder: only of a regular file that really is in it, after following links. Does not wait on a pipe. */
const contentOf = async (folder: string, name: string): Promise<Buffer | undefined> => {
  const file = resolve(folder, name)
  if (!file.startsWith(`${resolve(folder)}${sep}`)) return undefined
  const [real, root] = await Promise.all([realpath(file), realpath(folder)])
  if (!real.startsWith(`${root.replace(/[/\\]$/, "")}${sep}`)) return undefined
  const opened = await open(real, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    return (await opened.stat()).isFile() ? await opened.readFile() : undefined
  } finally {
    await opened.close()
  }
}

/** Names that only this machine has for itself: with any other name, a foreign page could have sent the user's browser here. */
const isOurs = ({ headers: { host = "" } }: IncomingMessage) => /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i.test(host)

interface Answer {
  readonly status: number
  readonly type?: string
  readonly content: Buffer | string
}

const text = (status: number, content: string): Answer => ({ status, content: `${content}\n`, type: "text/plain" })
const nothing = text(404, "There is no such file.")

const answer = async (request: IncomingMessage, files: string): Promise<Answer> => {
  if (!isOurs(request)) return text(403, "Only this machine is served: give http://localhost with the port.")
  if (request.method !== "GET" && request.method !== "HEAD") return text(405, "Files are read here, and nothing else.")
  const [folder, name] = wanted(request.url ?? "/", files) ?? []
  if (folder === undefined || name === undefined) return nothing
  const bytes = await contentOf(folder, name)
  if (bytes === undefined) return nothing
  const type = types[extname(name)] ?? "application/octet-stream"
  const isTyped = (folder === data || folder === elementary) && name.endsWith(".ts")
  return { status: 200, type, content: isTyped ? stripTypeScriptTypes(bytes.toString("utf8")) : bytes }
}

/** Serves only on this machine and only to it; port 0 takes any free port. No request can stop it. */
export const serve = (files: string, port: number): Promise<Server> => {
  const server = createServer((request, response) => {
    void answer(request, files)
      .catch(() => nothing)
      .then(({ content, status, type }) =>
        response
          .writeHead(status, {
            ...(type === undefined ? {} : { "content-type": type }),
            "content-length": Buffer.byteLength(content),
            "x-content-type-options": "nosniff"
          })
          .end(request.method === "HEAD" ? undefined : content)
      )
  })
  return new Promise((done, failed) => server.once("error", failed).listen(port, "127.0.0.1", () => done(server)))
}

if (import.meta.main) {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { port: { type: "string", default: "8080" } }
  })
  const [folder = "."] = positionals
  const port = Number(values.port)
  if (!/^\d+$/.test(values.port) || port > 65_535) {
    console.error(`--port is "${values.port}". Give a number from 0 to 65535.`)
    process.exit(2)
  }
  try {
    const address = (await serve(folder, port)).address()
    const at = typeof address === "object" && address !== null ? address.port : port
    console.log(`http://localhost:${at}/?model=files/NAME.onnx has the files of ${folder}; Ctrl-C ends`)
  } catch (cause) {
    console.error(
      `--port ${port} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}. Give another.`
    )
    process.exit(1)
  }
}
