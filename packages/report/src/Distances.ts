/** How different networks are: the share of choices in which they differ. */
import { type Column, number } from "./Table.ts"

/** For every two rows. A choice that only one of them has counts as a difference; one that neither has does not count. */
export const of = (
  rows: ReadonlyArray<number>,
  choices: ReadonlyArray<Column>
): ReadonlyArray<ReadonlyArray<number>> => {
  const values = rows.map((row) => choices.map((choice) => number(row)(choice)))
  return values.map((a) =>
    values.map((b) => {
      let [all, different] = [0, 0]
      for (const [i, own] of a.entries()) {
        const other = b[i] ?? NaN
        if (Number.isNaN(own) && Number.isNaN(other)) continue
        all++
        if (own !== other) different++
      }
      return all === 0 ? 0 : different / all
    })
  )
}
