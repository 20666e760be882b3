/** Opens files and addresses with whatever the system opens them with. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"

const programs: Readonly<Record<string, readonly [program: string, ...args: ReadonlyArray<string>]>> = {
  darwin: ["open"],
  win32: ["explorer.exe"]
}

/** Opens a page in the browser; where there is none that can be started, says so and goes on. */
export const browser = (page: string): Effect.Effect<void> =>
  Effect.callback<boolean>((resume) => {
    const [program, ...args] = programs[process.platform] ?? ["xdg-open"]
    // It stays when this process ends, and says nothing here.
    const child = spawn(program, [...args, page], { stdio: "ignore", detached: true })
    child.once("error", () => resume(Effect.succeed(false)))
    child.once("spawn", () => {
      child.unref()
      resume(Effect.succeed(true))
    })
  }).pipe(
    Effect.flatMap((isOpen) =>
      isOpen ? Effect.void : Console.error(`note: no browser could be started; open ${page} yourself`)
    )
  )
