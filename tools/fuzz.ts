/**
 * Does any external input crash, hang, or use an unexplained amount of memory? Takes valid examples of every file format and every flag,
 * corrupts them along their structure, and reads them in one process. Failures are reported with the seed that reproduces the input. An
 * input that hangs, exhausts the memory, or brings V8 down ends that process; it is reported too, and another process continues after it.
 *
 *     node tools/fuzz.ts [inputs] [--seed text] [--only format]        (default: 100000, with a new seed)
 *     node tools/fuzz.ts --again "format" seed                         (one input)
 */
import { fork } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { formats } from "./src/fuzz/formats.ts"
import { attempt, limits, type Problem, type Tried } from "./src/fuzz/run.ts"

interface Task {
  readonly from: number
  readonly to: number
  readonly seed: string
  readonly only: string | null
}

type Message = { readonly _tag: "Next"; readonly at: number } | ({ readonly _tag: "Done"; readonly at: number } & Tried)

const chosen = (only: string | null) => formats.filter(({ name }) => only === null || name === only)

/** The input with a number: formats take turns. */
const inputOf = ({ only, seed }: Pick<Task, "only" | "seed">, at: number) => {
  const some = chosen(only)
  const format = some[at % some.length]
  if (format === undefined)
    throw new Error(`there is no format ${only}. Give one of ${formats.map(({ name }) => name).join(", ")}.`)
  return { format, seed: `${seed}/${at}` }
}

const work = async ({ from, to, ...task }: Task) => {
  const folder = mkdtempSync(join(tmpdir(), "uninet-fuzz-"))
  // Progress bars and lines do not matter here.
  process.stderr.write = () => true
  for (let at = from; at < to; at++) {
    process.send?.({ _tag: "Next", at } satisfies Message)
    const { format, seed } = inputOf(task, at)
    const tried = await attempt(format, seed, folder)
    process.send?.({ _tag: "Done", at, ...tried } satisfies Message)
  }
  rmSync(folder, { recursive: true, force: true })
  process.disconnect()
}

/** Runs inputs in a separate process until one stops it; returns where to continue. */
const run = (
  task: Task,
  onDone: (tried: Tried) => void
): Promise<{ readonly next: number; readonly problem?: Problem }> =>
  new Promise((resolve) => {
    const child = fork(fileURLToPath(import.meta.url), [work.name, JSON.stringify(task)], {
      execArgv: ["--disable-warning=ExperimentalWarning", "--max-old-space-size=4096"],
      stdio: ["ignore", "ignore", "ignore", "ipc"]
    })
    let at = task.from
    let since = performance.now()
    let hangs = false
    const watch = setInterval(() => {
      if (performance.now() - since < 3 * limits.time) return
      hangs = true
      child.kill("SIGKILL")
    }, 1000)
    child.on("message", (message: Message) => {
      since = performance.now()
      if (message._tag === "Next") at = message.at
      else onDone(message)
    })
    child.on("exit", (code, signal) => {
      clearInterval(watch)
      if (code === 0) return resolve({ next: task.to })
      const { format, seed } = inputOf(task, at)
      const what = hangs
        ? `it hangs: no answer within ${(3 * limits.time) / 1000} s`
        : `it ended the process with ${signal ?? code}`
      resolve({ next: at + 1, problem: { format: format.name, seed, what } })
    })
  })

const main = async () => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { seed: { type: "string" }, only: { type: "string" }, again: { type: "string" } }
  })
  const only = values.only ?? null
  if (values.again !== undefined) {
    const format = formats.find(({ name }) => name === values.again)
    if (format === undefined) throw new Error(`there is no format ${values.again}.`)
    const folder = mkdtempSync(join(tmpdir(), "uninet-fuzz-"))
    console.log(await attempt(format, positionals[0] ?? "0", folder), folder)
    return
  }
  const inputs = Number(positionals[0] ?? 100_000)
  const seed = values.seed ?? String(Date.now())
  console.log(`${inputs} inputs of ${chosen(only).length} formats, --seed ${seed}`)
  const began = performance.now()
  const problems: Array<Problem> = []
  let [done, taken, longest] = [0, 0, 0]
  let said = began
  const tell = (problem: Problem) => {
    problems.push(problem)
    console.log(
      `${problem.format}: ${problem.what}\n  again: node tools/fuzz.ts --again "${problem.format}" ${problem.seed}`
    )
  }
  for (let next = 0; next < inputs;) {
    const ended = await run({ from: next, to: inputs, seed, only }, ({ isTaken, milliseconds, problem }) => {
      done++
      if (isTaken) taken++
      longest = Math.max(longest, milliseconds)
      if (problem !== undefined) tell(problem)
      if (performance.now() - said > 10_000) {
        said = performance.now()
        const left = ((said - began) / 1000 / done) * (inputs - done)
        console.log(`${done} of ${inputs}, ${problems.length} problems, ${Math.round(left)} s left`)
      }
    })
    if (ended.problem !== undefined) tell(ended.problem)
    next = ended.next
  }
  console.log(
    `${inputs} inputs in ${Math.round((performance.now() - began) / 1000)} s: ${taken} taken, the longest took ${(longest / 1000).toFixed(1)} s, ${problems.length} problems (--seed ${seed})`
  )
  process.exitCode = problems.length === 0 ? 0 : 1
}

if (process.argv[2] === work.name) await work(JSON.parse(process.argv[3] ?? ""))
else await main()
