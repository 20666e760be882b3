/** A PostgreSQL server of one's own on loopback, from Debian's packages, in a folder that goes with it. */
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { chmodSync, copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"

/** Where the server's programs are, if they are: on the path, or where Debian has them. */
const bin = (() => {
  const debian = "/usr/lib/postgresql"
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  return versions.map((version) => join(debian, version, "bin")).find((path) => existsSync(join(path, "initdb")))
})()

const isRoot = process.getuid?.() === 0

/** What stands in the way of a server here, in a sentence; `undefined` where nothing does. */
export const missing: string | undefined =
  bin === undefined
    ? "PostgreSQL is not installed (apt-get install postgresql): the tests of the cluster are skipped"
    : isRoot && spawnSync("id", ["postgres"]).status !== 0
      ? "there is no user postgres, and the server does not run as root: the tests of the cluster are skipped"
      : undefined

/** As the user postgres where this process is root, which the server refuses. */
const command = (program: string, args: ReadonlyArray<string>): [string, ReadonlyArray<string>] => {
  const path = join(bin ?? "", program)
  return isRoot ? ["setpriv", ["--reuid=postgres", "--regid=postgres", "--init-groups", path, ...args]] : [path, args]
}

const freePort = () =>
  new Promise<number>((resolve, reject) => {
    const server = createServer()
    server.on("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

/** The files of a certificate and its key. */
export interface Certificate {
  readonly certificate: string
  readonly key: string
}

export interface Server {
  /** Of a new, empty database. */
  readonly url: (database: string) => string
  readonly port: number
  /** With a certificate it encrypts. */
  readonly start: (tls?: Certificate) => Promise<void>
  /** The number of the server's process, while it runs. */
  readonly pid: () => number | undefined
  /** Ends the server: `SIGINT` in an orderly way, `SIGQUIT` at once, `SIGKILL` as a crash would. */
  readonly stop: (how: NodeJS.Signals) => Promise<void>
  /** Runs SQL and gives what psql prints. */
  readonly sql: (database: string, text: string) => string
  readonly remove: () => Promise<void>
}

export const password = "pass%word/&x"

/** A copy in a folder that the server accepts: nobody else may read it. */
const copied = (folder: string, path: string) => {
  const copy = join(folder, basename(path))
  copyFileSync(path, copy)
  chmodSync(copy, 0o600)
  if (isRoot) execFileSync("chown", ["postgres", copy])
  return copy
}

const encrypting = (folder: string, { certificate, key }: Certificate): ReadonlyArray<string> => [
  "ssl=on",
  `ssl_cert_file=${copied(folder, certificate)}`,
  `ssl_key_file=${copied(folder, key)}`
]

export interface Options {
  /** Where its folder is made. Default: with other temporary files. */
  readonly below?: string
  /** What it is started with beside the environment. Default: nothing. */
  readonly env?: NodeJS.ProcessEnv
  /** Settings beside those of every test. Default: none. */
  readonly settings?: ReadonlyArray<string>
}

/** Makes a server and starts it. */
export const serve = async ({ below = tmpdir(), env = {}, settings: more = [] }: Options = {}): Promise<Server> => {
  const folder = mkdtempSync(join(below, "uninet-postgres-"))
  chmodSync(folder, 0o777)
  const data = join(folder, "data")
  const port = await freePort()
  const passwordFile = join(folder, "password")
  writeFileSync(passwordFile, `${password}\n`)
  const [initdb, initArgs] = command("initdb", [
    "--pgdata",
    data,
    "--auth=scram-sha-256",
    "--username=uninet",
    "--no-sync",
    `--pwfile=${passwordFile}`
  ])
  execFileSync(initdb, initArgs, { stdio: ["ignore", "ignore", "pipe"], cwd: folder })
  const environment = { ...process.env, PGPASSWORD: password }
  const psql = (database: string, text: string) =>
    execFileSync(
      join(bin ?? "", "psql"),
      [
        "--host=127.0.0.1",
        `--port=${port}`,
        "--username=uninet",
        "--no-psqlrc",
        "--tuples-only",
        "--no-align",
        `--dbname=${database}`,
        `--command=${text}`
      ],
      { env: environment, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }
    ).trim()

  let running: ReturnType<typeof spawn> | undefined
  const start = async (tls?: Certificate) => {
    const encrypted = tls === undefined ? [] : encrypting(folder, tls)
    const settings = [
      "listen_addresses=127.0.0.1",
      `port=${port}`,
      "unix_socket_directories=",
      "fsync=off",
      "max_connections=60",
      ...more,
      ...encrypted
    ]
    const [postgres, args] = command("postgres", ["-D", data, ...settings.flatMap((setting) => ["-c", setting])])
    for (let tries = 0; ; tries++) {
      // It refuses to start while processes of a server that was killed are still there.
      if (running === undefined || running.exitCode !== null)
        running = spawn(postgres, args, { stdio: "ignore", cwd: folder, env: { ...process.env, ...env } })
      try {
        psql("postgres", "select 1")
        return
      } catch (cause) {
        if (tries > 100) throw cause
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
  }
  const stop = (how: NodeJS.Signals) =>
    new Promise<void>((resolve) => {
      const child = running
      running = undefined
      if (child === undefined || child.exitCode !== null) return resolve()
      child.on("exit", () => resolve())
      child.kill(how)
    })
  process.on("exit", () => running?.kill("SIGQUIT"))
  await start()
  return {
    port,
    start,
    pid: () => running?.pid,
    stop,
    sql: psql,
    url: (database) => {
      psql("postgres", `create database ${database}`)
      return `postgresql://uninet:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`
    },
    remove: async () => {
      await stop("SIGQUIT")
      rmSync(folder, { recursive: true, force: true })
    }
  }
}
