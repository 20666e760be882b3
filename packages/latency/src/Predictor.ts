/**
 * Predicts how long a network takes from its ops: the sum of their times, and a fixed part.
 *
 * The time of an op is linear in its amounts, by families of ops. In addition, every distinct op that was seen has its own correction, which is larger the more often it was seen. Both are fitted on
 * whole networks, so that an op is priced as it runs among others: fused with its neighbours or not, its input in the cache or not. It is a regression with normal priors: amounts are free, and
 * corrections are limited to some share of the op's time by its amounts. Errors are relative.
 *
 * @example
 * ```ts
 * import { Operation, Predictor } from "@uninet/latency"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Result } from "effect"
 *
 * // Networks of one hidden layer, and what they took: here by a formula, elsewhere by a `Stopwatch`.
 * const operations = (width: number) =>
 *   Result.getOrThrow(
 *     Result.map(
 *       Model.evaluation()(
 *         Model.make({
 *           inputs: { x: Model.input([64]) },
 *           forward: (scope, { x }) => {
 *             const hidden = Nn.gelu(scope)(Nn.linear(Scope.at("hidden")(scope), { out: width })(x))
 *             return { y: Nn.linear(Scope.at("y")(scope), { out: 10 })(hidden) }
 *           }
 *         })
 *       ),
 *       Operation.ofProgram
 *     )
 *   )
 * const measured = Array.from({ length: 30 }, (_, i) => ({
 *   operations: operations(32 * (i + 1)),
 *   milliseconds: 0.05 + 0.001 * (i + 1)
 * }))
 * const { error, predictor } = Predictor.fit(measured)
 * const unseen = operations(1000)
 * console.log(unseen[0]?.amounts.length === Operation.amounts, `errors of ${(100 * error.median).toFixed(1)}% on the median`)
 * console.log(Predictor.predict(predictor)(unseen).toFixed(3), Predictor.ofOperations(predictor)(unseen).toFixed(3))
 * ```
 */
import { Cholesky } from "@uninet/search-space"
import * as Schema from "effect/Schema"
import * as Statistics from "./Statistics.ts"
import * as Operation from "./Operation.ts"

/** A predictor of latency, as data. */
export const Predictor = Schema.Struct({
  /** Milliseconds that every run takes. */
  fixed: Schema.Finite,
  /** For families: milliseconds by amount. */
  families: Schema.Record(Schema.String, Schema.Array(Schema.Finite)),
  /** For distinct ops, by signature: milliseconds added to those. */
  corrections: Schema.Record(Schema.String, Schema.Finite)
})
export type Predictor = typeof Predictor.Type

/** A measured network. */
export interface Example {
  readonly operations: ReadonlyArray<Operation.Operation>
  /** Milliseconds per run. */
  readonly milliseconds: number
}

/**
 * Milliseconds that ops take in a network, without the fixed part.
 *
 * An op of a family that was never seen counts as taking no time.
 */
export const ofOperations =
  ({ corrections, families }: Predictor) =>
  (operations: ReadonlyArray<Operation.Operation>): number => {
    let sum = 0
    for (const { amounts, family, signature } of operations) {
      const prices = Object.hasOwn(families, family) ? families[family] : undefined
      if (prices === undefined) continue
      for (const [i, amount] of amounts.entries()) sum += amount * (prices[i] ?? 0)
      if (Object.hasOwn(corrections, signature)) sum += corrections[signature] ?? 0
    }
    return sum
  }

/** Milliseconds for a network. */
export const predict =
  (predictor: Predictor) =>
  (operations: ReadonlyArray<Operation.Operation>): number =>
    predictor.fixed + ofOperations(predictor)(operations)

/** The priors of the fit: how much an op's time may differ from its family's, relative to it, and how far measurements are off. */
interface Priors {
  readonly correction: number
  readonly noise: number
}

/** The share of a network's time that one amount of a family may make up. */
const free = 0.5

