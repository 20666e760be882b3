/**
 * Where in a network a layer is and what the network is built for: the path that names its parameters, the mode, and the rates at which training drops things at random.
 */

/**
 * - `training`: batch norm uses the batch's statistics, stochastic depth and dropout are on.
 * - `evaluation`: batch norm uses running statistics, every layer is deterministic.
 */
export type Mode = "training" | "evaluation"

/** How much of a network training drops at random. A model decides where these rates apply; a model that drops nothing ignores them. */
export interface Rates {
  /** Stochastic depth of the last block; rises linearly from 0 at the first. */
  readonly stochasticDepth: number
  /** Dropout before the last layer. */
  readonly dropout: number
}

/** Where a layer is in a network, and what it is built for. */
export interface Scope {
  /** The layer's path, such as `blocks.3.b2`; empty at the root. A parameter's full name is this path and its own name. */
  readonly path: string
  readonly mode: Mode
  readonly rates: Rates
}

/** A scope at the root of a network, or at `path`. Rates default to 0. */
export const make = (mode: Mode, path = "", rates: Partial<Rates> = {}): Scope => ({
  path,
  mode,
  rates: { stochasticDepth: rates.stochasticDepth ?? 0, dropout: rates.dropout ?? 0 }
})

/** The name of something inside a path: `blocks.3` and `weight` give `blocks.3.weight`. */
export const join = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`)

/**
 * The scope of a child.
 *
 * @example
 * ```ts
 * import { Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training")
 * console.log(Scope.at("stem.0")(scope).path) // stem.0
 * ```
 */
export const at =
  (name: string) =>
  (scope: Scope): Scope => ({ ...scope, path: join(scope.path, name) })
