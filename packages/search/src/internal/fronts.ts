/**
 * The Pareto fronts of points that arrive one after the other, with their crowding distances: the result of non-dominated sorting of all of
 * them, without sorting them again for every new one.
 *
 * A new point joins the first front of which no member dominates it, and replaces the members that it dominates. These move to the next
 * front together, replace what they dominate there, and so on (Li et al., "Efficient Nondomination Level Update", 2017), until nothing is
 * dominated, or a whole front is: that front then follows unchanged. With two objectives a front is a staircase, so the members that move
 * are one contiguous stretch of it, which bisection finds (Yakupov & Buzdalov, "Incremental Non-dominated Sorting with O(N) Insertion for
 * the Two-dimensional Case", 2015).
 *
 * Only the first fronts are kept in this way: as many as cover the places that are asked for, and some more. The members behind them are
 * unordered, and are sorted once the first fronts are no longer enough.
 */
import { Pareto } from "@uninet/controller"
import * as Arr from "effect/Array"
import * as Ranked from "./ranked.ts"
import { firstOf, Sequence } from "./sequence.ts"

/** A point on some front. */
export interface Member {
  readonly trial: number
  readonly objectives: ReadonlyArray<number>
  /** The first and the second objective. */
  readonly x: number
  readonly y: number
  /** The number of members that arrived before it. */
  readonly sequence: number
  waiting: boolean
  front: Front
  /** As last computed. */
  crowding: number
}

interface Front {
  block: Block
  /** With two objectives, as a staircase: the first objective falls, the second rises; equal points in order of arrival. */
  members: Sequence<Member>
  waiting: number
  /** In a long front: its members by crowding, as long as it is known. */
  ranked: Ranked.Ranked<Member> | undefined
  /** In a short front: whether the members' crowding is known. */
  known: boolean
}

/** Consecutive fronts, with the number of their members, so that the members before a front can be counted block by block. */
interface Block {
  fronts: Array<Front>
  size: number
  waiting: number
}

export interface Fronts {
  readonly add: (trial: number, objectives: ReadonlyArray<number>) => void
  /** A trial's place, by front, then by crowding, then by trial number; any number from `limit` on if it is not among the first `limit`. */
  readonly place: (trial: number, limit: number) => number
  /** The first waiting trial, with its place; may be undefined if it is not among the first `limit`. */
  readonly first: (limit: number) => { readonly trial: number; readonly place: number } | undefined
  /** Marks a trial as no longer waiting. */
  readonly leave: (trial: number) => void
}

/** Fronts with more members keep them ordered by crowding; in shorter ones they are counted. */
const long = 128

const byCrowding = (a: Member, b: Member): number =>
  (a.crowding === b.crowding ? 0 : b.crowding - a.crowding) || a.trial - b.trial

/** Blocks with more fronts are split. */
const most = 128

const emptyBlock = (): Block => ({ fronts: [], size: 0, waiting: 0 })

const frontOf = (block: Block, members: ReadonlyArray<Member>): Front => ({
  block,
  members: new Sequence(members),
  waiting: 0,
  ranked: undefined,
  known: false
})

