/** What a database's error means for people: whether trying again can help, and what to fix where it cannot. */
import { SqlError } from "effect/sql"

export interface Refusal {
  readonly problem: string
  readonly remedy: string
}

/** The cause of an error; one with several addresses to try has an error for each. */
const under = (link: Error): unknown => (link instanceof AggregateError ? link.errors[0] : link.cause)

/** An error and its causes, outermost first. */
export const chain = (error: unknown): ReadonlyArray<Error> => {
  const found: Array<Error> = []
  for (let next = error; next instanceof Error && !found.includes(next); next = under(next)) found.push(next)
  return found
}

const codeOf = (error: Error): string => ("code" in error && typeof error.code === "string" ? error.code : "")

const unknownAuthority = [
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
]

const ofCertificate = (host: string, error: Error): Refusal | undefined => {
  const code = codeOf(error)
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return {
      problem: `its certificate is not for ${host}`,
      remedy: "Give the host name that is in its certificate, or give the server a certificate for this one"
    }
  if (unknownAuthority.includes(code))
    return {
      problem: "its certificate is from an authority that is not known here",
      remedy: "Give the file with that authority's certificate as sslrootcert in the URL"
    }
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID")
    return {
      problem: code === "CERT_HAS_EXPIRED" ? "its certificate has expired" : "its certificate is not valid yet",
      remedy: "Give the server a new one, or correct this machine's clock"
    }
  if (/^CERT_|^ERR_SSL_|^ERR_OSSL_/.test(code))
    return {
      problem: `no encrypted connection can be made: ${error.message}`,
      remedy: "Check the server's certificate and the sslrootcert of the URL"
    }
  return error.message === "The server does not support TLS"
    ? {
        problem: "it does not encrypt connections",
        remedy: "Give the server a certificate and ssl = on, or take sslmode out of the URL on a network that you trust"
      }
    : undefined
}

const ofAccess = (error: Error): boolean =>
  (SqlError.isSqlError(error) && /^(Authentication|Authorization|SqlSyntax)Error$/.test(error.reason._tag)) ||
  /database ".*" does not exist|No password configured|No username configured/.test(error.message)

/** Why trying again cannot help; `undefined` if it can. */
export const of = (host: string, problem: string, error: unknown): Refusal | undefined => {
  const links = chain(error)
  for (const link of links) {
    const found = ofCertificate(host, link)
    if (found !== undefined) return found
  }
  return links.some(ofAccess)
    ? {
        problem,
        remedy: "Check the user, the password and the database of its URL; createdb makes a database"
      }
    : undefined
}

/** The remedies that the server's own messages leave out. */
const hints: Readonly<Record<string, string>> = {
  "53100": "make room on its disk",
  "53300": "raise max_connections in its postgresql.conf"
}

/** The innermost message that is not empty, with the remedy if the server does not give it. */
export const said = (error: unknown): string => {
  const links = chain(error)
  const text = links.findLast(({ message }) => message !== "")?.message ?? String(error)
  const hint = links.map((link) => hints[codeOf(link)]).find((found) => found !== undefined)
  return hint === undefined ? text : `${text} (${hint})`
}
