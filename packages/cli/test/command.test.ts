/** A command that is printed can be pasted as it is. */
import { assert, describe, it } from "@effect/vitest"
import { CommandLine } from "@uninet/cli"
import * as fc from "fast-check"
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const { quoted, wordsOf } = CommandLine

const bin = fileURLToPath(new URL("../src/bin.ts", import.meta.url))

const start: CommandLine.Start = {
  script: bin,
  node: "/opt/node/bin/node",
  flags: [],
  cwd: "/somewhere",
  env: {},
  platform: "linux",
  real: (path) => (path === bin || path === "/opt/node/bin/node" ? path : undefined)
}
const said = (other: Partial<CommandLine.Start>, ...args: ReadonlyArray<string>) =>
  wordsOf({ ...start, ...other }, args.length === 0 ? ["search", "--resume", "run"] : args).join(" ")

/** The arguments that a program receives when a shell starts it with these words. No word contains a zero byte. */
const heard = (words: ReadonlyArray<string>) =>
  execFileSync("sh", ["-c", `printf '%s\\0' ${words.map((word) => quoted(word, "linux")).join(" ")}`], {
    encoding: "utf8"
  })
    .split("\0")
    .slice(0, -1)

describe("a word for a shell", () => {
  it("is the one that was meant, whatever is in it", () => {
    const seed = Date.now() & 0x7fffffff
    // Half a surrogate pair is not text that can be passed to a program, and nothing contains a zero byte.
    const words = fc.string({ unit: "binary" }).map((word) => word.toWellFormed().replaceAll("\0", "0"))
    const known = ["a b", "it's", `"x"`, "$HOME", "`ls`", "*", "~", "a\nb", "-n", "", "!1"]
    assert.deepStrictEqual(heard(known), known)
    const all = fc.array(words, { minLength: 1, maxLength: 20 })
    const whole = fc.property(all, (words) => assert.deepStrictEqual(heard(words), words))
    fc.assert(whole, { numRuns: 10, seed: 1 })
    fc.assert(whole, { numRuns: 4, seed })
  })

  it("is left alone where nothing is the matter with it", () => {
    assert.strictEqual(quoted("runs/2026-01-31-120000-ppo", "linux"), "runs/2026-01-31-120000-ppo")
    assert.strictEqual(quoted("C:/a b", "win32"), '"C:/a b"')
  })
})

describe("a command", () => {
  it("begins as the process was started", () => {
    const npm = { npm_lifecycle_event: "uninet" }
    assert.strictEqual(said({ env: { npm_lifecycle_event: "npx" } }), "npx uninet search --resume run")
    const pnpm = { ...npm, npm_config_user_agent: "pnpm/12.21.0 npm/? node/v24" }
    assert.strictEqual(said({ env: pnpm }), "pnpm uninet search --resume run")
    const lent = { ...pnpm, npm_execpath: "/somewhere/_npx/123/node_modules/pnpm/bin/pnpm.cjs" }
    assert.strictEqual(said({ env: lent }), "npx pnpm uninet search --resume run")
    assert.strictEqual(said({ env: npm }), "npm run uninet -- search --resume run")
    const begun = { npm_lifecycle_event: "start" }
    assert.strictEqual(said({ env: begun }), "npm start -- --resume run")
    assert.strictEqual(said({ env: begun }, "replay", "run", "3"), "npx pnpm uninet replay run 3")
  })

  it("names the program where it is on no path, and itself where it is", () => {
    assert.strictEqual(said({}), `/opt/node/bin/node ${bin} search --resume run`)
    assert.strictEqual(said({ env: { PATH: "/opt/node/bin" } }), `node ${bin} search --resume run`)
    assert.strictEqual(
      said({ cwd: fileURLToPath(new URL("..", import.meta.url)), flags: ["--max-old-space-size=100"] }),
      "/opt/node/bin/node --max-old-space-size=100 src/bin.ts search --resume run"
    )
    const linked = (path: string) => (path === "/usr/bin/uninet" ? bin : start.real(path))
    assert.strictEqual(said({ env: { PATH: "/bin:/usr/bin" }, real: linked }), "uninet search --resume run")
    assert.strictEqual(said({ script: "/usr/bin/vitest" }), "uninet search --resume run")
  })
})
