/** A binary heap: the first of its items by some order, in logarithmic time. */
export interface Heap<A> {
  readonly first: () => A | undefined
  readonly push: (item: A) => void
  /** Removes the first. */
  readonly drop: () => void
}

/** @param before whether one item comes before another. */
export const make = <A>(before: (a: A, b: A) => boolean): Heap<A> => {
  const items: Array<A> = []
  const swap = (i: number, j: number) => {
    const item = items[i]!
    items[i] = items[j]!
    items[j] = item
  }
  return {
    first: () => items[0],
    push: (item) => {
      let at = items.push(item) - 1
      while (at > 0) {
        const parent = (at - 1) >>> 1
        if (!before(items[at]!, items[parent]!)) break
        swap(at, parent)
        at = parent
      }
    },
    drop: () => {
      const last = items.pop()
      if (last === undefined || items.length === 0) return
      items[0] = last
      for (let at = 0; ;) {
        const [left, right] = [2 * at + 1, 2 * at + 2]
        let next = at
        if (left < items.length && before(items[left]!, items[next]!)) next = left
        if (right < items.length && before(items[right]!, items[next]!)) next = right
        if (next === at) break
        swap(at, next)
        at = next
      }
    }
  }
}