/** @param width the number of objectives of every point. */
export const make = (width: number): Fronts => {
  const blocks: Arr.NonEmptyArray<Block> = [emptyBlock()]
  const byTrial = new Map<number, Member>()
  const layout = width === 2 ? staircase() : heap()
  /** The number of members in fronts, and the members behind all fronts. */
  let sorted = 0
  let rest: Array<Member> = []
  const behind = frontOf(emptyBlock(), [])

  /** Counts members that join a front or leave it. */
  const count = (front: Front, members: ReadonlyArray<Member>, sign: 1 | -1) => {
    let waiting = 0
    for (const member of members) if (member.waiting) waiting++
    front.waiting += sign * waiting
    front.block.waiting += sign * waiting
    front.block.size += sign * members.length
    sorted += sign * members.length
  }
  /** Inserts a front with some members before the front that is now the `at`-th of a block. */
  const insert = (block: Block, at: number, members: ReadonlyArray<Member>) => {
    const front = frontOf(block, members)
    for (const member of members) member.front = front
    block.fronts.splice(at, 0, front)
    count(front, members, 1)
    if (block.fronts.length <= most) return
    const half: Block = { ...emptyBlock(), fronts: block.fronts.splice(most / 2) }
    for (const moved of half.fronts) {
      moved.block = half
      half.size += moved.members.size
      half.waiting += moved.waiting
    }
    block.size -= half.size
    block.waiting -= half.waiting
    blocks.splice(blocks.indexOf(block) + 1, 0, half)
  }
  const drop = (members: Iterable<Member>) => {
    for (const member of members) {
      member.front = behind
      rest.push(member)
    }
  }
  /** Makes the fronts cover the first `limit` members, and not many more. */
  const reach = (limit: number) => {
    for (;;) {
      const block = Arr.lastNonEmpty(blocks)
      const last = block.fronts.at(-1)
      const size = last?.members.size ?? 0
      if (last === undefined || sorted <= 2 * limit + 32 || sorted - size < 1.5 * limit + 16) break
      count(last, Array.from(last.members), -1)
      block.fronts.pop()
      if (block.fronts.length === 0 && blocks.length > 1) blocks.pop()
      drop(last.members)
    }
    if (sorted >= limit || rest.length === 0) return
    const ranks = Pareto.ranks(rest.map(({ objectives }) => objectives))
    const fronts: Array<Array<Member>> = []
    for (const [member, rank] of Arr.zip(rest, ranks)) {
      const front = (fronts[rank] ??= [])
      front.push(member)
    }
    rest = []
    for (const front of fronts) {
      if (sorted > 1.5 * limit + 16) drop(front)
      else {
        const block = Arr.lastNonEmpty(blocks)
        insert(block, block.fronts.length, layout.arranged(front))
      }
    }
  }

  const add = (trial: number, objectives: ReadonlyArray<number>) => {
    const isFree = (front: Front | undefined) => front === undefined || !layout.dominates(front, objectives)
    let which = firstOf(blocks, ({ fronts }) => isFree(fronts.at(-1)))
    let block = blocks[which] ?? Arr.lastNonEmpty(blocks)
    let at = firstOf(block.fronts, isFree)
    const [x = 0, y = 0] = objectives
    const sequence = byTrial.size
    const fresh: Member = { trial, objectives, x, y, sequence, waiting: true, front: behind, crowding: Number.NaN }
    byTrial.set(trial, fresh)
    for (let moved: ReadonlyArray<Member> = [fresh]; Arr.isReadonlyArrayNonEmpty(moved); at++) {
      const next = blocks[which + 1]
      if (at === block.fronts.length && next !== undefined) {
        block = next
        which++
        at = 0
      }
      const front = block.fronts[at]
      if (front === undefined && rest.length > 0) return drop(moved)
      // everything dominated stays together: the fronts from here on each move down by one
      if (front === undefined || layout.covers(moved, front)) return insert(block, at, moved)
      for (const member of moved) member.front = front
      count(front, moved, 1)
      moved = layout.replace(front, moved)
      count(front, moved, -1)
    }
  }

  /** The number of members in the fronts before one. */
  const before = (front: Front): number => {
    let sum = 0
    for (const block of blocks) {
      if (block === front.block) break
      sum += block.size
    }
    for (const other of front.block.fronts) {
      if (other === front) break
      sum += other.members.size
    }
    return sum
  }
  /** Computes a front's crowding if it is not known; for a long front also its order. */
  const settle = (front: Front) => {
    const { members } = front
    const isLong = layout.keepsOrder && members.size > long
    if (isLong ? front.ranked !== undefined : front.known) return
    layout.crowd(front)
    front.known = !isLong
    if (!isLong) return
    const ranked = Ranked.make(byCrowding)
    for (const member of members) ranked.add(member, member.waiting)
    front.ranked = ranked
  }
  const placeOn = (front: Front, member: Member): number => {
    if (front.ranked !== undefined) return front.ranked.place(member)
    let place = 0
    for (const other of front.members) if (byCrowding(other, member) < 0) place++
    return place
  }
  return {
    add,
    place: (trial, limit) => {
      reach(limit)
      const member = byTrial.get(trial)
      if (member === undefined || member.front === behind) return Math.max(limit, sorted)
      settle(member.front)
      return before(member.front) + placeOn(member.front, member)
    },
    first: (limit) => {
      reach(limit)
      const front = blocks.find((block) => block.waiting > 0)?.fronts.find(({ waiting }) => waiting > 0)
      if (front === undefined) return undefined
      settle(front)
      const found = front.ranked?.first()
      if (found !== undefined) return { trial: found.item.trial, place: before(front) + found.place }
      let best: Member | undefined
      for (const member of front.members) {
        if (member.waiting && (best === undefined || byCrowding(member, best) < 0)) best = member
      }
      return best === undefined ? undefined : { trial: best.trial, place: before(front) + placeOn(front, best) }
    },
    leave: (trial) => {
      const member = byTrial.get(trial)
      if (member === undefined || !member.waiting) return
      member.waiting = false
      member.front.waiting--
      member.front.block.waiting--
      member.front.ranked?.leave(member)
    }
  }
}

