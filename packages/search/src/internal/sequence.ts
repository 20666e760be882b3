/** A sequence of items that allows insertion anywhere. A long one is kept in pieces, so that an insertion does not move everything behind it. */

/** Pieces with more items are split. */
const most = 512

/** The first index in an array, from `low` on, where a predicate holds that also holds for everything after it. */
export const firstOf = <A>(items: ReadonlyArray<A>, holds: (item: A) => boolean, low = 0): number => {
  let high = items.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const item = items[middle]
    if (item === undefined || holds(item)) high = middle
    else low = middle + 1
  }
  return low
}

/** A class, because there is one for every front, and each is used very often. */
export class Sequence<A> {
  readonly #pieces: [Array<A>, ...Array<Array<A>>]
  /** How many items there are. */
  size: number

  constructor(items: ReadonlyArray<A>) {
    const pieces: Array<Array<A>> = []
    for (let i = 0; i < items.length; i += most) pieces.push(items.slice(i, i + most))
    const [first = [], ...others] = pieces
    this.#pieces = [first, ...others]
    this.size = items.length
  }

  at(index: number): A | undefined {
    let rest = index
    for (const piece of this.#pieces) {
      if (rest < piece.length) return piece[rest]
      rest -= piece.length
    }
    return undefined
  }

  /** The first index, from `low` on, where a predicate holds that also holds for everything after it; the size where it holds nowhere. */
  firstOf(holds: (item: A) => boolean, low = 0): number {
    const pieces = this.#pieces
    if (pieces.length === 1) return firstOf(pieces[0], holds, low)
    let before = 0
    for (const piece of pieces) {
      const end = before + piece.length
      const last = piece.at(-1)
      if (last !== undefined && end > low && holds(last))
        return before + firstOf(piece, holds, Math.max(0, low - before))
      before = end
    }
    return this.size
  }

  /** Replaces the items from one index up to another with others. Returns the items removed. */
  replace(from: number, to: number, items: ReadonlyArray<A>): ReadonlyArray<A> {
    const pieces = this.#pieces
    let [piece] = pieces
    let which = 0
    let start = from
    for (let next = pieces[1]; next !== undefined && start > piece.length; next = pieces[which + 1]) {
      start -= piece.length
      piece = next
      which++
    }
    const out = piece.splice(start, to - from, ...items)
    // the part that reaches into later pieces
    while (out.length < to - from) {
      const next = pieces[which + 1]
      if (next === undefined) break
      out.push(...next.splice(0, to - from - out.length))
      if (next.length === 0) pieces.splice(which + 1, 1)
    }
    this.size += items.length - out.length
    if (piece.length > most) pieces.splice(which + 1, 0, ...divided(piece))
    else if (piece.length === 0 && pieces.length > 1) pieces.splice(which, 1)
    return out
  }

  *[Symbol.iterator](): Iterator<A> {
    for (const piece of this.#pieces) yield* piece
  }
}

/** Takes the items beyond the first few out of a piece, as separate pieces. */
const divided = <A>(piece: Array<A>): ReadonlyArray<Array<A>> => {
  const rest = piece.splice(most / 2)
  const out: Array<Array<A>> = []
  for (let i = 0; i < rest.length; i += most / 2) out.push(rest.slice(i, i + most / 2))
  return out
}
