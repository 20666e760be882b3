// Vitest 5 reads this with `--config vitest.workspace.ts`: one project per package.
import { existsSync, readdirSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

// The Python of `pnpm bench:pytorch`, where it was made, comes before the machine's.
const python = fileURLToPath(new URL("bench/pytorch/.venv/bin", import.meta.url))
const env = {
  // Half of what it takes to start a process of ours is compiling what was compiled before.
  NODE_COMPILE_CACHE: join(tmpdir(), "uninet-compiled"),
  PATH: [...(existsSync(python) ? [python] : []), process.env.PATH ?? ""].join(delimiter)
}
const packages = readdirSync(new URL("packages", import.meta.url)).map((name) => `packages/${name}`)

/** What all test files of a project share. */
const setup = "test/support/setup.ts"

export default defineConfig({
  test: {
    // One less, the default, leaves half of a small machine idle.
    maxWorkers: availableParallelism(),
    // Files share what they import: loading it again for each of them was a fifth of the time.
    isolate: false,
    projects: [...packages, "tools", "bench", "examples", "site"].map((root) => ({
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
