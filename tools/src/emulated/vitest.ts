/**
 * The part of `@effect/vitest` that the engines' tests use, as a replacement where Vitest itself cannot run: tests run one after another,
 * in one file of plain JavaScript.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

// bundled, it is Vitest's own Chai
export { assert } from "vitest"

interface Context {
  readonly skip: (why?: string) => void
}

interface Test {
  readonly name: string
  readonly run: (context: Context) => unknown
}

const tests: Array<Test> = []
let path: ReadonlyArray<string> = []

/** A name with a table row filled in. */
const titled = (name: string, row: unknown): string => {
  const [first = row] = Array.isArray(row) ? row : [row]
  const fields: Readonly<Record<string, unknown>> = typeof row === "object" && row !== null ? { ...row } : {}
  return name.replace(/%[a-z]/, String(first)).replace(/\$(\w+)/g, (_, field: string) => String(fields[field]))
}

const spread = (row: unknown): ReadonlyArray<unknown> => (Array.isArray(row) ? row : [row])

const plain = (name: string, run: (context: Context) => unknown): void => {
  tests.push({ name: [...path, name].join(" › "), run })
}

type Body<A extends ReadonlyArray<unknown>> = (...args: A) => Effect.Effect<unknown, unknown, Scope.Scope>

const effect = (name: string, body: Body<[Context]>): void =>
  plain(name, (context) => Effect.runPromise(Effect.scoped(body(context))))

const effectEach =
  <Row>(rows: ReadonlyArray<Row>) =>
  (name: string, body: Body<[Row]>): void => {
    for (const row of rows) effect(titled(name, row), () => body(row))
  }

const group = (name: string, body: () => void): void => {
  const outer = path
  path = [...outer, name]
  body()
  path = outer
}

const each =
  (add: (name: string, body: (context: Context) => unknown) => void) =>
  (rows: ReadonlyArray<unknown>) =>
  (name: string, body: (...row: ReadonlyArray<unknown>) => unknown): void => {
    for (const row of rows) add(titled(name, row), () => body(...spread(row)))
  }

export const describe = Object.assign(group, {
  each:
    (rows: ReadonlyArray<unknown>) =>
    (name: string, body: (...row: ReadonlyArray<unknown>) => void): void => {
      for (const row of rows) group(titled(name, row), () => body(...spread(row)))
    }
})
const effectful = Object.assign(effect, { each: effectEach })
export const it = Object.assign(plain, { each: each(plain), effect: effectful, live: effectful })

class Skipped extends Error {}

/**
 * Runs `count` of the declared tests, starting at one, and reports what failed, how many passed and how many there are in all; ends with 1
 * if one failed.
 */
export const run = async (from: number, count: number): Promise<void> => {
  const came = { passed: 0, failed: 0, skipped: 0 }
  const context: Context = {
    skip: (why = "skipped") => {
      throw new Skipped(why)
    }
  }
  for (const test of tests.slice(from, from + count)) {
    try {
      await test.run(context)
      came.passed++
    } catch (error) {
      if (error instanceof Skipped) came.skipped++
      else {
        came.failed++
        console.log(`failed: ${test.name}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
  }
  console.log(JSON.stringify({ ...came, all: tests.length }))
  process.exitCode = came.failed === 0 ? 0 : 1
}
