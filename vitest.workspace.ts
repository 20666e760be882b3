// Vitest 5 reads this with `--config vitest.workspace.ts`: one project per package.
import { existsSync, readdirSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { defineConfig } from "vitest/config"

// Half of what it takes to start a process of ours is compiling what was compiled before.
const env = { NODE_COMPILE_CACHE: join(tmpdir(), "uninet-compiled") }
const packages = readdirSync(new URL("packages", import.meta.url)).map((name) => `packages/${name}`)

/** What all test files of a project share. */
const setup = "test/support/setup.ts"

export default defineConfig({
  test: {
    projects: [...packages, "tools", "bench", "examples"].map((root) => ({
      test: {
        root,
        include: ["test/**/*.test.ts"],
        testTimeout: 60_000,
        hookTimeout: 60_000,
        env,
        ...(existsSync(new URL(`${root}/${setup}`, import.meta.url)) ? { globalSetup: setup } : {})
      }
    }))
  }
})
