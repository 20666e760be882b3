/** Which packages may depend on which. */
import { assert, describe, it } from "@effect/vitest"
import { version } from "@uninet/trainer"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { oldest } from "../../packages/cli/src/internal/nodeVersion.js"
import * as Published from "../published.mjs"

const packages = new URL("../../packages/", import.meta.url)
const names = readdirSync(packages)

/** What a package's code imports from the others; an example in a doc comment is not part of it. */
const imported = (name: string): ReadonlyArray<string> => {
  const source = new URL(`${name}/src/`, packages)
  const found = readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => [
      ...readFileSync(new URL(file, source), "utf8")
        .replaceAll(/^\/\*\*[^]*?\*\/$/gm, "")
        .matchAll(
          /^(?:import|export)\b(?:[^;"]*?\bfrom)? "@uninet\/([a-z0-9-]+)|^[^*\n]*\bimport\("@uninet\/([a-z0-9-]+)/gm
        )
    ])
    .map(([, still, lazily]) => still ?? lazily)
  return [...new Set(found)].filter((other) => other !== name).toSorted()
}

const declared = (name: string): ReadonlyArray<string> => {
  const { dependencies = {} }: { readonly dependencies?: Readonly<Record<string, string>> } = JSON.parse(
    readFileSync(new URL(`${name}/package.json`, packages), "utf8")
  )
  return Object.keys(dependencies)
    .flatMap((key) => (key.startsWith("@uninet/") ? [key.slice("@uninet/".length)] : []))
    .toSorted()
}

/** UniNet's own packages, and the commands, which offer its space by name. */
const ofUniNet = ["uninet", "operators", "dsm"]
const mayKnowIt = [...ofUniNet, "cli"]

describe("the packages", () => {
  it.each(names)("%s declares what it imports, and no more", (name) => {
    assert.deepStrictEqual(declared(name), imported(name))
  })

  it.each(names.filter((name) => !mayKnowIt.includes(name)))("%s knows no UniNet", (name) => {
    assert.deepStrictEqual(
      imported(name).filter((other) => ofUniNet.includes(other)),
      []
    )
  })

  it("are all of one version, which is also what they say", () => {
    const versions = names.map(
      (name) => JSON.parse(readFileSync(new URL(`${name}/package.json`, packages), "utf8")).version
    )
    assert.deepStrictEqual([...new Set(versions)], [version])
  })

  it.each(names)("%s is published with all that a stranger looks for, and whole", (name) => {
    const own = JSON.parse(readFileSync(new URL(`${name}/package.json`, packages), "utf8"))
    const { bugs, description, engines, files, homepage, keywords, license, repository } = Published.manifest(own)
    assert.deepStrictEqual(
      { bugs, engines, license, repository },
      {
        bugs: { url: `${Published.home}/issues` },
        engines: { node: `>=${oldest}` },
        license: "MIT",
        repository: { type: "git", url: `git+${Published.home}.git`, directory: `packages/${name}` }
      }
    )
    assert.match(String(homepage), new RegExp(`/packages/${name}#readme$`))
    assert.isNotEmpty(description)
    assert.isTrue(Array.isArray(keywords) && keywords.length >= 3)
    assert.isTrue(
      Array.isArray(files) && ["dist", "!dist/**/.*", "src", "README.md"].every((file) => files.includes(file))
    )
    assert.isTrue(existsSync(new URL(`${name}/README.md`, packages)))
    // What is packed is built at that point.
    assert.match(own.scripts.prepack, /^node \.\.\/\.\.\/tools\/prepack\.mjs( src\/[\w/]+\.ts)?$/)
    assert.strictEqual(own.scripts.postpack, "node ../../tools/prepack.mjs --undo")
    // The published entries are the checkout's, after building.
    const built = Object.entries<string>(own.exports).map(([path, source]) => {
      const file = source.replace(/^\.\/src\/(.*)\.ts$/, "./dist/$1")
      return [path, { types: `${file}.d.ts`, default: `${file}.js` }]
    })
    assert.deepStrictEqual(own.publishConfig.exports, Object.fromEntries(built))
  })

  it("have links in their READMEs that lead somewhere from anywhere", () => {
    const text =
      "[a](../nn) [b](src/Op.ts#x) [c](#here) [d](https://e.org)\n```ts\nf[0](x)\n```\n[e](../../docs/f.md)\n"
    assert.strictEqual(
      Published.readme(text, "packages/graph"),
      `[a](${Published.home}/tree/main/packages/nn) [b](${Published.home}/blob/main/packages/graph/src/Op.ts#x) [c](#here) [d](https://e.org)\n\`\`\`ts\nf[0](x)\n\`\`\`\n[e](${Published.home}/blob/main/docs/f.md)\n`
    )
    for (const name of names)
      assert.notInclude(
        readFileSync(new URL(`${name}/README.md`, packages), "utf8"),
        Published.home,
        `${name}'s README was left as it is packed: run node ../../tools/prepack.mjs --undo in its folder`
      )
  })

  it("form a line: none needs itself through others", () => {
    const needs = (name: string, through: ReadonlyArray<string>): void => {
      assert.notInclude(through, name)
      for (const other of declared(name)) needs(other, [...through, name])
    }
    for (const name of names) needs(name, [])
  })

  // Checks the two checks above: a name that they would miss.
  it("are looked at", () => {
    assert.include(imported("search"), "model-space")
    assert.include(imported("cli"), "uninet")
  })
})
