import * as Result from "effect/Result"
import * as Proxy from "../Proxy.ts"

/**
 * The number of trained parameters.
 *
 * **Assumes** that larger is better: together with MACs, the baseline that a proxy has to beat.
 */
export const parameters = Proxy.make({
  name: "parameters",
  source: "the usual baseline",
  assumes: "that larger networks are better",
  lay: ({ costs }) => Result.succeed({ outputs: {}, score: () => costs.parameters })
})
