/** Commands that are printed to be pasted: begun the way this process was, every word quoted where a shell would make something else of it. */
import { realpathSync } from "node:fs"
import { delimiter, isAbsolute, join, relative } from "node:path"
import { fileURLToPath } from "node:url"

/** How a process was started. */
export interface Start {
  /** The script, as Node was given it, and Node itself with its own flags. */
  readonly script: string
  readonly node: string
  readonly flags: ReadonlyArray<string>
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly platform: NodeJS.Platform
  /** The file that a path leads to, links followed; `undefined` where there is none. */
  readonly real: (path: string) => string | undefined
}

/** A word as a shell takes it for itself: POSIX's, or that of Windows. */
export const quoted = (word: string, platform: NodeJS.Platform = process.platform): string => {
  if (/^[\w@%+=:,./-]+$/.test(word) && (platform !== "win32" || !/%/.test(word))) return word
  if (platform === "win32") return `"${word.replaceAll('"', '\\"')}"`
  return `'${word.replaceAll("'", `'\\''`)}'`
}

/** The first file of this name on the search path. */
const onPath = (name: string, { env, platform, real }: Start): string | undefined => {
  const names = platform === "win32" ? [`${name}.exe`, `${name}.cmd`, name] : [name]
  return (env["PATH"] ?? "")
    .split(delimiter)
    .flatMap((folder) => (folder === "" ? [] : names.map((each) => real(join(folder, each)))))
    .find((found) => found !== undefined)
}

/** A path as it is shortest from the working folder. */
const shortest = (path: string, cwd: string): string => {
  const below = relative(cwd, path)
  return below === "" || below.startsWith("..") || isAbsolute(below) ? path : below
}

/** `pnpm/10.1.0 npm/? node/v24` */
const agentOf = ({ env }: Start) => env["npm_config_user_agent"]?.split("/")[0] ?? "npm"

/** The words that begin a command of `uninet`, given its own words: `npm start` knows one command only. */
export const wordsOf = (start: Start, args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const { cwd, env, flags, node, real, script } = start
  const event = env["npm_lifecycle_event"]
  // Whoever has pnpm by npx has it there only.
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
  // Somebody else's program, such as a test's.
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
 * A command of `uninet` as a person pastes it into the shell that this one was started from.
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
