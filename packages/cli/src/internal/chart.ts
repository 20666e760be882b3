/** A small chart for a terminal: how the best result has grown, trial by trial. */

const eighths = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]

const label = (value: number) => String(Number(value.toPrecision(4)))

/** Values spread over this many columns: the last of those that fall into each. */
const spread = (values: ReadonlyArray<number>, columns: number): ReadonlyArray<number> =>
  values.length <= columns
    ? values
    : Array.from({ length: columns }, (_, c) => values[Math.ceil(((c + 1) * values.length) / columns) - 1] ?? 0)

/**
 * The lines of a chart of values that only rise, labelled with the largest and smallest value at the side and the number of values below;
 * none if there are fewer than two values, or no room.
 */
export const lines = (values: ReadonlyArray<number>, columns: number, rows = 5): ReadonlyArray<string> => {
  const [low, high] = [values[0] ?? 0, values.at(-1) ?? 0]
  const [top, bottom] = [label(high), label(low)]
  const margin = Math.max(top.length, bottom.length)
  const room = Math.min(60, columns - margin - 2)
  if (values.length < 2 || room < 20 || !(high > low)) return []
  const heights = spread(values, room).map((value) => 1 + Math.round(((value - low) / (high - low)) * (8 * rows - 1)))
  const drawn = Array.from({ length: rows }, (_, r) =>
    heights.map((height) => eighths[Math.max(0, Math.min(8, height - 8 * (rows - 1 - r)))] ?? " ").join("")
  )
  return drawn.map((line, r) => `${(r === 0 ? top : r === rows - 1 ? bottom : "").padStart(margin)} ${line}`.trimEnd())
}
