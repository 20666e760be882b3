// Vitest 5 reads this with `--config vitest.workspace.ts`: one project per package.
import { readdirSync } from "node:fs"
import { defineConfig } from "vitest/config"

const packages = readdirSync(new URL("packages", import.meta.url)).map((name) => `packages/${name}`)

export default defineConfig({
  test: {
    projects: [...packages, "tools", "bench", "examples"].map((root) => ({
      test: { root, include: ["test/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 }
    }))
  }
})
