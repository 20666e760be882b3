/** How often which class was taken for which. A row is made when its class is first met: a task of very many classes costs nothing until it is evaluated. */

export interface Confusion {
  readonly classes: number
  /** By the true class, then by the one that was found. */
  readonly counts: Map<number, Float64Array>
}

export const make = (classes: number): Confusion => ({ classes, counts: new Map() })

/** An example of class `label` that was taken for `found`. */
export const add = ({ classes, counts }: Confusion, label: number, found: number): void => {
  const row = counts.get(label) ?? new Float64Array(classes)
  counts.set(label, row)
  row[found] = (row[found] ?? 0) + 1
}

/** One row a class, the classes that were not met among them. */
export const rows = ({ classes, counts }: Confusion): Array<Array<number>> =>
  Array.from({ length: classes }, (_, label) =>
    Array.from(counts.get(label) ?? { length: classes }, (count: number | undefined) => count ?? 0)
  )

/** |is ∩ found| / |is ∪ found| of every class that is there or was found. */
export const overlaps = ({ classes, counts }: Confusion): Array<number> => {
  const met = [...counts.values()]
  return Array.from({ length: classes }, (_, label) => {
    const taken = met.reduce((sum, row) => sum + (row[label] ?? 0), 0)
    const row = counts.get(label)
    const both = row?.[label] ?? 0
    return { both, union: (row?.reduce((a, b) => a + b, 0) ?? 0) + taken - both }
  }).flatMap(({ both, union }) => (union === 0 ? [] : [both / union]))
}
