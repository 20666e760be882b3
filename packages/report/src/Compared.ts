/** How the searches of a report compare, from `Comparison` of `@uninet/search`: the data that the page draws. Runs in Node and in a browser page. */
import type { Comparison } from "@uninet/search"
import * as Schema from "effect/Schema"

const Limit = Schema.NullOr(Schema.Finite)
const Band = Schema.Struct({ mean: Schema.Finite, low: Limit, high: Limit })
const Curve = Schema.Struct({ at: Schema.Array(Schema.Finite), bands: Schema.Array(Band) })
const Side = Schema.Struct({ group: Schema.String, ...Band.fields })

/** Groups of searches, the best that each had found at each point of a budget, and every pair at equal budgets. */
export const Compared = Schema.Struct({
  by: Schema.Struct({ name: Schema.String, direction: Schema.Literals(["higher", "lower"]) }),
  groups: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      runs: Schema.Array(Schema.String),
      differs: Schema.Record(Schema.String, Schema.String),
      curves: Schema.Struct({ trials: Curve, seconds: Curve, macs: Curve })
    })
  ),
  differences: Schema.Array(
    Schema.Struct({
      by: Schema.Literals(["trials", "seconds", "macs"]),
      at: Schema.Finite,
      first: Side,
      second: Side,
      difference: Schema.Finite,
      low: Limit,
      high: Limit,
      verdict: Schema.Literals(["better", "worse", "open"])
    })
  ),
  empty: Schema.Array(Schema.String)
}) satisfies Schema.Codec<Comparison.Compared>
export type Compared = typeof Compared.Type
