/** An npm registry of tarballs, for `npm install @uninet/search` before anything is published. */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { basename, join } from "node:path"

export interface Registry {
  /** Makes a project's npm get `@uninet`'s packages from here, and all others from its own registry. */
  readonly use: (project: string) => void
  readonly close: () => Promise<void>
}

/** Serves the tarballs on a free port of this machine. */
export const serve = async (tarballs: ReadonlyArray<string>): Promise<Registry> => {
  const packages = new Map<string, (address: string) => object>()
  const files = new Map<string, string>()
  for (const path of tarballs) {
    const manifest = JSON.parse(execFileSync("tar", ["-xzOf", path, "package/package.json"], { encoding: "utf8" }))
    const bytes = readFileSync(path)
    const file = basename(path)
    files.set(`/${file}`, path)
    packages.set(`/${manifest.name}`, (address) => ({
      name: manifest.name,
      "dist-tags": { latest: manifest.version },
      versions: {
        [manifest.version]: {
          ...manifest,
          dist: {
            tarball: `${address}/${file}`,
            shasum: createHash("sha1").update(bytes).digest("hex"),
            integrity: `sha512-${createHash("sha512").update(bytes).digest("base64")}`
          }
        }
      }
    }))
  }
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? "/")
    const about = packages.get(path)
    const file = files.get(path)
    if (about !== undefined) {
      response.setHeader("content-type", "application/json")
      response.end(JSON.stringify(about(`http://${request.headers.host}`)))
    } else if (file !== undefined) response.end(readFileSync(file))
    else {
      response.statusCode = 404
      response.end("{}")
    }
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("the registry has no port")
  return {
    use: (project) => writeFileSync(join(project, ".npmrc"), `@uninet:registry=http://127.0.0.1:${address.port}/\n`),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      })
  }
}
