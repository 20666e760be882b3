/** The orders of rungs and the ladders by their plain definitions: everything is sorted again each time. */
import { Pareto } from "@uninet/controller"
import { Fidelity } from "@uninet/search"

/** Takes off one front after another. */
export const ranks = (points: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<number> => {
  const out = points.map(() => -1)
  for (let rank = 0; out.includes(-1); rank++) {
    const left = out.flatMap((known, i) => (known === -1 ? [i] : []))
    for (const i of left) {
      if (!left.some((j) => Pareto.dominates(points[j] ?? [], points[i] ?? []))) out[i] = rank
    }
  }
  return out
}

export const order = <A extends Fidelity.Entrant>(entrants: ReadonlyArray<A>): ReadonlyArray<A> => {
  if ((entrants[0]?.objectives.length ?? 1) === 1)
    return entrants.toSorted((a, b) => (b.objectives[0] ?? 0) - (a.objectives[0] ?? 0) || a.trial - b.trial)
  const ranked = ranks(entrants.map(({ objectives }) => objectives))
  const worth = new Map<A, number>()
  for (let rank = 0; rank <= Math.max(...ranked); rank++) {
    const front = entrants.filter((_, i) => ranked[i] === rank)
    const crowding = Pareto.crowding(front.map(({ objectives }) => objectives))
    for (const [i, entrant] of front.entries()) worth.set(entrant, crowding[i] ?? 0)
  }
  return entrants
    .map((entrant, i) => ({ entrant, rank: ranked[i] ?? 0, worth: worth.get(entrant) ?? 0 }))
    .sort(
      (a, b) => a.rank - b.rank || (a.worth === b.worth ? 0 : b.worth - a.worth) || a.entrant.trial - b.entrant.trial
    )
    .map(({ entrant }) => entrant)
}

export const ladder = (fidelity: Fidelity.Fidelity): Fidelity.Ladder => {
  const rungs = Fidelity.rungsOf(fidelity).map(() => ({
    entered: 0,
    back: 0,
    here: new Array<Fidelity.Entrant>(),
    gone: new Set<number>()
  }))
  const last = rungs.length - 1
  const queue: Array<Fidelity.Promotion> = []
  const share = (n: number) =>
    fidelity._tag === "Full" || fidelity._tag === "Median" ? 0 : Math.floor(n / fidelity.factor)
  const go = (trial: number, rung: number) => {
    rungs[rung]?.gone.add(trial)
    return { trial, rung: rung + 1 }
  }
  const halving = (closed: boolean) => {
    for (const [rung, { back, entered, gone, here }] of rungs.slice(0, last).entries()) {
      if (!closed || back < entered || (rung > 0 && entered === 0)) return
      if (gone.size === 0)
        for (const { trial } of order(here).slice(0, Math.max(1, share(here.length)))) queue.push(go(trial, rung))
      if (queue.length > 0) return
    }
  }
  const down = [...rungs.entries()].slice(0, last).toReversed()
  const asha = (closed: boolean, idle: boolean) => {
    for (const [rung, { gone, here }] of down) {
      const found = order(here)
        .slice(0, share(here.length))
        .find(({ trial }) => !gone.has(trial))
      if (found !== undefined) return go(found.trial, rung)
    }
    if (!closed || !idle) return undefined
    for (const [rung, { gone, here }] of down) {
      if (gone.size > 0) return undefined
      const [best] = order(here)
      if (best !== undefined) return go(best.trial, rung)
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
      at.here.push(entrant)
      if (fidelity._tag !== "Median" || rung === last) return
      const place = order(at.here).findIndex(({ trial }) => trial === entrant.trial)
      if (at.here.length <= fidelity.grace || place < Math.ceil(at.here.length / 2)) queue.push(go(entrant.trial, rung))
    },
    next: ({ closed, idle }) => {
      if (fidelity._tag === "Asha") return asha(closed, idle)
      if (fidelity._tag === "Halving" && queue.length === 0) halving(closed)
      return queue.shift()
    }
  }
}