/** The shortest time that an op is assumed to take, in milliseconds. */
const least = 2e-4

/** Sums of amounts by family, and 1 for the run itself. */
const amountsOf = ({ operations }: Example): ReadonlyMap<string, number> => {
  const sums = new Map<string, number>([["", 1]])
  const add = (name: string, amount: number) => sums.set(name, (sums.get(name) ?? 0) + amount)
  for (const { amounts, family } of operations) {
    for (const [i, amount] of amounts.entries()) if (amount !== 0) add(`${i} ${family}`, amount)
  }
  return sums
}

/** Features of examples, divided by their times and scaled so that a standard normal prior suits their weights. */
interface Features {
  readonly names: ReadonlyArray<string>
  readonly scales: ReadonlyArray<number>
  /** For each example, the indices of its features and their values. */
  readonly rows: ReadonlyArray<{ readonly places: Int32Array; readonly values: Float64Array }>
}

const none: Features["rows"][number] = { places: new Int32Array(), values: new Float64Array() }

const features = (
  examples: ReadonlyArray<Example>,
  of: (example: Example) => ReadonlyMap<string, number>,
  scaleOf: (name: string, size: number) => number
): Features => {
  const places = new Map<string, number>()
  const given = examples.map((example) =>
    [...of(example)].map(([name, x]) => {
      const at = places.get(name) ?? places.size
      places.set(name, at)
      return [at, x / example.milliseconds] as const
    })
  )
  const squares = new Float64Array(places.size)
  for (const row of given) for (const [at, x] of row) squares[at] = (squares[at] ?? 0) + (x * x) / examples.length
  const names = [...places.keys()]
  const scales = names.map((name, at) => scaleOf(name, Math.sqrt(squares[at] ?? 0)))
  const rows = given.map((row) => ({
    places: Int32Array.from(row, ([at]) => at),
    values: Float64Array.from(row, ([at, x]) => x * (scales[at] ?? 0))
  }))
  return { names, scales, rows }
}

/** The products of all pairs of rows: millions after a profile of a few minutes, so these are plain loops. */
const gram = ({ names, rows }: Features): ReadonlyArray<Float64Array> => {
  const products = rows.map(() => new Float64Array(rows.length))
  const dense = new Float64Array(names.length)
  for (const [i, own] of products.entries()) {
    const { places, values } = rows[i] ?? none
    dense.fill(0)
    for (let k = 0; k < places.length; k++) dense[places[k] ?? 0] = values[k] ?? 0
    for (let j = 0; j <= i; j++) {
      const { places, values } = rows[j] ?? none
      let sum = 0
      for (let k = 0; k < places.length; k++) sum += (values[k] ?? 0) * (dense[places[k] ?? 0] ?? 0)
      own[j] = sum
    }
  }
  for (const [i, own] of products.entries()) for (let j = i + 1; j < own.length; j++) own[j] = products[j]?.[i] ?? 0
  return products
}

/** The weights of rows in the regression that should give 1 for each of `some` of them. */
const shares = (
  covariance: (a: number, b: number) => number,
  some: ReadonlyArray<number>,
  noise: number
): Float64Array => {
  const factor = Cholesky.make()
  const row = new Float64Array(some.length)
  for (const [i, a] of some.entries()) {
    for (let j = 0; j < i; j++) row[j] = covariance(a, some[j] ?? 0)
    factor.append(row, covariance(a, a) + noise * noise)
  }
  return factor.solve(some.map(() => 1))
}

/** Turns weights of rows into weights of features. */
const weightsOf = ({ names, rows, scales }: Features, by: Float64Array): ReadonlyMap<string, number> => {
  const weights = new Float64Array(names.length)
  for (const [i, { places, values }] of rows.entries())
    for (const [k, at] of places.entries()) weights[at] = (weights[at] ?? 0) + (values[k] ?? 0) * (by[i] ?? 0)
  return new Map(names.map((name, at) => [name, (weights[at] ?? 0) * (scales[at] ?? 0)]))
}

