/**
 * Threads that go through the stretches of a phase together. They share a few words of memory: a free thread takes the next stretch. Which thread that is makes no difference to the
 * result, so a team of any size computes the same bits.
 */

/** The words of the team, by index. */
const words = { turn: 0, table: 1, count: 2, next: 3, done: 4, asleep: 5, failed: 6, over: 7 } as const

/** Size of these words in bytes. */
export const bytes = 4 * Object.keys(words).length

/** The words for the next stretch and for the count hold the phase's number above this many bits. */
const phaseBits = 12
const stretchOf = (word: number) => word & ((1 << phaseBits) - 1)
const phaseOf = (word: number) => word >>> phaseBits

/** How often a thread checks a word before it goes to sleep; this takes a few tens of microseconds. */
const patience = 20_000

export interface Team {
  /** The memory as words, including the team's. */
  readonly memory: Int32Array
  /** Where the team's words are, in words. */
  readonly at: number
  /** Runs the calls between two addresses. */
  readonly run: (from: number, to: number) => void
}

/** Takes stretches until none is left. */
const work = ({ at, memory, run }: Team) => {
  for (;;) {
    const next = Atomics.add(memory, at + words.next, 1)
    const count = Atomics.load(memory, at + words.count)
    const stretch = stretchOf(next)
    // A phase without stretches left may already be over, and the count may be another phase's, in which another thread takes the stretch with this number.
    if (phaseOf(next) !== phaseOf(count) || stretch >= stretchOf(count)) return
    const pair = Atomics.load(memory, at + words.table) / 4 + 2 * stretch
    try {
      run(Atomics.load(memory, pair), Atomics.load(memory, pair + 1))
    } catch (error) {
      Atomics.store(memory, at + words.failed, 1)
      throw error
    } finally {
      Atomics.add(memory, at + words.done, 1)
      Atomics.notify(memory, at + words.done)
    }
  }
}

/** Waits until a word has changed. */
const changed = (memory: Int32Array, at: number, from: number): void => {
  for (let i = 0; i < patience; i++) if (Atomics.load(memory, at) !== from) return
  while (Atomics.load(memory, at) === from) Atomics.wait(memory, at, from)
}

/** Runs a phase with the help of the others: `count` stretches whose ends are in `table`. */
export const lead = (team: Team, table: number, count: number): void => {
  const { at, memory } = team
  const phase = (phaseOf(Atomics.load(memory, at + words.next)) + 1) << phaseBits
  Atomics.store(memory, at + words.count, phase | count)
  Atomics.store(memory, at + words.table, table)
  Atomics.store(memory, at + words.done, 0)
  Atomics.store(memory, at + words.next, phase)
  Atomics.add(memory, at + words.turn, 1)
  if (Atomics.load(memory, at + words.asleep) > 0) Atomics.notify(memory, at + words.turn)
  work(team)
  for (;;) {
    const done = Atomics.load(memory, at + words.done)
    if (done === count) break
    changed(memory, at + words.done, done)
  }
  if (Atomics.load(memory, at + words.failed) !== 0) throw new Error("a thread has failed")
}

/** Helps with every phase until the team is dissolved. */
export const help = (team: Team): void => {
  const { at, memory } = team
  let turn = 0
  for (;;) {
    Atomics.add(memory, at + words.asleep, 1)
    changed(memory, at + words.turn, turn)
    Atomics.sub(memory, at + words.asleep, 1)
    turn = Atomics.load(memory, at + words.turn)
    if (Atomics.load(memory, at + words.over) !== 0) return
    work(team)
  }
}

/** Dismisses the other threads. */
export const end = ({ at, memory }: Pick<Team, "memory" | "at">): void => {
  Atomics.store(memory, at + words.over, 1)
  Atomics.add(memory, at + words.turn, 1)
  Atomics.notify(memory, at + words.turn)
}
