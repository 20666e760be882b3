/**
 * Takes a lock again and again: `node holding.ts <file> <rounds> <die>`. Whoever has it makes a file that must not be there; with `die` it ends itself by SIGKILL in the
 * last round, while it has it. Prints how often it had it, and ends with code 1 and a sentence where it was not alone.
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
      // Fails where another one is in here too. Of those that were ended with it, one was alone.
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
