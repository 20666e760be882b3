/** One server for all test files of this package that do not stop it. */
import type { TestProject } from "vitest/node"
import * as Postgres from "./postgres.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** Of the server; none where there is none. */
    readonly postgres: number | undefined
  }
}

export default async ({ provide }: TestProject): Promise<(() => Promise<void>) | undefined> => {
  const server = Postgres.missing === undefined ? await Postgres.serve() : undefined
  provide("postgres", server?.port)
  return server?.remove
}
