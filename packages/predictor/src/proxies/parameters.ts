import * as Result from "effect/Result"
import * as Proxy from "../Proxy.ts"

/**
 * The number of trained parameters.
 *
 * **Assumes** that larger is better: the baseline that a proxy has to beat, with MACs.
 */
export const parameters = Proxy.make({
  name: "parameters",
  source: "the usual baseline",
  assumes: "that larger networks are better",
  lay: ({ costs }) => Result.succeed({ outputs: {}, score: () => costs.parameters })
})
