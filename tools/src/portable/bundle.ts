/** One file of plain JavaScript: for Node versions that cannot strip types (under emulation), and for pages. */
import { rolldown, type Plugin } from "rolldown"
import { fileURLToPath } from "node:url"

/** A missing module does no harm as long as it is not called. */
const none = "module.exports = new Proxy(function () {}, { get: (_, name) => (name === 'default' ? {} : undefined) })"
/** The disk, which a search that stores nothing does not need. */
const noDisk = "import * as Layer from 'effect/Layer'; export const layer = Layer.empty"

/** Digests of data have to be the same. */
const hash = fileURLToPath(new URL("hash.ts", import.meta.url))

const without = (missing: RegExp): Plugin => ({
  name: "without",
  resolveId: (id) =>
    id === "node:crypto" && missing.test(id)
      ? hash
      : missing.test(id)
        ? `\0${id.includes("platform") ? "disk" : "none"}:${id}`
        : null,
  load: (id) => (id.startsWith("\0disk:") ? noDisk : id.startsWith("\0none:") ? none : null)
})

/** Native decoders and engines, built for other processors. */
const native = /^(?:sharp|onnxruntime-node|@effect\/platform-node.*)$/
const node = /^(?:node:.*|sharp|onnxruntime-.*|@effect\/platform-node.*)$/

/** The program that starts at a module, with everything it needs. */
export const bundle = async (
  module: URL,
  platform: "node" | "browser",
  { minify = false }: { readonly minify?: boolean } = {}
): Promise<string> => {
  const made = await rolldown({
    input: module.pathname,
    platform,
    logLevel: "silent",
    plugins: [without(platform === "node" ? native : node)]
  })
  const { output } = await made.generate({ format: "esm", codeSplitting: false, minify })
  await made.close()
  return output[0].code
}
