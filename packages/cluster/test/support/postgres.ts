/** A PostgreSQL server for tests, on loopback, from Debian's packages, in a folder that is removed with it. */
import { execFile, execFileSync, spawn, spawnSync } from "node:child_process"
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { promisify } from "node:util"

/** The folder with the server's programs, if they exist: on the path, or where Debian installs them. */
const bin = (() => {
  const debian = "/usr/lib/postgresql"
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  return versions.map((version) => join(debian, version, "bin")).find((path) => existsSync(join(path, "initdb")))
})()

const isRoot = process.getuid?.() === 0

/** Why no server can run here, in a sentence; `undefined` if one can. */
export const missing: string | undefined =
  bin === undefined
    ? "PostgreSQL is not installed (apt-get install postgresql): the tests of the cluster are skipped"
    : isRoot && spawnSync("id", ["postgres"]).status !== 0
      ? "there is no user postgres, and the server does not run as root: the tests of the cluster are skipped"
      : undefined

/** As the user postgres if this process is root, because the server refuses to run as root. */
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

/** The files with a certificate and its key. */
export interface Certificate {
  readonly certificate: string
  readonly key: string
}

/** A server, for tests that only use it. */
export interface Access {
  readonly port: number
  /** The URL of a new, empty database. */
  readonly url: (database: string) => string
  /** Runs SQL and returns what psql prints. */
  readonly sql: (database: string, text: string) => string
  /** The same, without blocking. */
  readonly ask: (database: string, text: string) => Promise<string>
}

export interface Server extends Access {
  /** With a certificate, its connections are encrypted. */
  readonly start: (tls?: Certificate) => Promise<void>
  /** Sends a signal to all its processes: `SIGSTOP` freezes it with all its connections. */
  readonly signal: (how: NodeJS.Signals) => void
  /** Ends the server: `SIGINT` in an orderly way, `SIGQUIT` at once, `SIGKILL` as a crash would. */
  readonly stop: (how: NodeJS.Signals) => Promise<void>
  readonly remove: () => Promise<void>
}

export const password = "pass%word/&x"

/** The server at a port of this machine. */
export const at = (port: number): Access => {
  const psql = (database: string, text: string) => [
    "--host=127.0.0.1",
    `--port=${port}`,
    "--username=uninet",
    "--no-psqlrc",
    "--tuples-only",
    "--no-align",
    `--dbname=${database}`,
    `--command=${text}`
  ]
  const path = join(bin ?? "", "psql")
  const options = { env: { ...process.env, PGPASSWORD: password }, encoding: "utf8" } as const
  const sql = (database: string, text: string) =>
    execFileSync(path, psql(database, text), { ...options, stdio: ["ignore", "pipe", "pipe"] }).trim()
  return {
    port,
    sql,
    ask: async (database, text) => (await promisify(execFile)(path, psql(database, text), options)).stdout.trim(),
    url: (database) => {
      sql("postgres", `create database ${database}`)
      return `postgresql://uninet:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`
    }
  }
}

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
  /** Where its folder is created. Default: with other temporary files. */
  readonly below?: string
  /** Additional environment variables for the server. Default: none. */
  readonly env?: NodeJS.ProcessEnv
  /** Another address at which it answers clients from a range. Default: only this machine. */
  readonly network?: { readonly address: string; readonly range: string }
  /** Settings in addition to those of every test. Default: none. */
  readonly settings?: ReadonlyArray<string>
}

/** Creates a server and starts it. */
export const serve = async ({
  below = tmpdir(),
  env = {},
  network,
  settings: more = []
}: Options = {}): Promise<Server> => {
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
  if (network !== undefined) appendFileSync(join(data, "pg_hba.conf"), `host all all ${network.range} scram-sha-256\n`)
  const access = at(port)

  let running: ReturnType<typeof spawn> | undefined
  const start = async (tls?: Certificate) => {
    const encrypted = tls === undefined ? [] : encrypting(folder, tls)
    const settings = [
      `listen_addresses=127.0.0.1${network === undefined ? "" : `,${network.address}`}`,
      `port=${port}`,
      "unix_socket_directories=",
      "fsync=off",
      "max_connections=200",
      ...more,
      ...encrypted
    ]
    const [postgres, args] = command("postgres", ["-D", data, ...settings.flatMap((setting) => ["-c", setting])])
    for (let tries = 0; ; tries++) {
      // It refuses to start while processes of a server that was killed still exist.
      if (running === undefined || running.exitCode !== null)
        running = spawn(postgres, args, { stdio: "ignore", cwd: folder, env: { ...process.env, ...env } })
      try {
        access.sql("postgres", "select 1")
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
  /** The server's process and its children: there is one for each connection. */
  const processes = (): ReadonlyArray<number> => {
    const pid = running?.pid
    if (pid === undefined) return []
    const children = spawnSync("ps", ["-o", "pid=", "--ppid", String(pid)], { encoding: "utf8" }).stdout
    return [pid, ...children.split("\n").filter(Boolean).map(Number)]
  }
  const signal = (how: NodeJS.Signals) => {
    for (const pid of processes())
      try {
        process.kill(pid, how)
      } catch {
        // It has just ended.
      }
  }
  process.on("exit", () => running?.kill("SIGQUIT"))
  await start()
  return {
    ...access,
    start,
    signal,
    stop,
    remove: async () => {
      await stop("SIGQUIT")
      rmSync(folder, { recursive: true, force: true })
    }
  }
}
