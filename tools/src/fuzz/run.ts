/** Tries one input, given by its seed, and says what is wrong with the result. */
import { Prng } from "@uninet/search-space"
import { faultOf, clear, type Format } from "./formats.ts"

/**
 * The time limit of one input, in milliseconds of processor time (others may be using the machine), and the most memory for one, beyond
 * what its own size explains.
 */
export const limits = { time: 10_000, memory: 2 ** 30, timesItsSize: 64 } as const

export interface Problem {
  readonly format: string
  readonly seed: string
  readonly what: string
}

export interface Tried {
  readonly isTaken: boolean
  readonly milliseconds: number
  readonly problem: Problem | undefined
}

/** In kilobytes. It only ever grows, so if it grows by a lot, this input is the cause. */
const peak = () => process.resourceUsage().maxRSS * 1024

/** Milliseconds of processor time that this process has used. */
const worked = () => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1000
}

/** The input depends only on `seed`. */
export const attempt = async (format: Format, seed: string, folder: string): Promise<Tried> => {
  clear(folder)
  const random = Prng.fromSeed(`${format.name}/${seed}`)
  const [started, before] = [worked(), peak()]
  const problem = (what: string): Problem => ({ format: format.name, seed, what })
  try {
    const { size, verdict } = await format.attempt(random, folder)
    const milliseconds = worked() - started
    const grown = peak() - before
    const fault =
      faultOf(verdict) ??
      (milliseconds > limits.time ? `it took ${(milliseconds / 1000).toFixed(1)} s` : undefined) ??
      (grown > limits.memory + limits.timesItsSize * size ? `it took ${Math.round(grown / 2 ** 20)} MiB` : undefined)
    return {
      isTaken: verdict._tag === "Taken",
      milliseconds,
      problem:
        fault === undefined
          ? undefined
          : problem(verdict._tag === "Refused" ? `${fault}: ${verdict.said.slice(0, 300)}` : fault)
    }
  } catch (cause) {
    const said = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
    return {
      isTaken: false,
      milliseconds: worked() - started,
      problem: problem(`it crashed: ${said.slice(0, 900)}`)
    }
  }
}
