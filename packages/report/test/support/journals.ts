/** Journals of searches that never ran: points with conditional choices, and results that follow from them, apart from some noise. */
import type { Journal } from "@uninet/search"
import { Prng } from "@uninet/search-space"

export interface Options {
  readonly trials: number
  readonly seed?: string
  /** The part of the result that no choice explains, in standard deviations. Default 0.004. */
  readonly noise?: number
  /** Whether the result depends on the choices at all. Default: it does. */
  readonly depends?: boolean
  /** Rungs in epochs. Default: trained to the end. */
  readonly rungs?: ReadonlyArray<number>
  /** Prepended to the names of options, as a hostile space might do. */
  readonly prefix?: string
  readonly notes?: boolean
}

const operators = ["Conv", "DWConv", "MLP", "SA", "LSA"]
const gains: Readonly<Record<string, number>> = { Conv: 0, DWConv: 0.02, MLP: -0.03, SA: 0.01, LSA: 0.03 }

const pick = <A>(prng: Prng.Prng, of: ReadonlyArray<A>): A => of[Math.floor(prng.nextFloat() * of.length)] ?? of[0]

/** Time between two trials, in milliseconds. */
const apart = 1000

/** A journal with this many trials; every 17th fails, every 23rd is refused, and the last is running. */
export const journal = (options: Options): Journal.Read => {
  const { depends = true, noise = 0.004, notes = true, prefix = "", rungs = [], seed = "journal", trials } = options
  const prng = Prng.fromSeed(seed)
  const entries: Array<Journal.Stored> = []
  for (let trial = 0; trial < trials; trial++) {
    // Towards the end the strategy proposes more of what is good.
    const late = prng.nextFloat() < (0.7 * trial) / trials
    const stages = Array.from({ length: 4 }, () => {
      const operator = late ? "LSA" : pick(prng, operators)
      return {
        operator: `${prefix}${operator}`,
        ...(operator === "SA" || operator === "LSA" ? { heads: pick(prng, [1, 2, 4]) } : {}),
        expansion: pick(prng, [2, 3, 4, 6]),
        channels: pick(prng, [16, 24, 32, 48, 64])
      }
    })
    const point = { stem: pick(prng, [8, 16]), stages, classes: 10 }
    const at = 1.75e12 + Math.floor(trial / 2) * apart
    if (trial % 23 === 22) {
      entries.push({
        at,
        entry: { _tag: "Refused", trial, hash: `${trial}`, point, why: "it has macs 9000000, too many" }
      })
      continue
    }
    const macs = stages.reduce((sum, { channels, expansion }) => sum + 1000 * channels * expansion, 50_000 * point.stem)
    const parameters = Math.round(macs / 40)
    const line = stages.map((s) => `${s.operator} e${s.expansion} c${s.channels}`).join(" | ")
    entries.push({
      at,
      entry: {
        _tag: "Proposed",
        trial,
        hash: `${trial}`,
        point,
        line,
        costs: { macs, parameters },
        seed: `${seed}/trial/${trial}`
      }
    })
    const took = 600 + Math.floor(900 * prng.nextFloat())
    if (trial === trials - 1 && trials > 2) continue
    if (trial % 17 === 16) {
      entries.push({
        at: at + took,
        entry: { _tag: "Failed", trial, reason: "Diverged", detail: "the loss became NaN in epoch 1" }
      })
      continue
    }
    const good = stages.reduce(
      (sum, { operator }, i) => sum + (i === 0 ? 3 : 1) * (gains[operator.slice(prefix.length)] ?? 0),
      0.76 + 0.04 * Math.log(macs / 1e6)
    )
    const gauss = Math.sqrt(-2 * Math.log(1 - prng.nextFloat())) * Math.cos(2 * Math.PI * prng.nextFloat())
    const whole = (depends ? good : 0.76) + noise * gauss
    for (const [rung, epochs] of (rungs.length === 0 ? [1] : rungs).entries()) {
      // A third goes on; later trials less often.
      if (rung > 0 && prng.nextFloat() > 1 / 3) break
      const accuracy = Math.min(0.999, whole - 0.2 / (1 + epochs) + 0.1)
      entries.push({
        at: at + took * (rung + 1),
        entry: {
          _tag: "Finished",
          trial,
          ...(rung === 0 ? {} : { rung }),
          evaluation: { measures: { accuracy, loss: 3 * (1 - accuracy) }, epochs },
          reward: accuracy * (macs / 1e6) ** -0.07
        }
      })
    }
  }
  return {
    isCut: false,
    entries,
    identity: {
      space: "made up",
      seed,
      settings: {
        strategy: "evolution",
        objectives: [
          { name: "accuracy", direction: "higher" },
          { name: "macs", direction: "lower" }
        ],
        constraints: [{ name: "macs", min: null, max: 1_400_000 }],
        fidelity: rungs.length === 0 ? { _tag: "Full" } : { _tag: "Asha", rungs: [...rungs], factor: 3 }
      },
      ...(notes
        ? {
            notes: {
              trials,
              task: { decides: "accuracy", measures: { accuracy: "higher", loss: "lower" }, shares: ["accuracy"] }
            }
          }
        : {})
    }
  }
}
