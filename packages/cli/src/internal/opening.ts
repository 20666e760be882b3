/** Opens files and addresses with the system's default program. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"

const programs: Readonly<Record<string, readonly [program: string, ...args: ReadonlyArray<string>]>> = {
  darwin: ["open"],
  win32: ["explorer.exe"]
}

/** Opens a page in the browser; if none can be started, says so and continues. */
export const browser = (page: string): Effect.Effect<void> =>
  Effect.callback<boolean>((resume) => {
    const [program, ...args] = programs[process.platform] ?? ["xdg-open"]
    // It keeps running when this process ends, and prints nothing here.
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
