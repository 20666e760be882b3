/**
 * A row of five blocks with costs along it. The position gives each block a base width and depth, which the choices scale and shift. The space is large, rounding and clipping map several
 * choices to the same value, and a block's cost depends on the block before. It resembles a space of networks, in pure algebra.
 */
import { Choice, Cost, Space } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

export const Block = Schema.Struct({
  op: Schema.String,
  expansion: Schema.Int,
  width: Schema.Int,
  repeats: Schema.Int
})
export type Block = typeof Block.Type
export type Row = ReadonlyArray<Block>

/** The multiplications per input and output at one position of a block, by operator. */
const work: Readonly<Record<string, number>> = { plain: 1, dense: 9, wide: 4, cross: 6, none: 0 }

/** The blocks' base widths and depths, and the number of positions that each block processes. */
const places = [
  { width: 8, repeats: 2, positions: 196 },
  { width: 16, repeats: 2, positions: 49 },
  { width: 24, repeats: 1, positions: 16 },
  { width: 24, repeats: 3, positions: 16 },
  { width: 32, repeats: 1, positions: 4 }
]

const at = ({ repeats, width }: (typeof places)[number]) =>
  Choice.struct({
    op: Choice.categorical(["plain", "dense", "wide", "cross", "none"], { seed: "dense" }),
    expansion: Choice.ordered([2, 3, 4, 5, 6], { seed: 4 }),
    width: Choice.ordered([0.5, 0.75, 1, 1.25, 1.5], { seed: 1 }),
    depth: Choice.ordered([-2, -1, 0, 1, 2], { seed: 0 })
  }).pipe(
    Choice.quotient({
      schema: Block,
      to: (chosen) => ({
        op: chosen.op,
        expansion: chosen.expansion,
        width: Math.max(8, 8 * Math.round((width * chosen.width) / 8)),
        repeats: Math.max(1, repeats + chosen.depth)
      })
    })
  )

/** 625⁵ combinations of choices, but fewer values. */
export const rows: Space.Space<Row> = Result.getOrThrow(Space.make(Choice.tuple(places.map(at))))

type Costs = Cost.Costs<"macs" | "parameters">

const before = { macs: 10_000, parameters: 100 }

const block = (row: Row, index: number, entry: Cost.Entry): Costs => {
  const { expansion, op, repeats, width } = row[index]!
  const parameters = Number(entry) * width + repeats * (2 * expansion * width + work[op]! * width ** 2)
  return { macs: places[index]!.positions * parameters, parameters }
}

const after = (entry: Cost.Entry): Costs => ({ macs: 10 * Number(entry), parameters: 10 * Number(entry) })

export const cost: Cost.Cost<Row, "macs" | "parameters"> = {
  of: (row) => {
    const { costs, exit } = row.reduce(
      ({ costs, exit }, { width }, i) => ({ costs: Cost.plus(costs, block(row, i, exit)), exit: width }),
      { costs: before as Costs, exit: 8 }
    )
    return Cost.plus(costs, after(exit))
  },
  chain: {
    start: () => ({ costs: before, exit: 8 }),
    part: (row, index, entry) => ({ costs: block(row, index, entry), exit: row[index]!.width }),
    end: (_, entry) => after(entry)
  }
}
