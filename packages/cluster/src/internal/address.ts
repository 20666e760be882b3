/** What a URL says about a database: where it is, what is secret, and how its certificate is checked. Read before anything else is tried. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { readFileSync } from "node:fs"
import type { ConnectionOptions } from "node:tls"
import { DatabaseRefused } from "../ClusterError.ts"

export interface Address {
  /** Host, port and database, for people: no credentials. */
  readonly name: string
  readonly host: string
  readonly hasPassword: boolean
  /** What must not appear in messages, both decoded and as the URL spells it. */
  readonly secrets: ReadonlyArray<string>
  /** How the connection is encrypted; absent if the URL's own mode applies. */
  readonly tls?: ConnectionOptions
}

const refused = (problem: string, remedy: string, database = "that was given") =>
  new DatabaseRefused({ database, problem, remedy })

/** A part of the URL with its percent codes decoded. */
const decoded = (what: string, text: string) =>
  Effect.try({
    try: () => decodeURIComponent(text),
    catch: () =>
      refused(
        `the ${what} of its URL has a % that does not start a two-digit code`,
        what === "password" ? "Write %25 for a %, or give the password in PGPASSWORD" : "Write %25 for a %"
      )
  })

const plain = ["disable", "allow", "prefer"]
const encrypted = ["require", "verify-ca", "verify-full"]

/**
 * The authority whose certificates are trusted, and whether the host name is checked.
 *
 * Stricter than psql, where `require` trusts any certificate: encryption is of little use without knowing the other side. `verify-ca` does
 * not check the name.
 */
const tlsOf = Effect.fnUntraced(function* (name: string, parameters: URLSearchParams) {
  const root = parameters.get("sslrootcert")
  const mode = parameters.get("sslmode") ?? (root === null ? "disable" : "verify-full")
  if (![...plain, ...encrypted].includes(mode))
    return yield* refused(
      `its URL has sslmode=${mode}`,
      `Give one of ${[...plain, ...encrypted].join(", ")}, or none`,
      name
    )
  if (mode === "disable" || (root === null && plain.includes(mode))) return undefined
  const authority =
    root === null || root === "system"
      ? {}
      : {
          ca: yield* Effect.try({
            try: () => readFileSync(root, "utf8"),
            catch: (cause) =>
              refused(
                `the authority's certificate ${root} cannot be read (${cause instanceof Error ? cause.message : String(cause)})`,
                "Give the file with the authority's certificate as sslrootcert",
                name
              )
          })
        }
  return { ...authority, ...(mode === "verify-ca" ? { checkServerIdentity: () => undefined } : {}) }
})

/** Reads a URL. Fails with `DatabaseRefused` if it cannot be a database's URL, without revealing anything secret in it. */
export const read = Effect.fnUntraced(function* (given: Redacted.Redacted): Effect.fn.Return<Address, DatabaseRefused> {
  const text = Redacted.value(given)
  if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text))
    return yield* refused(
      "its URL is not a PostgreSQL URL",
      "Give one such as postgresql://user@host:5432/uninet, with characters such as @ : / ? # % in a password written as %40 %3A %2F %3F %23 %25"
    )
  const url = new URL(text)
  const parameters = url.searchParams
  yield* decoded("user", url.username)
  const password = yield* decoded("password", url.password)
  const database = yield* decoded("database", url.pathname)
  const host = parameters.get("host") ?? (yield* decoded("host", url.hostname.replace(/^\[(.*)\]$/, "$1")))
  const port = parameters.get("port") ?? (url.port === "" ? "5432" : url.port)
  const named = parameters.get("dbname")
  const name = `${host === "" ? "localhost" : host}:${port}${named === null ? (database === "" ? "/" : database) : `/${named}`}`
  const inParameter = parameters.get("password") ?? ""
  const tls = yield* tlsOf(name, parameters)
  return {
    name,
    host: host === "" ? "localhost" : host,
    hasPassword: password !== "" || inParameter !== "",
    secrets: [password, url.password, inParameter, encodeURIComponent(inParameter)].filter((secret) => secret !== ""),
    ...(tls === undefined ? {} : { tls })
  }
})
