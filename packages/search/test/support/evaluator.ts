/** The evaluator of the tests' worker processes: the trial's seed says what should happen. */
import { Evaluator } from "@uninet/search"
import * as Effect from "effect/Effect"
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { accuracyOf, measuresOf, uninet } from "./search.ts"

const held: Array<Buffer> = []

export default (options: unknown) =>
  Evaluator.make(uninet, (architecture, { keepWeights, seed }) =>
    Effect.suspend(() => {
      if (seed.includes("exit")) process.exit(3)
      if (seed.includes("hang")) while (true);
      const once = /killed once: (.*)/.exec(seed)?.[1]
      if (once !== undefined && !existsSync(once)) {
        writeFileSync(once, "")
        process.kill(process.pid, "SIGKILL")
        return Effect.never
      }
      if (seed === "killed") {
        process.kill(process.pid, "SIGKILL")
        return Effect.never
      }
      if (seed.includes("out of memory")) {
        process.stderr.write("FATAL ERROR: JavaScript heap out of memory\n")
        process.abort()
      }
      const [, times, tries] = /full (\d+) times: (.*)/.exec(seed) ?? []
      if (tries !== undefined) {
        appendFileSync(tries, `${process.pid}\n`)
        if (readFileSync(tries, "utf8").trim().split("\n").length <= Number(times))
          return new Evaluator.EvaluatorLost({ problem: "the disk is full", remedy: "Make room" })
      }
      if (seed === "memory") held.push(Buffer.alloc(400 * 2 ** 20, 1))
      if (seed === "memory") return Effect.never
      if (seed.includes("wait")) return Effect.never
      if (seed.includes("fail")) return Effect.fail(new Error("told to fail"))
      if (seed.includes("die")) return Effect.die(new Error("told to die"))
      return Effect.succeed({
        measures: { ...measuresOf(accuracyOf(architecture)), pid: process.pid, options: Number(options) },
        epochs: null,
        ...(keepWeights === true ? { weights: new Map([["stem.0.weight", Float32Array.of(1, 2, 3)]]) } : {})
      })
    })
  )
