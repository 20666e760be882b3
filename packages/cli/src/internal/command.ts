/** Commands that are printed for pasting: they start in the way this process was started, with every word quoted that a shell would otherwise change. */
import { realpathSync } from "node:fs"
import { delimiter, isAbsolute, join, relative } from "node:path"
import { fileURLToPath } from "node:url"

/** How a process was started. */
export interface Start {
  /** The script as Node was given it, and Node itself with its own flags. */
  readonly script: string
  readonly node: string
  readonly flags: ReadonlyArray<string>
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly platform: NodeJS.Platform
  /** The file that a path leads to, with links resolved; `undefined` if there is none. */
  readonly real: (path: string) => string | undefined
}

/** A word quoted so that a shell takes it literally: a POSIX shell, or that of Windows. */
export const quoted = (word: string, platform: NodeJS.Platform = process.platform): string => {
  if (/^[\w@%+=:,./-]+$/.test(word) && (platform !== "win32" || !/%/.test(word))) return word
  if (platform === "win32") return `"${word.replaceAll('"', '\\"')}"`
  return `'${word.replaceAll("'", `'\\''`)}'`
}

/** The first file with this name on the search path. */
const onPath = (name: string, { env, platform, real }: Start): string | undefined => {
  const names = platform === "win32" ? [`${name}.exe`, `${name}.cmd`, name] : [name]
  return (env["PATH"] ?? "")
    .split(delimiter)
    .flatMap((folder) => (folder === "" ? [] : names.map((each) => real(join(folder, each)))))
    .find((found) => found !== undefined)
}

/** The shortest form of a path, seen from the working folder. */
const shortest = (path: string, cwd: string): string => {
  const below = relative(cwd, path)
  return below === "" || below.startsWith("..") || isAbsolute(below) ? path : below
}

/** `pnpm/10.1.0 npm/? node/v24` */
const agentOf = ({ env }: Start) => env["npm_config_user_agent"]?.split("/")[0] ?? "npm"

/** The words of a `uninet` command, from its own words: `npm start` knows only one command. */
export const wordsOf = (start: Start, args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const { cwd, env, flags, node, real, script } = start
  const event = env["npm_lifecycle_event"]
  // If pnpm was started through npx, it is available only through npx.
  const byNpx = env["npm_execpath"]?.includes("_npx") === true ? ["npx"] : []
  if (event === "npx") return ["npx", "uninet", ...args]
  if (event === "uninet") {
    const agent = agentOf(start)
    if (agent === "npm") return ["npm", "run", "uninet", "--", ...args]
    return [...byNpx, agent, ...(agent === "bun" ? ["run"] : []), "uninet", ...args]
  }
  if (event === "start") {
    const [command, ...rest] = args
    return command === "search" ? ["npm", "start", "--", ...rest] : ["npx", "pnpm", "uninet", ...args]
  }
  const own = real(script)
  if (own !== undefined && own === onPath("uninet", start)) return ["uninet", ...args]
  // Another program, such as a test's.
  if (own === undefined || !isOurs(own)) return ["uninet", ...args]
  const program = real(node) !== undefined && real(node) === onPath("node", start) ? "node" : node
  return [program, ...flags, shortest(script, cwd), ...args]
}

/** Whether a file is this package's program. */
const isOurs = (file: string) =>
  ["../bin.ts", "../bin.js"].some((bin) => realOf(fileURLToPath(new URL(bin, import.meta.url))) === file)

const realOf = (path: string): string | undefined => {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

const ownStart = (): Start => ({
  script: process.argv[1] ?? "",
  node: process.execPath,
  flags: process.execArgv,
  cwd: process.cwd(),
  env: process.env,
  platform: process.platform,
  real: realOf
})

/**
 * A `uninet` command that can be pasted into the shell from which this process was started.
 *
 * @example
 * ```text
 * uninet("search", "--resume", "runs/a b") // pnpm uninet search --resume 'runs/a b'
 * ```
 */
export const uninet = (...args: ReadonlyArray<string>): string =>
  wordsOf(ownStart(), args)
    .map((word) => quoted(word))
    .join(" ")
