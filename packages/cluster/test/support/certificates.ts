/** The tests' own certificate authorities, and the certificates they issue. */
import { execFileSync, spawnSync } from "node:child_process"
import { join } from "node:path"
import type { Certificate } from "./postgres.ts"

/** Why certificates are not possible here, in a sentence; `undefined` if they are. */
export const missing: string | undefined =
  spawnSync("openssl", ["version"]).status === 0
    ? undefined
    : "openssl is not installed (apt-get install openssl): the tests of encrypted connections are skipped"

const openssl = (...args: ReadonlyArray<string>) => execFileSync("openssl", args, { stdio: "ignore" })

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

export interface Authority {
  /** The file with its own certificate. */
  readonly root: string
  /** Issues a certificate for a host, valid for a day; with -1 days it has expired. */
  readonly issue: (host: string, days?: number) => Certificate
}

/** Creates an authority in a folder. */
export const authority = (folder: string, name: string): Authority => {
  const at = (file: string) => join(folder, `${name}-${file}`)
  openssl(
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    at("ca.key"),
    "-out",
    at("ca.pem"),
    "-subj",
    `/CN=${name}`,
    "-days",
    "1"
  )
  return {
    root: at("ca.pem"),
    issue: (host, days = 1) => {
      const [key, request, certificate] = ["key", "csr", "pem"].map((kind) => at(`${host}${days}.${kind}`)) as [
        string,
        string,
        string
      ] // three in, three out
      openssl(
        "req",
        ...newKey,
        "-keyout",
        key,
        "-out",
        request,
        "-subj",
        `/CN=${host}`,
        "-addext",
        `subjectAltName=DNS:${host}`
      )
      const signed = ["-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-copy_extensions", "copy", "-days", String(days)]
      openssl("x509", "-req", "-in", request, ...signed, "-out", certificate)
      return { certificate, key }
    }
  }
}
