/**
 * The site: every package's reference, guides, decisions and figures as static files that need no server.
 *
 *     pnpm site                 into dist/site; open dist/site/index.html
 *     pnpm site --out <folder>  elsewhere
 *     pnpm site --check         checks comments alone, and writes nothing
 *
 * Fails where a public export has no comment, a comment lacks what a tool can see that it lacks, or a link leads nowhere.
 */
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { make as makeTab } from "../tools/src/Tab.ts"
import * as Browser from "./src/Browser.ts"
import * as Check from "./src/Check.ts"
import * as Links from "./src/Links.ts"
import * as Pages from "./src/Pages.ts"
import * as Reference from "./src/Reference.ts"

/** The share of functions whose page has to have an example that is run: what it is by now, which may only rise. */
const least = 0.75

const { values } = parseArgs({
  options: {
    check: { type: "boolean", default: false },
    out: { type: "string", default: join(Pages.root, "dist", "site") }
  }
})
const since = performance.now()
const seconds = () => `${((performance.now() - since) / 1000).toFixed(0)} s`
const faults: Array<string> = []

console.log("reading the packages' sources: about half a minute")
const { application, exports, project, warnings } = await Reference.read()
const functions = exports.filter(Check.isFunction)
const own = functions.filter(({ hasOwnExample }) => hasOwnExample).length
const shown = functions.filter(Check.isShown).length
const percent = (count: number) => `${((100 * count) / functions.length).toFixed(1)}%`
const missing = Check.missing(exports)
faults.push(...missing, ...warnings)
if (shown < least * functions.length) faults.push(`${percent(shown)} of functions have an example: fewer than before`)
console.log(
  [
    `${exports.length} public exports, ${exports.length - missing.filter((line) => line.endsWith(": no comment")).length} with a comment`,
    `${functions.length} functions: ${own} (${percent(own)}) with a run example of their own, ${shown} (${percent(shown)}) with one on their page`,
    `read in ${seconds()}`
  ].join("\n")
)

if (!values.check) {
  const out = resolve(values.out)
  await application.generateDocs(project, out)
  await makeTab(join(out, "tab"))
  const links = Links.check(out)
  faults.push(...links.broken.map((line) => `broken link: ${line}`))
  console.log(
    `${links.pages} pages, ${links.checked} links, ${links.broken.length} of them broken, in ${seconds()}: ${join(out, "index.html")}`
  )
  const tried = await Browser.check(out)
  faults.push(...(tried ?? []))
  console.log(
    tried === undefined
      ? "The search was not tried: there is no Chromium here (Debian: apt-get install chromium)"
      : `tried in Chromium: ${tried.length === 0 ? "the search finds, without a server" : "see below"}`
  )
}
for (const fault of faults) console.error(fault)
process.exitCode = faults.length === 0 ? 0 : 1
