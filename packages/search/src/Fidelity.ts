/**
 * How long trials are trained: all to the end, or in rungs, where only the better trials go on. A trial that goes on continues from where
 * it stopped.
 *
 * A result belongs to the number of epochs after which it was found, and only results on the same rung are ever compared.
 *
 * Which trials go on depends on the results in the order in which they are reported (see `Search`), so it is the same at any number of
 * workers.
 *
 * @example
 * ```ts
 * import { Fidelity } from "@uninet/search"
 *
 * const fidelity = Fidelity.asha({ epochs: 9 }) // a third goes on at each rung
 * console.log(Fidelity.rungsOf(fidelity)) // [ 1, 3, 9 ]
 * console.log(Fidelity.expected(90)(fidelity) < 90 * 9) // true: epochs that 90 trials take
 * ```
 *
 * @example
 * ```ts
 * import { Fidelity } from "@uninet/search"
 *
 * for (const fidelity of [Fidelity.halving({ epochs: 9 }), Fidelity.median({ epochs: 9 }), Fidelity.named("asha", { epochs: 9 })])
 *   console.log(Fidelity.rungsOf(fidelity), Fidelity.partOf(0)(fidelity))
 * ```
 */
import { Pareto } from "@uninet/controller"
import { Elementary } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Schema from "effect/Schema"
import * as Standing from "./internal/standing.ts"
import type { Entrant } from "./internal/standing.ts"
import type { Evaluation } from "./Trial.ts"

export type { Entrant } from "./internal/standing.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))
/** Epochs after which there is a result, in ascending order. */
const Rungs = Schema.Array(Count).check(
  Schema.makeFilter(
    (rungs: ReadonlyArray<number>) =>
      (rungs.length > 0 && rungs.every((epochs, i) => epochs > (rungs[i - 1] ?? 0))) ||
      "must be one or more numbers of epochs in ascending order"
  )
)
/** One in this many trials on a rung goes on. */
const Factor = Schema.Finite.check(Schema.isGreaterThan(1))

/** How long trials are trained, as data. */
export const Fidelity = Schema.TaggedUnion({
  /** Every trial is trained to the end. */
  Full: {},
  /** Successive halving (Jamieson & Talwalkar 2016): a rung has to be complete before its best trials go on. */
  Halving: { rungs: Rungs, factor: Factor },
  /** Asynchronous successive halving (Li et al. 2020): a trial goes on as soon as it is among the best known so far on its rung. */
  Asha: { rungs: Rungs, factor: Factor },
  /**
   * The median stopping rule (Golovin et al. 2017, on results instead of running averages): a trial goes on while it is in the better half
   * of the trials that reached its rung before it, and always while there are no more than `grace` of them.
   */
  Median: { rungs: Rungs, grace: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)) }
})
export type Fidelity = typeof Fidelity.Type

/** The names on the command line. */
export const names = ["full", "halving", "asha", "median"] as const
/** A fidelity that has a name on the command line. */
export type Name = (typeof names)[number]

/** Epochs, and how many go on. */
export interface Options {
  /** Epochs of a complete training. */
  readonly epochs: number
  /** The first result comes after this many epochs. Default 1. */
  readonly from?: number
  /** One in this many trials on a rung goes on, and each rung is this many times as long as the one before. Default 3. */
  readonly factor?: number
}

/** `from`, `from · factor`, …, and at last `epochs`. */
const geometric = ({ epochs, factor = 3, from = 1 }: Options): ReadonlyArray<number> => {
  const rungs: Array<number> = []
  for (let at = from; Math.round(at) < epochs; at *= factor)
    if (Math.round(at) > (rungs.at(-1) ?? 0)) rungs.push(Math.round(at))
  return [...rungs, epochs]
}

/** Every trial is trained for all its epochs. The default. */
export const full: Fidelity = Fidelity.cases.Full.make({})
/**
 * Successive halving on rungs of `from`, `from · factor`, … and at last `epochs` epochs. A rung has to be complete before the best 1 /
 * `factor` of it go on to the next.
 */
