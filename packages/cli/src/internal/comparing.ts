/** What searches can be compared by. */
import { Comparison } from "@uninet/search"
import * as Result from "effect/Result"
import { type CliFault, fault } from "./CliFault.ts"

/** A search by its name, and the direction in which each of its measures is better. */
export interface Measured {
  readonly name: string
  readonly measures: Readonly<Record<string, Comparison.By["direction"]>>
}

/** A measure that all runs have, or `reward`. Fails if one does not have it, or if higher is better in some and lower in others. */
export const by = (wanted: string, runs: ReadonlyArray<Measured>): Result.Result<Comparison.By, CliFault> => {
  const directions = runs.map(({ measures }) => (wanted === "reward" ? "higher" : measures[wanted]))
  const lacking = runs[directions.findIndex((direction) => direction === undefined)]
  if (lacking !== undefined) {
    const all = Object.keys(runs[0]?.measures ?? {}).filter((name) => runs.every(({ measures }) => name in measures))
    return Result.fail(
      fault(
        `${lacking.name} has no measure ${wanted}. Give one that all have with --measure: ${[...all, "reward"].join(", ")}.`
      )
    )
  }
  const direction = directions[0] ?? "higher"
  return directions.some((other) => other !== direction)
    ? Result.fail(
        fault(
          `${wanted} is better when higher in some of these runs and when lower in others. Compare by another measure.`
        )
      )
    : Result.succeed({ name: wanted, direction })
}