/** The parts that depend on the number of objectives. */
interface Layout {
  /** Whether long fronts keep their members ordered by crowding. */
  readonly keepsOrder: boolean
  /** Whether some member dominates a point. */
  readonly dominates: (front: Front, objectives: ReadonlyArray<number>) => boolean
  /** Whether each member is dominated by one of these. */
  readonly covers: (moved: Arr.NonEmptyReadonlyArray<Member>, front: Front) => boolean
  /** Adds members, and removes those that they dominate. Call it only after `covers` with the same members. */
  readonly replace: (front: Front, moved: ReadonlyArray<Member>) => ReadonlyArray<Member>
  /** Computes the crowding of all members. */
  readonly crowd: (front: Front) => void
  /** Members of one front, in the order in which a front keeps them. */
  readonly arranged: (members: Array<Member>) => ReadonlyArray<Member>
}

const forget = (front: Front) => {
  front.ranked = undefined
  front.known = false
}

/** For any number of objectives: looks at all members. */
const heap = (): Layout => {
  let out: Array<Member> = []
  let stay: Array<Member> = []
  return {
    keepsOrder: false,
    dominates: ({ members }, objectives) => {
      for (const member of members) if (Pareto.dominates(member.objectives, objectives)) return true
      return false
    },
    covers: (moved, { members }) => {
      out = []
      stay = []
      for (const member of members) (isDominated(member, moved) ? out : stay).push(member)
      return stay.length === 0
    },
    replace: (front, moved) => {
      front.members = new Sequence([...stay, ...moved])
      forget(front)
      return out
    },
    crowd: (front) => {
      const members = [...front.members].sort((a, b) => a.sequence - b.sequence)
      const crowding = Pareto.crowding(members.map(({ objectives }) => objectives))
      for (const [member, own] of Arr.zip(members, crowding)) member.crowding = own
    },
    arranged: (members) => members
  }
}

const isDominated = (member: Member, by: ReadonlyArray<Member>): boolean =>
  by.some(({ objectives }) => Pareto.dominates(objectives, member.objectives))

const isSame = (a: Member, b: Member): boolean => a.x === b.x && a.y === b.y

/** Members with the same objectives, grouped together. */
const groupsOf = (members: Sequence<Member>): ReadonlyArray<Arr.NonEmptyReadonlyArray<Member>> => {
  const groups: Array<Arr.NonEmptyArray<Member>> = []
  for (const member of members) {
    const group = groups.at(-1)
    if (group !== undefined && isSame(group[0], member)) group.push(member)
    else groups.push([member])
  }
  return groups
}

/** What crowding is measured relative to. */
interface Extent {
  readonly wide: number
  readonly tall: number
}

const extentOf = (members: Sequence<Member>): Extent => {
  const [first, last] = [members.at(0), members.at(members.size - 1)]
  if (first === undefined || last === undefined) return { wide: 0, tall: 0 }
  return { wide: first.x - last.x, tall: last.y - first.y }
}

/** A member's place among those with the same objectives, which are in order of arrival, and the members before and after all of them. */
interface Place {
  readonly isFirst: boolean
  readonly isLast: boolean
  readonly before: Member | undefined
  readonly after: Member | undefined
}

