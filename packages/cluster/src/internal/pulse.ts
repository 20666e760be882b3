/**
 * Detects who has gone silent, from counts that active processes keep raising and from this process's own monotonic clock. No other
 * machine's clock is used, so setting one back or forward changes nothing.
 */

/** What has been heard of one process: its last count, since when by this process's clock (ms), and whether it was ever seen to change. */
interface Heard<A> {
  readonly last: A
  readonly since: number
  readonly moved: boolean
}

export interface Pulse<A> {
  readonly heard: ReadonlyMap<string, Heard<A>>
  /** When anything was last heard (ms). */
  readonly at: number
}

/** Nothing has been heard yet, or contact was lost: silence counts from now on. */
export const none: Pulse<never> = { heard: new Map(), at: Number.NEGATIVE_INFINITY }

/** Records the counts of everyone who is there now. After a longer break than this (ms), silence means nothing: it was this process that heard nothing. */
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

/** Those whose count has not changed for this long (seconds). */
export const silent =
  (seconds: number) =>
  <A>({ at, heard }: Pulse<A>): ReadonlyArray<A> =>
    [...heard.values()].filter(({ since }) => at - since >= 1000 * seconds).map(({ last }) => last)

/** Those that were seen to be active, or say that they were a moment ago, and have not been silent for this long (seconds). */
export const living =
  (seconds: number) =>
  <A extends { readonly fresh: boolean }>({ at, heard }: Pulse<A>): ReadonlyArray<A> =>
    [...heard.values()]
      .filter(({ last, moved, since }) => (moved || last.fresh) && at - since < 1000 * seconds)
      .map(({ last }) => last)
