import { assert, describe, it } from "@effect/vitest"
import * as Readme from "../src/Readme.ts"

// What the examples of the other packages print is held against the package in its own tests.
describe.each(["data", "dsm", "nn", "operators", "uninet"])("the README of %s", (name) => {
  it("has examples that run", () => {
    const examples = Readme.examples(name)
    assert.isAbove(examples.length, 0)
    for (const code of examples) Readme.run(name, code)
  })
})
