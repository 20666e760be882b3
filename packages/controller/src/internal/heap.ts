/** A binary heap: gives the first of its items by an order; adding and removing take logarithmic time. */
export interface Heap<A> {
  readonly first: () => A | undefined
  readonly push: (item: A) => void
  /** Removes the first item. */
  readonly drop: () => void
}

/** @param before whether one item comes before another. */
export const make = <A>(before: (a: A, b: A) => boolean): Heap<A> => {
  const items: Array<A> = []
  return {
    first: () => items[0],
    push: (item) => {
      let at = items.length
      while (at > 0) {
        const above = (at - 1) >>> 1
        const parent = items[above]
        if (parent === undefined || !before(item, parent)) break
        items[at] = parent
        at = above
      }
      items[at] = item
    },
    drop: () => {
      const last = items.pop()
      if (last === undefined || items.length === 0) return
      for (let at = 0; ;) {
        let [next, first] = [at, last]
        for (const below of [2 * at + 1, 2 * at + 2]) {
          const child = items[below]
          if (child !== undefined && before(child, first)) [next, first] = [below, child]
        }
        items[at] = first
        if (next === at) break
        at = next
      }
    }
  }
}
