/**
 * Who has gone silent, told from counts that the living keep raising and from this process's own steady clock: no clock of another machine is asked, so one
 * that is set back or forward changes nothing.
 */

/** What has been heard of one: its last count, since when by the own clock (ms), and whether it was ever seen to change. */
interface Heard<A> {
  readonly last: A
  readonly since: number
  readonly moved: boolean
}

export interface Pulse<A> {
  readonly heard: ReadonlyMap<string, Heard<A>>
  /** When there was something to hear last (ms). */
  readonly at: number
}

/** Nothing has been heard yet, or contact was lost: silence counts from now on. */
export const none: Pulse<never> = { heard: new Map(), at: Number.NEGATIVE_INFINITY }

/** Takes in the counts of all who are there now. After a break that is longer (ms) nobody's silence says anything: it was this process that heard nothing. */
export const hear =
  <A extends { readonly beat: number }>(
    now: number,
    rows: Iterable<readonly [id: string, row: A]>,
    longestBreak = 4000
  ) =>
  (pulse: Pulse<A>): Pulse<A> => {
    const before = now - pulse.at > longestBreak ? none.heard : pulse.heard
    const heard = new Map<string, Heard<A>>()
    for (const [id, last] of rows) {
      const known = before.get(id)
      heard.set(
        id,
        known === undefined
          ? { last, since: now, moved: false }
          : known.last.beat === last.beat
            ? { ...known, last }
            : { last, since: now, moved: true }
      )
    }
    return { heard, at: now }
  }

/** Those whose count has not changed for so long (seconds). */
export const silent =
  (seconds: number) =>
  <A>({ at, heard }: Pulse<A>): ReadonlyArray<A> =>
    [...heard.values()].filter(({ since }) => at - since >= 1000 * seconds).map(({ last }) => last)

/** Those that were seen to be alive, or say that they were a moment ago, and have not been silent for so long (seconds). */
export const living =
  (seconds: number) =>
  <A extends { readonly fresh: boolean }>({ at, heard }: Pulse<A>): ReadonlyArray<A> =>
    [...heard.values()]
      .filter(({ last, moved, since }) => (moved || last.fresh) && at - since < 1000 * seconds)
      .map(({ last }) => last)
