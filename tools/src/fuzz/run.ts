/** Tries one input, by its seed, and says what is wrong with what became of it. */
import { Prng } from "@uninet/search-space"
import { faultOf, clear, type Format } from "./formats.ts"

/** Longest time for an input, in milliseconds of the processor (others may be at work on the machine), and most memory for one beside what its own size explains. */
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

/** Kilobytes; it only ever grows, so one that grows by much has met the input that does it. */
const peak = () => process.resourceUsage().maxRSS * 1024

/** Milliseconds of the processor that this process has had. */
const worked = () => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1000
}

/** `seed` is all that the input depends on. */
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
