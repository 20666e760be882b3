/** Every evaluation kills its worker, as a system that is short of memory does. */
import { Evaluator } from "@uninet/search"
import * as Effect from "effect/Effect"
import { existsSync, readFileSync } from "node:fs"
import { uninet } from "./search.ts"

export default (broken: string) => {
  if (existsSync(broken)) throw new Error(readFileSync(broken, "utf8"))
  return Evaluator.make(uninet, () =>
    Effect.suspend(() => {
      process.kill(process.pid, "SIGKILL")
      return Effect.never
    })
  )
}
