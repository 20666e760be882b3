/**
 * Serves the page with onnxruntime-web and the files of a folder:
 *
 *     node packages/export/browser/serve.ts [folder] [--port 8080]
 *
 * `http://localhost:8080/?model=files/digits.onnx&image=files/seven.png` classifies at once. Everything is local: the page asks for nothing outside.
 */
import { readFile } from "node:fs/promises"
import { createServer, type Server } from "node:http"
import { createRequire, stripTypeScriptTypes } from "node:module"
import { dirname, extname, join, resolve, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"

const page = fileURLToPath(new URL(".", import.meta.url))
/** The package that reads pictures in Node: its modules without Node's run in the page, their types taken out. */
const { resolve: whereIs } = createRequire(import.meta.url)
const data = dirname(whereIs("@uninet/data"))
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

/** The file that a path of the site means, in one of four folders; nothing outside of them. */
const fileOf = (path: string, files: string): string | undefined => {
  const [, first = "", ...rest] = decodeURIComponent(path).split("/")
  const [folder, name] =
    first === "ort"
      ? [ort, rest.join("/")]
      : first === "data"
        ? [data, rest.join("/")]
        : first === "files"
          ? [files, rest.join("/")]
          : [page, first || "index.html"]
  const file = resolve(folder, name)
  return file.startsWith(`${resolve(folder)}${sep}`) ? file : undefined
}

const isTyped = (file = "") => file.startsWith(data) && file.endsWith(".ts")

/** Serves on this machine only; port 0 takes any that is free. */
export const serve = (files: string, port: number): Promise<Server> => {
  const server = createServer((request, response) => {
    const file = fileOf(new URL(request.url ?? "/", "http://localhost").pathname, files)
    const content = file === undefined ? Promise.reject(new Error("outside")) : readFile(file)
    content.then(
      (bytes) =>
        response
          .writeHead(200, { "content-type": types[extname(file ?? "")] ?? "application/octet-stream" })
          .end(isTyped(file) ? stripTypeScriptTypes(bytes.toString("utf8")) : bytes),
      () => response.writeHead(404).end("There is no such file.\n")
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
  await serve(join(folder), Number(values.port))
  console.log(`http://localhost:${values.port}/?model=files/NAME.onnx has the files of ${folder}; Ctrl-C ends`)
}