export const halving = (options: Options): Fidelity =>
  Fidelity.cases.Halving.make({ rungs: geometric(options), factor: options.factor ?? 3 })
/**
 * Asynchronous successive halving.
 *
 * @example
 * ```ts
 * import { Fidelity } from "@uninet/search"
 *
 * // How long does a search of 100 trials train what?
 * const fidelity = Fidelity.asha({ epochs: 27, from: 1, factor: 3 })
 * console.log(Fidelity.rungsOf(fidelity)) // [ 1, 3, 9, 27 ]
 * console.log(Fidelity.expected(100)(fidelity).toFixed(1)) // so many trainings to the end, in place of 100
 * console.log(Fidelity.named("median", { epochs: 27 })._tag) // Median, as `--fidelity median` asks for it
 *
 * // Results after different numbers of epochs say nothing about one another.
 * const [early, late] = [{ epochs: 1, reward: 0.9 }, { epochs: 27, reward: 0.95 }]
 * console.log(Fidelity.compare(early, late), Fidelity.compare(late, { epochs: 27, reward: 0.9 })) // undefined, above 0
 * console.log(Fidelity.levels((score: Fidelity.Score) => score)([early, late]).map(({ epochs }) => epochs)) // [ 27, 1 ]
 * ```
 */
export const asha = (options: Options): Fidelity =>
  Fidelity.cases.Asha.make({ rungs: geometric(options), factor: options.factor ?? 3 })
/** Median stopping after every epoch, starting at `from`. */
export const median = ({
  epochs,
  from = 1,
  grace = 4
}: Omit<Options, "factor"> & { readonly grace?: number }): Fidelity =>
  Fidelity.cases.Median.make({
    rungs: Array.from({ length: Math.max(1, epochs - from + 1) }, (_, i) => Math.min(epochs, from + i)),
    grace
  })

/** The fidelity with this name on the command line, with the same options for all; `full` and `median` ignore `factor`. */
export const named = (name: Name, options: Options): Fidelity =>
  ({ full: () => full, halving: () => halving(options), asha: () => asha(options), median: () => median(options) })[
    name
  ]()

/** The epochs after which each rung ends; `undefined` stands for the single rung of `full`, whose length comes from the recipe. */
export const rungsOf = (fidelity: Fidelity): ReadonlyArray<number | undefined> =>
  fidelity._tag === "Full" ? [undefined] : fidelity.rungs

/** The share (0 … 1) of a complete training that is done on a rung, counted from 0. */
export const partOf =
  (rung: number) =>
  (fidelity: Fidelity): number => {
    if (fidelity._tag === "Full") return 1
    const { rungs } = fidelity
    return ((rungs[rung] ?? 0) - (rungs[rung - 1] ?? 0)) / (rungs.at(-1) ?? 1)
  }

/** About how many complete trainings `trials` trials amount to, if one in `factor` (with the median rule, one in two) goes on from each rung. */
export const expected =
  (trials: number) =>
  (fidelity: Fidelity): number => {
    const share = fidelity._tag === "Full" ? 1 : 1 / (fidelity._tag === "Median" ? 2 : fidelity.factor)
    return rungsOf(fidelity).reduce<number>(
      (sum, _, rung) =>
        sum + Math.max(rung === 0 ? trials : 1, trials * Elementary.pow(share, rung)) * partOf(rung)(fidelity),
      0
    )
  }

/**
 * An evaluation with the number of epochs that it was trained for. In rungs, a trial that the recipe's early stopping ended keeps the
 * result from where it stopped, whatever it was given, and is not compared with results after more epochs. Without rungs, all trials count
 * as trained for the recipe's epochs, because early stopping is part of the recipe.
 */
