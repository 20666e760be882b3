/**
 * Takes a lock again and again: `node holding.ts <file> <rounds> <die>`. While a process holds it, it creates a file that must not exist
 * yet; with `die` it kills itself with SIGKILL in the last round, while it holds the lock. Prints how often it held the lock, and ends with
 * code 1 and a sentence if it was not alone.
 */
import { Lock } from "@uninet/search"
import * as Effect from "effect/Effect"
import { rmSync, writeFileSync } from "node:fs"

const [, , file = "", rounds = "1", die = ""] = process.argv
const marker = `${file}.held`

const once = (isLast: boolean) =>
  Effect.scoped(
    Effect.gen(function* () {
      yield* Lock.hold(file)
      // Fails if another process is in here too. A process that is killed removes its marker first.
      writeFileSync(marker, String(process.pid), { flag: "wx" })
      yield* Effect.sleep(Math.random() * 2)
      rmSync(marker)
      if (isLast && die === "die") process.kill(process.pid, "SIGKILL")
    })
  )

const program = Effect.gen(function* () {
  for (let round = 1; round <= Number(rounds); round++)
    yield* Effect.retry(once(round === Number(rounds)), { while: ({ _tag }) => _tag === "Locked" })
  console.log(rounds)
})

await Effect.runPromise(program).catch((cause: unknown) => {
  console.error(cause)
  process.exit(1)
})
