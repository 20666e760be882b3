/** Who may know whom. */
import { assert, describe, it } from "@effect/vitest"
import { version } from "@uninet/trainer"
import { readdirSync, readFileSync } from "node:fs"

const packages = new URL("../../packages/", import.meta.url)
const names = readdirSync(packages)

/** What a package's program imports of the others; an example in a doc comment is not its program. */
const imported = (name: string): ReadonlyArray<string> => {
  const source = new URL(`${name}/src/`, packages)
  const found = readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => [
      ...readFileSync(new URL(file, source), "utf8").matchAll(
        /^(?:import|export)\b[^;]*?"@uninet\/([a-z0-9-]+)|^[^*\n]*\bimport\("@uninet\/([a-z0-9-]+)/gm
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

  it("form a line: none needs itself through others", () => {
    const needs = (name: string, through: ReadonlyArray<string>): void => {
      assert.notInclude(through, name)
      for (const other of declared(name)) needs(other, [...through, name])
    }
    for (const name of names) needs(name, [])
  })

  // The measure of the other two: a name that they would miss.
  it("are looked at", () => {
    assert.include(imported("search"), "model-space")
    assert.include(imported("cli"), "uninet")
  })
})