/** The crowding of a member, as defined by `Pareto.crowding`. */
const crowdingOf = (member: Member, { after, before, isFirst, isLast }: Place, { tall, wide }: Extent): number => {
  // in ascending order of the first objective, before and after are swapped
  const [left, right] = [isFirst ? after : member, isLast ? before : member]
  const [below, above] = [isFirst ? before : member, isLast ? after : member]
  if (left === undefined || right === undefined || below === undefined || above === undefined) return Infinity
  const across = wide > 0 ? (right.x - left.x) / wide : 0
  return tall > 0 ? across + (above.y - below.y) / tall : across
}

/** The range of the members that equal the one at an index: from the first up to, but not including, the last. */
const groupAt = (members: Sequence<Member>, at: number, here: Member): readonly [from: number, to: number] => {
  const [left, right] = [members.at(at - 1), members.at(at + 1)]
  if (!(left !== undefined && isSame(left, here)) && !(right !== undefined && isSame(right, here))) return [at, at + 1]
  const from = members.firstOf((other) => other.x <= here.x)
  return [from, members.firstOf((other) => other.x < here.x, from)]
}

const crowdingAt = (members: Sequence<Member>, at: number, here: Member, extent: Extent): number => {
  const [from, to] = groupAt(members, at, here)
  const place = { isFirst: at === from, isLast: at === to - 1, before: members.at(from - 1), after: members.at(to) }
  return crowdingOf(here, place, extent)
}

/** Of the equal members around an index, those whose crowding depends on their neighbours, and one more: the first and the last two. */
const endsAt = (members: Sequence<Member>, at: number): ReadonlyArray<number> => {
  const here = members.at(at)
  if (here === undefined) return []
  const [from, to] = groupAt(members, at, here)
  return [...new Set([from, Math.max(from, to - 2), to - 1])]
}

/** For two objectives. */
const staircase = (): Layout => {
  /** The range dominated by the members that join, or the place where they go if nothing is dominated. */
  let [from, to] = [0, 0]
  return {
    keepsOrder: true,
    dominates: ({ members }, [x = 0, y = 0]) => {
      // among those that are at least as good in the first objective, the last one is the best in the second
      const nearest = members.at(members.firstOf((member) => member.x < x) - 1)
      return nearest !== undefined && (nearest.y > y || (nearest.y === y && nearest.x > x))
    },
    covers: (moved, { members }) => {
      const [first, last] = [moved[0], Arr.lastNonEmpty(moved)]
      from = members.firstOf((member) => member.x <= first.x)
      const twin = members.at(from)
      // behind the members that it equals
      if (twin !== undefined && isSame(twin, first)) from = members.firstOf((member) => member.x < first.x, from)
      to = members.firstOf((member) => member.y > last.y, from)
      return from === 0 && to === members.size
    },
    replace: (front, moved) => {
      const { members, ranked } = front
      front.known = false
      if (ranked === undefined) return members.replace(from, to, moved)
      const extent = extentOf(members)
      // the members on either side have other neighbours afterwards
      const before = endsAt(members, from - 1)
      const after = endsAt(members, to)
      const beside = [...before, ...after].flatMap((at) => members.at(at) ?? [])
      const out = members.replace(from, to, moved)
      const now = extentOf(members)
      if (members.size <= long || now.wide !== extent.wide || now.tall !== extent.tall) {
        forget(front)
        return out
      }
      for (const member of [...beside, ...out]) ranked.remove(member)
      const shift = moved.length - out.length
      for (const at of [...before, ...moved.map((_, i) => from + i), ...after.map((at) => at + shift)]) {
        const member = members.at(at)
        if (member === undefined) continue
        member.crowding = crowdingAt(members, at, member, now)
        ranked.add(member, member.waiting)
      }
      return out
    },
    crowd: ({ members }) => {
      const extent = extentOf(members)
      const groups = groupsOf(members)
      for (const [i, group] of groups.entries()) {
        const [before, after] = [groups[i - 1]?.at(-1), groups[i + 1]?.[0]]
        for (const [at, member] of group.entries()) {
          const place = { isFirst: at === 0, isLast: at === group.length - 1, before, after }
          member.crowding = crowdingOf(member, place, extent)
        }
      }
    },
    arranged: (members) => members.sort((a, b) => b.x - a.x || a.y - b.y || a.sequence - b.sequence)
  }
}
