/** How often each class was predicted as each other. A row is allocated when its class is first seen: a task with very many classes costs nothing until it is evaluated. */

export interface Confusion {
  readonly classes: number
  /** By the true class, then by the predicted one. */
  readonly counts: Map<number, Float64Array>
}

export const make = (classes: number): Confusion => ({ classes, counts: new Map() })

/** Counts an example of class `label` that was predicted as `found`. */
export const add = ({ classes, counts }: Confusion, label: number, found: number): void => {
  const row = counts.get(label) ?? new Float64Array(classes)
  counts.set(label, row)
  row[found] = (row[found] ?? 0) + 1
}

/** One row per class, including those that were never seen. */
export const rows = ({ classes, counts }: Confusion): Array<Array<number>> =>
  Array.from({ length: classes }, (_, label) =>
    Array.from(counts.get(label) ?? { length: classes }, (count: number | undefined) => count ?? 0)
  )

/** |is ∩ found| / |is ∪ found| of every class that occurs or was predicted. */
export const overlaps = ({ classes, counts }: Confusion): Array<number> => {
  const met = [...counts.values()]
  return Array.from({ length: classes }, (_, label) => {
    const taken = met.reduce((sum, row) => sum + (row[label] ?? 0), 0)
    const row = counts.get(label)
    const both = row?.[label] ?? 0
    return { both, union: (row?.reduce((a, b) => a + b, 0) ?? 0) + taken - both }
  }).flatMap(({ both, union }) => (union === 0 ? [] : [both / union]))
}
