/** The search in a page: whoever opened the page provides its digits and options, and receives the content of its journal. */
import * as Effect from "effect/Effect"
import { type Options, searched } from "./search.ts"

const given = async (name: string) => await fetch(`/${name}`)
const digits = new Uint8Array(await (await given("digits")).arrayBuffer())
const options = (await (await given("options")).json()) as Options // in the form in which they were written for it
const said = await Effect.runPromise(
  Effect.match(searched(digits, options), {
    onSuccess: (entries) => JSON.stringify(entries),
    onFailure: ({ message }) => message
  })
).catch(String)
await fetch("/found", { method: "POST", body: said })
