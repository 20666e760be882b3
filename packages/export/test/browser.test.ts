import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Browser from "@uninet/browser"
import { ImageFile } from "@uninet/data"
import { Classification, Format, OnnxModel } from "@uninet/export"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Result from "effect/Result"
import { join } from "node:path"
import { serve } from "../browser/serve.ts"
import { everything, trainedOf } from "./support/networks.ts"

/** At the network's own size, so that nothing has to be resized: resizing is where browsers differ from libvips. */
const { height, width } = everything.image
const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="38" height="45" fill="#204060"/><rect x="4" y="9" width="20" height="20" fill="#e0a010"/></svg>`

describe("the page in a browser", () => {
  it.live(
    "takes an image for what the same ONNX file takes it for here",
    (context) =>
      Effect.gen(function* () {
        if (Browser.executable === undefined) return context.skip(Browser.absent)
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped()
        const model = trainedOf(everything, Prng.fromSeed("browser"))
        const { card } = model
        const picture = card.picture ?? assert.fail("it takes no picture")
        const trained = { ...model, card: { ...card, picture: { ...picture, cropRatio: 1 } } }
        yield* fs.writeFile(join(folder, "net.onnx"), Result.getOrThrow(Format.onnx(trained)).content)
        yield* fs.writeFileString(join(folder, "a.svg"), svg)
        yield* fs.writeFileString(join(folder, "bare.onnx"), "")

        const opened = yield* OnnxModel.open(join(folder, "net.onnx"))
        assert.deepStrictEqual(opened.card, trained.card)
        const image = yield* ImageFile.read({
          image: everything.image,
          ...trained.card.picture
        })([join(folder, "a.svg")])
        const { logits } = yield* opened.outputs({ size: 1, inputs: { image } })
        const classes = card.classes ?? assert.fail("it tells no classes apart")
        const expected = Classification.top(classes, classes.length)(logits)

        const server = yield* Effect.acquireRelease(
          Effect.promise(() => serve(folder, 0)),
          (made) => Effect.sync(() => made.close())
        )
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        const url = `http://127.0.0.1:${port}/?model=files/net.onnx&image=files/a.svg`
        const { evaluate } = yield* Browser.open(Browser.executable, url, "document.body.dataset.ready === 'yes'")
        assert.strictEqual(yield* evaluate("document.getElementById('error').textContent"), "")
        const rows = yield* evaluate(
          "[...document.querySelectorAll('#result tr')].map((row) => [row.cells[0].textContent, row.querySelector('meter').value])"
        )
        const found = rows as ReadonlyArray<readonly [string, number]> // the expression says so
        assert.deepStrictEqual(
          found.map(([label]) => label),
          expected.slice(0, 5).map(({ label }) => label)
        )
        for (const [i, [, probability]] of found.entries())
          assert.approximately(probability, expected[i]?.probability ?? 0, 1e-4)
        // Nothing was requested from outside.
        const hosts = yield* evaluate(
          "[...new Set(performance.getEntriesByType('resource').map(({ name }) => new URL(name).host))]"
        )
        assert.deepStrictEqual(hosts, [`127.0.0.1:${port}`])
        const refused = yield* evaluate(
          "import('./uninet.js').then(({ open }) => open(new Uint8Array())).catch((error) => error.message)"
        )
        assert.match(String(refused), /Give a file that uninet export wrote/)
        // A network that is not a classifier is also refused.
        const other = { ...trained, card: { ...trained.card, classes: null } }
        yield* fs.writeFile(join(folder, "other.onnx"), Result.getOrThrow(Format.onnx(other)).content)
        const unlike = yield* evaluate(
          "fetch('files/other.onnx').then((r) => r.arrayBuffer()).then((b) => import('./uninet.js').then(({ open }) => open(new Uint8Array(b)))).catch((error) => error.message)"
        )
        assert.match(String(unlike), /^The model's file does not describe an image classifier\. Give a file/)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    Browser.testTimeout
  )

  it.live("is served with nothing outside its folders", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      yield* fs.writeFileString(join(folder, "secret"), "secret")
      yield* fs.makeDirectory(join(folder, "open"))
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => serve(join(folder, "open"), 0)),
        (made) => Effect.sync(() => made.close())
      )
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const status = (path: string) =>
        Effect.promise(() => fetch(`http://127.0.0.1:${port}${path}`).then((response) => response.status))
      assert.strictEqual(yield* status("/"), 200)
      for (const path of [
        "/files/..%2fsecret",
        "/files/%2e%2e/secret",
        "/files/",
        "/..%2f..%2fpackage.json",
        "/ort/..%2f..%2fpackage.json"
      ])
        assert.strictEqual(yield* status(path), 404, path)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
