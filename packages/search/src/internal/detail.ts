import * as Predicate from "effect/Predicate"

/** Describes anything thrown or failed with, in one line. */
export const detailOf = (cause: unknown): string =>
  String(Predicate.hasProperty(cause, "message") ? cause.message : cause)
    .trim()
    .split(/\s*\n\s*/)
    .join(" ")