export const trained =
  <E extends Pick<Evaluation, "epochs" | "stoppedAfter">>(evaluation: E) =>
  (fidelity: Fidelity): E => {
    const { epochs, stoppedAfter } = evaluation
    return fidelity._tag === "Full" || stoppedAfter === undefined || epochs === null || stoppedAfter >= epochs
      ? evaluation
      : { ...evaluation, epochs: stoppedAfter }
  }

/** A reward with the number of epochs after which it was found, `null` if nothing is trained. */
export interface Score {
  readonly epochs: number | null
  /** Larger is better. */
  readonly reward: number
}

/** Above 0 if `a` is better, below 0 if `b` is, 0 if they are equal; `undefined` for scores after different numbers of epochs, which cannot be compared. */
export const compare = (a: Score, b: Score): number | undefined =>
  a.epochs === b.epochs ? a.reward - b.reward : undefined

/** Results found after the same number of epochs. */
export interface Level<out A> {
  readonly epochs: number | null
  readonly members: ReadonlyArray<A>
}

/** Groups items by the number of epochs behind their scores, most epochs first. */
export const levels =
  <B>(scoreOf: (thing: B) => Score) =>
  <A extends B>(things: ReadonlyArray<A>): ReadonlyArray<Level<A>> => {
    const by = new Map<number | null, Array<A>>()
    for (const thing of things) {
      const { epochs } = scoreOf(thing)
      const members = by.get(epochs)
      if (members === undefined) by.set(epochs, [thing])
      else members.push(thing)
    }
    return [...by]
      .map(([epochs, members]) => ({ epochs, members }))
      .sort((a, b) => (b.epochs ?? Infinity) - (a.epochs ?? Infinity))
  }

const firstObjective = ({ objectives: [first = Number.NaN] }: Entrant): number => first

/**
 * The entrants of one rung, best first: with one objective by its value; with several by Pareto front, then by crowding distance. Ties are
 * ordered by trial number.
 */
export const order = <A extends Entrant>(entrants: ReadonlyArray<A>): ReadonlyArray<A> => {
  if ((entrants[0]?.objectives.length ?? 1) === 1)
    return entrants.toSorted((a, b) => firstObjective(b) - firstObjective(a) || a.trial - b.trial)
  const fronts: Array<Array<A>> = []
  for (const [entrant, rank] of Arr.zip(entrants, Pareto.ranks(entrants.map(({ objectives }) => objectives)))) {
    const front = (fronts[rank] ??= [])
    front.push(entrant)
  }
  return fronts.flatMap((front) => {
    const crowding = Pareto.crowding(front.map(({ objectives }) => objectives))
    return Arr.zipWith(front, crowding, (entrant, worth) => ({ entrant, worth }))
      .sort((a, b) => (a.worth === b.worth ? 0 : b.worth - a.worth) || a.entrant.trial - b.entrant.trial)
      .map(({ entrant }) => entrant)
  })
}

/** A trial that is to continue on another rung. */
export interface Promotion {
  /** The trial's number, from 0. */
  readonly trial: number
  /** The rung it moves to, from 0. */
  readonly rung: number
}

/** Decides which trials go on as results arrive. It is mutable, and belongs to one search. */
export interface Ladder {
  /** Records that a trial was sent to a rung. */
  readonly enter: (rung: number) => void
  /** Records that it came back, with or without a result. */
  readonly told: (rung: number, entrant: Entrant | undefined) => void
  /** The next trial to go on. `closed`: no new trial will enter the first rung. `idle`: nothing is being trained. */
  readonly next: (at: { readonly closed: boolean; readonly idle: boolean }) => Promotion | undefined
}

interface Rung {
  readonly rung: number
  entered: number
  back: number
  gone: number
  readonly here: Array<Entrant>
  /** Set by the first result, which tells the number of objectives. */
  standing: Standing.Standing | undefined
}

/** Moves a trial on from a rung. */
const go = (trial: number, from: Rung): Promotion => {
  from.gone++
  from.standing?.leave(trial)
  return { trial, rung: from.rung + 1 }
}

