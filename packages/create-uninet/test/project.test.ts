import { assert, describe, it } from "@effect/vitest"
import { project, templates } from "create-uninet"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { main } from "../src/internal/main.js"
import { versions } from "../src/internal/versions.js"

const files = (template?: string): ReadonlyMap<string, string> => {
  const made = project("mine", template)
  return made._tag === "Project" ? made.files : new Map()
}

describe("npm create uninet", () => {
  it("makes an operator, a space, its laws as a test, a search and a config", () => {
    const names = ["operator.ts", "space.ts", "space.test.ts", "search.ts", "uninet.config.ts"]
    assert.includeMembers([...files().keys()], [...names, "package.json", "tsconfig.json", ".gitignore"])
  })

  it.each(templates())("makes a project of %s that depends on what its programs import", (template) => {
    const made = files(template)
    const { dependencies, scripts } = JSON.parse(made.get("package.json") ?? "{}")
    for (const [file, text] of made) {
      if (!file.endsWith(".ts")) continue
      for (const [, name = ""] of text.matchAll(/from "((?:@[\w-]+\/)?[\w-]+)/g))
        if (!name.startsWith("node")) assert.property(dependencies, name, file)
      for (const [, other = ""] of text.matchAll(/from "\.\/([^"]+)"/g)) assert.isTrue(made.has(other), other)
    }
    const [, main = ""] = /([\w.-]+\.ts)$/.exec(scripts.start) ?? []
    assert.isTrue(made.has(main))
  })

  it("needs the versions that this repository has", () => {
    const workspace = readFileSync(new URL("../../../pnpm-workspace.yaml", import.meta.url), "utf8")
    for (const [name, version] of Object.entries(versions))
      assert.match(workspace, new RegExp(`^ {2}"?${name}"?: ${version.replaceAll(/[.^]/g, "\\$&")}$`, "m"))
  })

  it("leaves a folder alone that has something in it, and a template that there is not", () => {
    const folder = mkdtempSync(join(tmpdir(), "create-uninet-"))
    try {
      writeFileSync(join(folder, "kept"), "")
      assert.strictEqual(main([folder]), 2)
      assert.deepStrictEqual(readdirSync(folder), ["kept"])
      assert.strictEqual(main([join(folder, "new"), "--template", "none"]), 2)
      assert.isFalse(existsSync(join(folder, "new")))
      assert.strictEqual(main([join(folder, "new")]), 0)
      assert.include(readdirSync(join(folder, "new")), "search.ts")
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
