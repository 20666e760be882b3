/** Raw requests, which no client would send, and event streams. */
import * as Effect from "effect/Effect"
import { connect } from "node:net"

export interface Answer {
  readonly status: number
  readonly body: string
}

/** The answer to a request. */
export const asked = (
  port: number,
  path: string,
  { host = `localhost:${port}`, method = "GET" }: { readonly host?: string; readonly method?: string } = {}
): Effect.Effect<Answer> =>
  Effect.callback<Answer>((resume) => {
    const socket = connect(port, "127.0.0.1", () =>
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    )
    let all = ""
    socket.setEncoding("utf8").on("data", (text: string) => (all += text))
    socket.on("close", () =>
      resume(Effect.succeed({ status: Number(all.split(" ")[1]), body: all.split("\r\n\r\n").slice(1).join("") }))
    )
  })

/** Listens to events while the scope is open. */
export const listening = (port: number, path: string, hear: (event: string, data: string) => void) =>
  Effect.gen(function* () {
    const ended = new AbortController()
    let events = 0
    yield* Effect.addFinalizer(() => Effect.sync(() => ended.abort()))
    const answer = yield* Effect.promise(() => fetch(`http://localhost:${port}${path}`, { signal: ended.signal }))
    const take = async () => {
      const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader()
      let rest = ""
      for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader?.read()) {
        const messages = (rest + part.value).split("\n\n")
        rest = messages.pop() ?? ""
        for (const message of messages) {
          const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(message) ?? []
          if (event === undefined || data === undefined) continue
          events++
          hear(event, data)
        }
      }
    }
    // It ends with the scope, whichever side closes it.
    void take().catch(() => {})
    return {
      events: () => events,
      until: (condition: () => boolean): Effect.Effect<void> =>
        Effect.asVoid(Effect.repeat(Effect.andThen(Effect.sleep(10), Effect.sync(condition)), { until: (is) => is }))
    }
  })
