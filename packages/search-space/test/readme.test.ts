import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const folder = new URL("..", import.meta.url)
const readme = readFileSync(new URL("README.md", folder), "utf8")

/** The output of the TypeScript examples in a text. */
const printed = (text: string) =>
  [...text.matchAll(/```ts\n([^]*?)```/g)].map(([, code = ""]) =>
    execFileSync(process.execPath, ["--input-type=module-typescript", "--eval", code], {
      cwd: fileURLToPath(folder),
      encoding: "utf8"
    })
  )

describe("the README", () => {
  it("has examples that run, and print what they say", () => {
    const said = printed(readme)
    assert.strictEqual(said.length, 5)
    assert.match(said[0] ?? "", /^22620n\n/)
    assert.include(said[1], "infinitely many choices\n")
    assert.include(said[1], "momentum is continuous")
    const parameters = [...(said[2] ?? "").matchAll(/parameters: (\d+)/g)].map(([, found]) => Number(found))
    assert.strictEqual(parameters.length, 2)
    for (const found of parameters) assert.isTrue(found >= 9_000 && found <= 9_100)
    const faults = [...readme.matchAll(/^\/\/ (Invalid .*|Not in .*)$/gm)].map(([, fault]) => fault)
    assert.strictEqual(faults.length, 2)
    for (const fault of faults) assert.include(said[4], fault)
  })
})

describe("the package", () => {
  it("knows nothing of the rest of the house, not even in its tests", () => {
    for (const part of ["src", "test", "examples"])
      for (const file of readdirSync(new URL(part, folder), { recursive: true, encoding: "utf8" })) {
        if (!file.endsWith(".ts")) continue
        const text = readFileSync(new URL(`${part}/${file}`, folder), "utf8")
        const others = [...text.matchAll(/from "(@uninet\/[^"]+)"/g)].map(([, name]) => name)
        assert.deepStrictEqual(
          others.filter((name) => !/^@uninet\/search-space(\/arbitrary)?$/.test(name ?? "")),
          [],
          file
        )
      }
  })
})
