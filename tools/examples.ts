/**
 * Type-checks every example in the documentation (READMEs, guides, doc comments) as a user's program, and runs those that take less than
 * ten seconds.
 *
 *     node tools/examples.ts                 all: half a minute
 *     node tools/examples.ts --untested      without those in READMEs that their packages' tests run
 */
import { existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import * as ExampleFolder from "./src/ExampleFolder.ts"
import * as Examples from "./src/Examples.ts"
import { root, run } from "./src/Pack.ts"

const untested = process.argv.includes("--untested")
/** Whether a test of its package runs the README that contains an example. */
const isTested = ({ file }: Examples.Example) =>
  file.endsWith("/README.md") && existsSync(join(root, file.replace("README.md", "test/readme.test.ts")))
const examples = Examples.all().filter((example) => !(untested && isTested(example)))

await ExampleFolder.use(async (folder) => {
  Examples.write(folder, examples)
  const here = join(folder, "runs")
  mkdirSync(here)
  const steps = [
    // The compiler that also builds the packages' sources, whose types the examples use.
    run(folder, join(root, "node_modules", ".bin", "tsc"), "-p", "."),
    run(here, process.execPath, join(folder, "all.ts"))
  ]
  const failed = (await Promise.allSettled(steps)).filter((step) => step.status === "rejected")
  for (const { reason } of failed) console.error(`${String(reason.stdout)}${String(reason.stderr)}`)
  const ran = examples.filter(({ isLong }) => !isLong).length
  if (failed.length === 0) console.log(`${examples.length} examples type-checked, ${ran} of them run`)
  else process.exitCode = 1
})
