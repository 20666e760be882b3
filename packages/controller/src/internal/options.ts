/** Checks of the options that strategies take. */
import { InvalidOption } from "../StrategyError.ts"

/** The values that an option may have, as a test and in words. */
export interface Rule {
  readonly test: (n: number) => boolean
  readonly expected: string
}

/** An integer of 1 or more. */
export const positiveInteger: Rule = {
  test: (n) => Number.isSafeInteger(n) && n >= 1,
  expected: "an integer of 1 or more"
}
/** An integer of 0 or more. */
export const naturalNumber: Rule = {
  test: (n) => Number.isSafeInteger(n) && n >= 0,
  expected: "an integer of 0 or more"
}
/** A number above 0. */
export const positive: Rule = { test: (n) => Number.isFinite(n) && n > 0, expected: "a number above 0" }
/** A number of 0 or more. */
export const nonNegative: Rule = { test: (n) => Number.isFinite(n) && n >= 0, expected: "a number of 0 or more" }
/** A number above 0 and below 1. */
export const share: Rule = { test: (n) => n > 0 && n < 1, expected: "a number above 0 and below 1" }
/** A number from 0 to 1, both included. */
export const chance: Rule = { test: (n) => n >= 0 && n <= 1, expected: "a number from 0 to 1" }

/**
 * Checks options against their rules. Returns the error for the first option that breaks its rule, or `undefined` if all are valid.
 *
 * @example
 * ```ts
 * import { Kit } from "@uninet/controller"
 *
 * const wrong = Kit.check("annealing", { cooling: 2 }, { cooling: Kit.chance })
 * console.log(wrong?.message) // annealing: cooling is 2. Use a number from 0 to 1.
 * ```
 */
export const check = (
  strategy: string,
  options: Readonly<Record<string, unknown>>,
  rules: Readonly<Record<string, Rule>>
): InvalidOption | undefined => {
  for (const [option, { expected, test }] of Object.entries(rules)) {
    const given = options[option]
    if (!(typeof given === "number" && test(given)))
      return new InvalidOption({ strategy, option, given: String(given), expected })
  }
  return undefined
}
