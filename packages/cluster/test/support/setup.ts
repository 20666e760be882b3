/** One server for all test files of this package that do not stop it. */
import type { TestProject } from "vitest/node"
import * as Postgres from "./postgres.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** The server's port; none if there is no server. */
    readonly postgres: number | undefined
  }
}

export default async ({ provide }: TestProject): Promise<(() => Promise<void>) | undefined> => {
  const server = Postgres.missing === undefined ? await Postgres.serve() : undefined
  provide("postgres", server?.port)
  return server?.remove
}
