/**
 * Items in an order. Finds an item's place, and the first item that is still waiting, in logarithmic time: a treap (Seidel & Aragon 1996)
 * whose nodes count the items below them.
 */

export interface Ranked<A> {
  /** Do not add an item that is already in it, according to the order. */
  readonly add: (item: A, waiting: boolean) => void
  /** Removes an item that is in it. */
  readonly remove: (item: A) => void
  /** The number of items before an item. */
  readonly place: (item: A) => number
  /** The first waiting item, with its place. */
  readonly first: () => { readonly item: A; readonly place: number } | undefined
  /** Marks an item as no longer waiting. */
  readonly leave: (item: A) => void
}

interface Node<A> {
  readonly item: A
  readonly priority: number
  isWaiting: boolean
  size: number
  waiting: number
  left: Node<A> | undefined
  right: Node<A> | undefined
}

/** @param compare below 0 if `a` comes before `b`; 0 only for the same item. */
export const make = <A>(compare: (a: A, b: A) => number): Ranked<A> => {
  let root: Node<A> | undefined
  let random = 0x9e3779b9

  const counted = (node: Node<A>): Node<A> => {
    const { left, right } = node
    node.size = 1 + (left?.size ?? 0) + (right?.size ?? 0)
    node.waiting = (node.isWaiting ? 1 : 0) + (left?.waiting ?? 0) + (right?.waiting ?? 0)
    return node
  }
  const toRight = (node: Node<A>, left: Node<A>): Node<A> => {
    node.left = left.right
    left.right = counted(node)
    return counted(left)
  }
  const toLeft = (node: Node<A>, right: Node<A>): Node<A> => {
    node.right = right.left
    right.left = counted(node)
    return counted(right)
  }
  const added = (node: Node<A> | undefined, fresh: Node<A>): Node<A> => {
    if (node === undefined) return fresh
    if (compare(fresh.item, node.item) < 0) {
      const left = added(node.left, fresh)
      node.left = left
      return left.priority < node.priority ? toRight(node, left) : counted(node)
    }
    const right = added(node.right, fresh)
    node.right = right
    return right.priority < node.priority ? toLeft(node, right) : counted(node)
  }
  /** Joins two trees; everything in the first comes before everything in the second. */
  const joined = (a: Node<A> | undefined, b: Node<A> | undefined): Node<A> | undefined => {
    if (a === undefined) return b
    if (b === undefined) return a
    if (a.priority < b.priority) {
      a.right = joined(a.right, b)
      return counted(a)
    }
    b.left = joined(a, b.left)
    return counted(b)
  }
  const without = (node: Node<A> | undefined, item: A): Node<A> | undefined => {
    if (node === undefined) return undefined
    const side = compare(item, node.item)
    if (side === 0) return joined(node.left, node.right)
    if (side < 0) node.left = without(node.left, item)
    else node.right = without(node.right, item)
    return counted(node)
  }
  return {
    add: (item, isWaiting) => {
      // Marsaglia's xorshift: a treap needs priorities without a pattern
      random ^= random << 13
      random ^= random >>> 17
      random ^= random << 5
      const waiting = isWaiting ? 1 : 0
      const fresh: Node<A> = { item, priority: random, isWaiting, size: 1, waiting, left: undefined, right: undefined }
      root = added(root, fresh)
    },
    remove: (item) => {
      root = without(root, item)
    },
    place: (item) => {
      let before = 0
      for (let node = root; node !== undefined;) {
        if (compare(item, node.item) <= 0) node = node.left
        else {
          before += 1 + (node.left?.size ?? 0)
          node = node.right
        }
      }
      return before
    },
    first: () => {
      let before = 0
      for (let node = root; node !== undefined && node.waiting > 0;) {
        const { left } = node
        if (left !== undefined && left.waiting > 0) node = left
        else if (node.isWaiting) return { item: node.item, place: before + (left?.size ?? 0) }
        else {
          before += 1 + (left?.size ?? 0)
          node = node.right
        }
      }
      return undefined
    },
    leave: (item) => {
      const path: Array<Node<A>> = []
      for (let node = root; node !== undefined;) {
        path.push(node)
        const side = compare(item, node.item)
        if (side === 0) break
        node = side < 0 ? node.left : node.right
      }
      const last = path.at(-1)
      if (last === undefined || !last.isWaiting) return
      last.isWaiting = false
      for (const node of path) node.waiting--
    }
  }
}
