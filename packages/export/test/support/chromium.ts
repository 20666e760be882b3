/** A headless Chromium of the machine, driven by its own protocol. */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Where it is, if it is. */
export const chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) =>
  existsSync(file)
)

const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
  "--remote-debugging-port=0"
]

const until = <A>(attempt: () => A | undefined | Promise<A | undefined>, what: string): Effect.Effect<A> =>
  Effect.promise(async () => {
    for (let i = 0; i < 400; i++) {
      const found = await Promise.resolve()
        .then(attempt)
        .catch(() => undefined)
      if (found !== undefined) return found
      await new Promise((resume) => setTimeout(resume, 50))
    }
    throw new Error(`${what} did not come`)
  })

/** What the protocol's list says of a page. */
interface Target {
  readonly type: string
  readonly url: string
  readonly webSocketDebuggerUrl: string
}

export interface Page {
  /** The value of an expression in the page, awaited, as JSON carries it. */
  readonly evaluate: (expression: string) => Effect.Effect<unknown>
}

/** Opens a page and waits until `ready`, an expression, is true in it; the browser ends with the scope. */
export const open = Effect.fnUntraced(function* (executable: string, url: string, ready: string) {
  const profile = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-chromium-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  )
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(executable, [...flags, `--user-data-dir=${profile}`, url], { stdio: "ignore", detached: true })
    ),
    (child) =>
      Effect.promise(
        () =>
          new Promise<void>((done) => {
            child.once("exit", () => done())
            // Its own processes are of its group.
            if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
            else done()
          })
      )
  )
  const port = yield* until(() => readFileSync(join(profile, "DevToolsActivePort"), "utf8").split("\n")[0], "its port")
  const target = yield* until(async () => {
    const targets = await fetch(`http://127.0.0.1:${port}/json`).then(
      (response) => response.json() as Promise<ReadonlyArray<Target>>
    )
    return targets.find((each) => each.type === "page" && each.url === url)
  }, "the page")
  const socket = yield* Effect.acquireRelease(
    Effect.promise(
      () =>
        new Promise<WebSocket>((done, failed) => {
          const made = new WebSocket(target.webSocketDebuggerUrl)
          made.addEventListener("open", () => done(made))
          made.addEventListener("error", failed)
        })
    ),
    (socket) => Effect.sync(() => socket.close())
  )
  let id = 0
  const ask = (expression: string) =>
    new Promise<unknown>((done, failed) => {
      const own = ++id
      const hear = ({ data }: MessageEvent) => {
        const answer = JSON.parse(data)
        if (answer.id !== own) return
        socket.removeEventListener("message", hear)
        // A page that went elsewhere meanwhile has no answer.
        const { exceptionDetails, result } = answer.result ?? { exceptionDetails: answer.error }
        if (exceptionDetails === undefined) done(result.value)
        else failed(new Error(exceptionDetails.exception?.description ?? JSON.stringify(exceptionDetails)))
      }
      socket.addEventListener("message", hear)
      const params = { expression, awaitPromise: true, returnByValue: true }
      socket.send(JSON.stringify({ id: own, method: "Runtime.evaluate", params }))
    })
  yield* until(async () => ((await ask(ready)) === true ? true : undefined), ready)
  const page: Page = { evaluate: (expression) => Effect.promise(() => ask(expression)) }
  return page
})
