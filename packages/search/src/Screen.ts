/**
 * A filter in front of any strategy: only the better part of its proposals is trained, as judged by a predictor. The predictor is fitted on
 * the search's own results (choices, costs and what else is known). It is used only while its certificate, cross-validated on those
 * results, says that it is better than multiply-accumulates alone.
 *
 * **Source.** The filter is that of predictor-guided evolution (C. Wei et al., "NPENAS: Neural Predictor Guided Evolution for Neural
 * Architecture Search", 2020, arXiv 2003.12857). That the predictor has to earn its place is our choice.
 */
import type { ModelSpace } from "@uninet/model-space"
import { Certificate, Correlation, Features, Regressor } from "@uninet/predictor"
import { Elementary } from "@uninet/search-space"
import * as Result from "effect/Result"

/** A network with its costs. */
export interface Candidate<A> {
  readonly point: A
  readonly costs: Readonly<Record<string, number>>
  /** What else is known of it before any training, such as proxy scores: the same number of values for every network, NaN for unknown ones. */
  readonly known?: ReadonlyArray<number>
}

/** The verdict on the predictor after some results. */
export interface Verdict {
  /** The number of results it was judged on. */
  readonly results: number
  /** Whether the predictor is used. */
  readonly trusted: boolean
  /** The reason, as a clause. */
  readonly why: string
  /** Absent if nothing could be certified. */
  readonly certificate?: Certificate.Certificate
}

/** Holds back proposals that are not worth training. */
export interface Screen<in A> {
  /** Takes a result. The results, in the order in which they are reported, decide everything. */
  readonly told: (candidate: Candidate<A>, reward: number) => void
  /** The current verdict on the predictor; `undefined` until there are enough results for a first one. */
  readonly verdict: () => Verdict | undefined
  /** The expected reward of each candidate; `undefined` if the predictor is not trusted. */
  readonly expect: (candidates: ReadonlyArray<Candidate<A>>) => ReadonlyArray<number> | undefined
}

/** The number of results before anything is left out, and the share of new ones after which the predictor is judged again. */
const first = 16
const growth = 1.15
/** The number of latest results that it is fitted on. */
const memory = 400

const logarithm = (x: number) => (Number.isFinite(x) ? Elementary.log1p(Math.max(0, x)) : Number.NaN)

const pair = (x: number) => x.toFixed(2)

/** The verdict on a regressor, from results and costs, and its expectations if it is trusted. */
const judged = <A>(
  of: Pick<ModelSpace.ModelSpace<A, string, string>, "space">,
  regressor: Regressor.Regressor,
  known: ReadonlyArray<Candidate<A> & { readonly reward: number }>,
  seed: string | number
): { readonly verdict: Verdict; readonly expected: Screen<A>["expect"] } => {
  const results = known.length
  const rewards = known.map(({ reward }) => reward)
  const { encode } = Features.ofChoices(known.map(({ point }) => point))(of.space)
  const names = Object.keys(known[0]?.costs ?? {})
  const featuresOf = ({ costs, known = [], point }: Candidate<A>) => [
    ...encode(point),
    ...names.map((name) => logarithm(costs[name] ?? Number.NaN)),
    ...known
  ]
  const rows = known.map(featuresOf)
  const macs = known.map(({ costs }) => costs["macs"] ?? 0)
  // Where the reward falls with MACs, MACs alone would recommend fewer of them.
  const sign = Correlation.spearman(macs, rewards) < 0 ? -1 : 1
  const made = Result.gen(function* () {
    const fitted = yield* regressor(rows, rewards)
    const { predictions } = yield* Regressor.crossValidate(rows, rewards, { seed, folds: 5 })(regressor)
    const certificate = yield* Certificate.make({
      of: "the predictor",
      scores: predictions.map(({ mean }) => mean),
      results: rewards,
      macs: macs.map((each) => sign * each),
      resamples: 200,
      seed
    })
    return { fitted, certificate }
  })
  if (Result.isFailure(made))
    return { verdict: { results, trusted: false, why: made.failure.message }, expected: () => undefined }
  const { certificate, fitted } = made.success
  const { overall } = certificate
  const alone = overall.macs.spearman.value
  const why = overall.clears
    ? `its rank correlation with ${results} results is ${pair(overall.spearman.value)}, and that of MACs alone is ${pair(alone)}`
    : `MACs alone predict as well: its rank correlation with ${results} results is ${pair(overall.spearman.value)}, theirs is ${pair(alone)}, and the difference may be ${pair(overall.gain.low)} … ${pair(overall.gain.high)}`
  return {
    verdict: { results, trusted: overall.clears, why, certificate },
    expected: (candidates) =>
      overall.clears ? candidates.map((each) => fitted.predict(featuresOf(each)).mean) : undefined
  }
}

/**
 * A filter that knows nothing yet.
 *
 * @param seed decides the folds of cross-validation and the certificate's draws.
 *
 * @example
 * ```ts
 * import { ModelSpace } from "@uninet/model-space"
 * import { Screen } from "@uninet/search"
 * import { Prng, Space } from "@uninet/search-space"
 * import { NasBench201 } from "@uninet/spaces"
 * import { Result } from "effect"
 *
 * const cells = Result.getOrThrow(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10, cells: 1 }))
 * const screen = Screen.make(cells, "demo")
 * const prng = Prng.fromSeed("demo")
 * const candidate = () => {
 *   const point = Space.sample(prng)(cells.space)
 *   return { point, costs: Result.getOrThrow(ModelSpace.costsOf(point)(cells)) }
 * }
 * // Instead of training: a skip connection to the output is good, and pooling is not.
 * for (let i = 0; i < 32; i++) {
 *   const each = candidate()
 *   const pools = Object.values(each.point).filter((operation) => operation === "avg_pool_3x3").length
 *   screen.told(each, (each.point["0-3"] === "skip_connect" ? 0.5 : 0) - pools / 6)
 * }
 * console.log(screen.verdict()?.trusted, screen.verdict()?.why)
 * console.log(screen.expect([candidate(), candidate()])?.map((reward) => reward.toFixed(2)))
 * ```
 */
export const make = <A>(
  of: Pick<ModelSpace.ModelSpace<A, string, string>, "space">,
  seed: string | number,
  regressor: Regressor.Regressor = Regressor.gaussianProcess
): Screen<A> => {
  const known: Array<Candidate<A> & { readonly reward: number }> = []
  let next = first
  let now: ReturnType<typeof judged<A>> | undefined
  return {
    // At fixed numbers of results rather than on request, so that a replay gives the same.
    told: (candidate, reward) => {
      known.push({ ...candidate, reward })
      if (known.length < next) return
      next = Math.ceil(growth * known.length)
      now = judged(of, regressor, known.slice(-memory), seed)
    },
    verdict: () => now?.verdict,
    expect: (candidates) => now?.expected(candidates)
  }
}
