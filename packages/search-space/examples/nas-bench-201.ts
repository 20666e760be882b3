/**
 * NAS-Bench-201's cell space (Dong and Yang, 2020): a cell has four nodes, and every earlier node feeds every later one through one
 * of five operations. That makes 5⁶ = 15,625 cells, many of which compute the same function: a skip connection passes on its input, and an operation
 * on nothing gives nothing. `quotient` merges such cells into one point, by the rule with which the benchmark's authors count unique topologies.
 *
 *     node examples/nas-bench-201.ts
 */
import { Choice, Prng, Space } from "@uninet/search-space"
import { Result, Schema } from "effect"

const operation = Choice.categorical(["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"], {
  seed: "nor_conv_3x3"
})

const edges = Choice.struct({
  "0→1": operation,
  "0→2": operation,
  "1→2": operation,
  "0→3": operation,
  "1→3": operation,
  "2→3": operation
})

/** All cells, with nothing merged. */
export const cells = Result.getOrThrow(Space.make(edges))

/** The input of the cell's last node, as text that is the same for equal computations; `#` if there is none. */
const topology = (cell: Readonly<Record<string, string>>): string => {
  const nodes = ["0"]
  for (let to = 1; to <= 3; to++) {
    const inputs = nodes.map((input, from) => {
      const op = cell[`${from}→${to}`]
      if (op === "none" || input === "#") return "#"
      return op === "skip_connect" ? input : `(${input})@${op}`
    })
    nodes.push(inputs.toSorted().join("+"))
  }
  return nodes[3]!
}

/** The cells up to topology: every computation counts once. */
export const topologies = Result.getOrThrow(
  Space.make(
    edges.pipe(
      Choice.quotient({
        schema: Schema.Struct({ topology: Schema.String }),
        to: (cell) => ({ topology: topology(cell) })
      })
    )
  )
)

if (import.meta.main) {
  console.log(`${Space.size(topologies)} cells, ${Space.distinct(topologies)} topologies`)
  console.log(Space.print(cells))
  const prng = Prng.fromSeed("demo")
  const cell = Space.sample(prng)(cells)
  console.log("a cell:", cell)
  console.log("one choice away:", Result.getOrThrow(Space.mutate(cell, prng)(cells)))
}
