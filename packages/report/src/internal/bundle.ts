/**
 * The page as one file, with its scripts and its style bundled. In a checkout it is made when it is first needed, and cached; a published
 * package has it in `dist`.
 *
 *     node src/internal/bundle.ts     writes dist/page.html
 */
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

/** Where the report's data are inserted. */
export const marker = "<!--report-->"

const root = fileURLToPath(new URL("../..", import.meta.url))
const folder = join(root, "page")
const made = join(root, "dist", "page.html")

/** Everything that the page is made from: its own files, those of the package, and the versions of the libraries. */
const digest = (): string => {
  const hash = createHash("sha256")
  for (const below of [folder, join(root, "src")])
    for (const file of readdirSync(below, { recursive: true, encoding: "utf8" }).toSorted())
      if (/\.(tsx?|css)$/.test(file)) hash.update(`${file}\n`).update(readFileSync(join(below, file)))
  return hash
    .update(readFileSync(join(root, "package.json")))
    .digest("hex")
    .slice(0, 16)
}

/** Escapes a script so that it cannot end its element. */
const inScript = (text: string) => text.replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--")

const build = async (): Promise<string> => {
  const { build } = await import("rolldown")
  const { output } = await build({
    input: join(folder, "main.tsx"),
    platform: "browser",
    write: false,
    logLevel: "silent",
    // Libraries read this variable, which a browser does not have.
    transform: {
      define: { "process.env.NODE_ENV": '"production"' },
      jsx: { runtime: "automatic", importSource: "preact" }
    },
    output: { format: "iife", minify: true, codeSplitting: false }
  })
  const script = inScript(output[0].code)
  const style = readFileSync(join(folder, "style.css"), "utf8").replaceAll(/\s*\n\s*/g, " ")
  const sha = createHash("sha256").update(script).digest("base64")
  // Only this script can run, whatever names are in the data, and nothing is requested from elsewhere.
  const policy = `default-src 'none'; script-src 'sha256-${sha}'; style-src 'unsafe-inline'; img-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'`
  return [
    "<!doctype html>",
    '<html lang="en"><head><meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="referrer" content="no-referrer"><title>Searches</title>',
    '<link rel="icon" href="data:,">',
    `<style>${style}</style></head>`,
    '<body><div id="root">One moment.</div><noscript>This report is drawn by scripts, which are switched off here.</noscript>',
    marker,
    `<script>${script}</script></body></html>`
  ].join("\n")
}

/** The page, with `marker` in the data's place. */
export const page = async (): Promise<string> => {
  // An installed package has nothing else next to it.
  if (!existsSync(folder)) return readFileSync(made, "utf8")
  const cache = join(root, "node_modules", ".cache")
  const kept = join(cache, `uninet-report-${digest()}.html`)
  if (existsSync(kept)) return readFileSync(kept, "utf8")
  const text = await build()
  try {
    mkdirSync(cache, { recursive: true })
    // Written whole or not at all: several processes may do this at once.
    writeFileSync(`${kept}.${process.pid}`, text)
    renameSync(`${kept}.${process.pid}`, kept)
  } catch {
    // It is made again next time.
  }
  return text
}

if (import.meta.main) {
  mkdirSync(dirname(made), { recursive: true })
  writeFileSync(made, await build())
}