/** The trials of a rung that can go on, best first. */
const able = (here: ReadonlyArray<Entrant>) => order(here.filter(({ ended = false }) => !ended))

/**
 * The rungs of a search, empty. The cost per result grows with the logarithm of the number of results (with two objectives, with the number
 * of fronts).
 *
 * @example
 * ```ts
 * import { Fidelity } from "@uninet/search"
 *
 * // For your own scheduler: who goes on, as results come in.
 * const ladder = Fidelity.ladder(Fidelity.asha({ epochs: 9, from: 3, factor: 3 }))
 * const rewards = [0.7, 0.9, 0.8]
 * for (const [trial, reward] of rewards.entries()) {
 *   ladder.enter(0)
 *   ladder.told(0, { trial, objectives: [reward] })
 * }
 * console.log(ladder.next({ closed: false, idle: false })) // { trial: 1, rung: 1 }: the best of three
 * console.log(Fidelity.order(rewards.map((reward, trial) => ({ trial, objectives: [reward] }))).map(({ trial }) => trial))
 * ```
 */
export const ladder = (fidelity: Fidelity): Ladder => {
  const rungs = rungsOf(fidelity).map((_, rung): Rung => ({
    rung,
    entered: 0,
    back: 0,
    gone: 0,
    here: [],
    standing: undefined
  }))
  const last = rungs.at(-1)
  /** The rungs that trials can leave, first rung first and last rung first. */
  const [rising, falling] = [rungs.slice(0, -1), rungs.slice(0, -1).toReversed()]
  const queue: Array<Promotion> = []
  let asked = 0
  const share = (n: number) =>
    fidelity._tag === "Full" || fidelity._tag === "Median" ? 0 : Math.floor(n / fidelity.factor)
  const halving = (closed: boolean) => {
    for (const from of rising) {
      const { back, entered, gone, here, rung } = from
      if (!closed || back < entered || (rung > 0 && entered === 0)) return
      if (gone === 0)
        for (const { trial } of able(here).slice(0, Math.max(1, share(here.length)))) queue.push(go(trial, from))
      // The next rung is waiting for these.
      if (asked < queue.length) return
    }
  }
  const asha = (closed: boolean, idle: boolean) => {
    for (const from of falling) {
      const { here, standing } = from
      const limit = share(here.length)
      const found = standing?.first(limit)
      if (found !== undefined && found.place < limit) return go(found.trial, from)
    }
    if (!closed || !idle) return undefined
    // Too few for a share of one: the best goes on anyway, so that a search ends with a result on the last rung.
    for (const from of falling) {
      if (from.gone > 0) return undefined
      const best = from.standing?.first(1)
      if (best !== undefined) return go(best.trial, from)
    }
    return undefined
  }
  return {
    enter: (rung) => {
      const at = rungs[rung]
      if (at !== undefined) at.entered++
    },
    told: (rung, entrant) => {
      const at = rungs[rung]
      if (at === undefined) return
      at.back++
      if (entrant === undefined) return
      const { trial } = entrant
      at.here.push(entrant)
      // these decide for a whole rung at a time, or never
      if (fidelity._tag === "Full" || fidelity._tag === "Halving" || at === last) return
      const { ended = false } = entrant
      // trials that stopped early do not go on; the median is taken over all
      if (ended && fidelity._tag === "Asha") return
      at.standing ??= Standing.make(entrant.objectives.length)
      at.standing.add(entrant)
      if (ended || fidelity._tag !== "Median") return
      const known = at.here.length
      const half = Math.ceil(known / 2)
      if (known <= fidelity.grace || at.standing.place(trial, half) < half) queue.push(go(trial, at))
    },
    next: ({ closed, idle }) => {
      if (fidelity._tag === "Asha") return asha(closed, idle)
      if (fidelity._tag === "Halving" && asked === queue.length) halving(closed)
      return queue[asked] === undefined ? undefined : queue[asked++]
    }
  }
}