const predictorOf = (
  amounts: ReadonlyMap<string, number>,
  corrections: ReadonlyMap<string, number> = new Map()
): Predictor => {
  const families: Record<string, Array<number>> = {}
  for (const [name, weight] of amounts) {
    if (name === "") continue
    const [i = "0", ...words] = name.split(" ")
    const prices = (families[words.join(" ")] ??= Array.from({ length: Operation.amounts }, () => 0))
    prices[Number(i)] = weight
  }
  return { fixed: amounts.get("") ?? 0, families, corrections: Object.fromEntries(corrections) }
}

const folds = 4

/** The priors to try. */
const grid: ReadonlyArray<Priors> = [0.02, 0.1, 0.3].flatMap((correction) =>
  [0.02, 0.05, 0.1].map((noise) => ({ correction, noise }))
)

/** A fit, and its error on networks that it has not seen. */
export interface Fitted {
  readonly predictor: Predictor
  /** Relative errors: half of them are no larger than the first, nine in ten no larger than the second. */
  readonly error: { readonly median: number; readonly ninety: number }
}

/** Fits a predictor to at least a few tens of networks; its priors are chosen by cross-validation. */
export const fit = (examples: ReadonlyArray<Example>): Fitted => {
  const all = Array.from(examples.keys())
  const linear = features(examples, amountsOf, (_, size) => free / Math.max(size, 1e-12))
  const byAmounts = gram(linear)
  const linearly = (a: number, b: number) => byAmounts[a]?.[b] ?? 0
  // An op's time by its amounts alone determines how large its correction may be.
  const rough = predictorOf(weightsOf(linear, shares(linearly, all, 0.1)))
  const usual = new Map<string, number>()
  for (const { operations } of examples)
    for (const operation of operations)
      if (!usual.has(operation.signature))
        usual.set(operation.signature, Math.max(least, ofOperations(rough)([operation])))
  const distinct = features(
    examples,
    ({ operations }) => {
      const counts = new Map<string, number>()
      for (const { signature } of operations) counts.set(signature, (counts.get(signature) ?? 0) + 1)
      return counts
    },
    (signature) => usual.get(signature) ?? 0
  )
  const bySignature = gram(distinct)
  const covariance =
    ({ correction }: Priors) =>
    (a: number, b: number) =>
      linearly(a, b) + correction * correction * (bySignature[a]?.[b] ?? 0)
  /** Relative errors on one fold, by a fit on all others. */
  const errorsOf = (priors: Priors, fold: number): ReadonlyArray<number> => {
    const of = covariance(priors)
    const seen = all.filter((i) => i % folds !== fold)
    const by = shares(of, seen, priors.noise)
    return all
      .filter((i) => i % folds === fold)
      .map((i) =>
        // In units of the measured time, each prediction should be 1.
        Math.abs(seen.reduce((sum, j, at) => sum + of(i, j) * (by[at] ?? 0), 0) - 1)
      )
  }
  // One fold decides which priors are good; all of them show how good.
  const off = (priors: Priors) => Statistics.quantile(0.6)(errorsOf(priors, 0))
  const [first] = grid.map((priors) => ({ priors, error: off(priors) })).toSorted((a, b) => a.error - b.error)
  const { priors = { correction: 0.1, noise: 0.1 } } = first ?? {}
  const errors = Array.from({ length: folds }, (_, fold) => errorsOf(priors, fold)).flat()
  const error = { median: Statistics.median(errors), ninety: Statistics.quantile(0.9)(errors) }
  const by = shares(covariance(priors), all, priors.noise)
  const corrections = [...weightsOf(distinct, by)].map(
    ([signature, weight]) => [signature, weight * priors.correction * priors.correction] as const
  )
  return { predictor: predictorOf(weightsOf(linear, by), new Map(corrections)), error }
}
