/** A connection to a server that can be cut in the ways in which networks fail. */
import { connect, createServer, type Socket } from "node:net"

/**
 * - `open`: everything passes.
 * - `refused`: connections end and new ones are refused, as while the server is down.
 * - `silent`: nothing passes and nobody is told, as behind a router that has forgotten the connection; connections from that time stay
 *   silent forever.
 */
export type Way = "open" | "refused" | "silent"

export interface Proxy {
  /** The same database through this proxy. */
  readonly url: (url: string) => string
  readonly set: (way: Way) => void
  readonly close: () => Promise<void>
}

interface Pair {
  readonly sockets: ReadonlyArray<Socket>
  isLost: boolean
}

/** A proxy for a port of this machine. */
export const proxy = async (port: number): Promise<Proxy> => {
  let way: Way = "open"
  const pairs = new Set<Pair>()
  const server = createServer((client) => {
    if (way === "refused") return client.destroy()
    const upstream = connect(port, "127.0.0.1")
    const pair: Pair = {
      sockets: [client, upstream],
      isLost: way === "silent"
    }
    pairs.add(pair)
    client.on("data", (data) => {
      if (!pair.isLost) upstream.write(data)
    })
    upstream.on("data", (data) => {
      if (!pair.isLost) client.write(data)
    })
    for (const socket of pair.sockets) {
      socket.on("error", () => {})
      socket.on("close", () => {
        // The other end learns of it only if it can still be reached.
        if (!pair.isLost || socket === client) {
          for (const each of pair.sockets) each.destroy()
          pairs.delete(pair)
        }
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  const own = typeof address === "object" && address !== null ? address.port : 0
  return {
    url: (url) => {
      const moved = new URL(url)
      moved.port = String(own)
      return moved.href
    },
    set: (next) => {
      way = next
      for (const pair of pairs) {
        if (next === "refused") for (const socket of pair.sockets) socket.destroy()
        else if (next === "silent") pair.isLost = true
      }
    },
    close: () => {
      for (const { sockets } of pairs) for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    }
  }
}
