/**
 * Compares training in a tab with jax-js, in one Chromium page and in turns: milliseconds per step (forward, backward, SGD) for the same
 * networks with the same weights on the same batch, both in WebAssembly with one thread. Takes a minute or two.
 *
 *   node bench/tab.ts [--rounds 20] [--steps 20]
 *
 * Prints a Markdown table. Fails if the two do not train the same network: their losses have to agree.
 */
import * as Browser from "@uninet/browser"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { cpus, loadavg } from "node:os"
import { dirname, join } from "node:path"
import { parseArgs } from "node:util"
import { bundle } from "../tools/src/portable/bundle.ts"
import type { Measured, Options } from "./tab/page.ts"
import { median, quantile } from "./workers.ts"

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "20" }, steps: { type: "string", default: "20" } }
})
const options: Options = { rounds: Number(values.rounds), steps: Number(values.steps) }

if (Browser.executable === undefined) throw new Error(Browser.absent)

const entry = createRequire(import.meta.url).resolve("@jax-js/jax")
const { version }: { readonly version: string } = JSON.parse(
  readFileSync(join(dirname(dirname(entry)), "package.json"), "utf8")
)
const script = await bundle(new URL("tab/page.ts", import.meta.url), "browser")

/** The median, and the 10th and 90th percentiles. */
const ms = (milliseconds: ReadonlyArray<number>) =>
  [0.5, 0.1, 0.9].map((share) => quantile(milliseconds, share).toFixed(2))

const browser = await Browser.launch(Browser.executable)
try {
  const page = await browser.newPage()
  page.on("pageerror", (error) => console.error(error))
  await page.exposeFunction("say", (line: string) => console.error(line))
  await page.goto("data:text/html,<!doctype html>")
  const found: ReadonlyArray<Measured> = await page.evaluate(
    `(async () => {
      const { measure } = await import(URL.createObjectURL(new Blob([${JSON.stringify(script)}], { type: "text/javascript" })))
      return await measure(${JSON.stringify(options)}, say)
    })()`
  )
  console.log(
    `${cpus()[0]?.model}, ${cpus().length} cores, Chromium ${browser.version()}, jax-js ${version}, load ${loadavg()[0]?.toFixed(1)}\n`
  )
  console.log("| network | UniNet, ms a step | 10–90% | jax-js, ms a step | 10–90% | jax-js / UniNet |")
  console.log(`|${"---|".repeat(6)}`)
  for (const { jax, network, uninet } of found) {
    const apart = Math.max(...uninet.losses.map((loss, i) => Math.abs(loss - (jax.losses[i] ?? Infinity))))
    if (!(apart < 1e-3))
      throw new Error(`Not the same training of ${network}: ${uninet.losses.join(" ")} and ${jax.losses.join(" ")}`)
    const [a, b] = [ms(uninet.milliseconds), ms(jax.milliseconds)]
    const ratio = median(jax.milliseconds) / median(uninet.milliseconds)
    console.log(`| ${network} | ${a[0]} | ${a[1]}–${a[2]} | ${b[0]} | ${b[1]}–${b[2]} | **${ratio.toFixed(2)}** |`)
  }
} finally {
  await browser.close()
}
