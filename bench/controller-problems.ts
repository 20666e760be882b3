/**
 * Problems for choosing the strategies' defaults, so that they are not fitted to a single table:
 *
 * - `cell-N`: tables like those of cell-based benchmarks: six edges of a four-node cell, each with one of five operations. A cell's worth
 *   depends on its paths (edges interact), on random effects of single choices and pairs, and saturates; what the search sees is noisy.
 * - `rough-N`: the same with stronger effects of pairs, and a larger part that is individual to each cell.
 * - `dag-N`: the same form, with known properties of real cells: a cell is worth what the convolutions on its open paths contribute, in
 *   depth and in number. A path without any (a residual) is worth much, but only next to convolutions, and may be in three places, of which
 *   one is enough. Pooling and closed paths cost. Returns diminish, so that most cells are within a few points and the best within tenths.
 * - `chain-N`: eight layers of three operations with random effects of singles, neighbours and triples.
 * - `uninet-N`: UniNet's own space for small images with a synthetic accuracy: operators and modules that suit stages and each other,
 *   diminishing returns of width, depth and expansion, and a price on them.
 *
 * N is the seed of the random effects.
 */
import { type Benchmark, Table } from "@uninet/controller"
import { Choice, Prng, Site, Space } from "@uninet/search-space"
import { UniNetSpace } from "@uninet/uninet"
import * as Result from "effect/Result"

const all = (counts: ReadonlyArray<number>): ReadonlyArray<ReadonlyArray<number>> =>
  counts.reduce<ReadonlyArray<ReadonlyArray<number>>>(
    (rows, count) => rows.flatMap((row) => Array.from({ length: count }, (_, i) => [...row, i])),
    [[]]
  )

const table = (
  name: string,
  counts: ReadonlyArray<number>,
  rows: ReadonlyArray<readonly [ReadonlyArray<number>, number, number]>
) =>
  Result.getOrThrow(
    Table.fromJson({
      name,
      choices: counts.map((count, i) => ({
        name: `c${i}`,
        options: Array.from({ length: count }, (_, o) => `o${o}`)
      })),
      columns: ["choice", "search", "report"],
      rows
    })
  )

/** Effects drawn once for each key. */
const effects = (prng: Prng.Prng) => {
  const known = new Map<string, number>()
  return (key: string) => {
    let value = known.get(key)
    if (value === undefined) known.set(key, (value = prng.split(key).nextNormal()))
    return value
  }
}

const cell = (seed: number, rough = false) => {
  const prng = Prng.fromSeed(`cell ${seed}`)
  const effect = effects(prng)
  const noise = prng.split("noise")
  // none, skip, 1×1, 3×3, pooling
  const flow = [0, 1, 1, 1, 0.8]
  const depth = [0, 0.05, 0.6, 1, 0.2]
  // edges 0→1, 0→2, 1→2, 0→3, 1→3, 2→3
  const paths = [[3], [0, 4], [1, 5], [0, 2, 5]]
  const counts = [5, 5, 5, 5, 5, 5]
  return table(
    `${rough ? "rough" : "cell"}-${seed}`,
    counts,
    all(counts).map((ops) => {
      let work = 0
      let open = 0
      let shallow = 0
      for (const path of paths) {
        let through = 1
        let deep = 0
        for (const edge of path) {
          through *= flow[ops[edge]!]!
          deep += depth[ops[edge]!]!
        }
        work += through * deep ** 0.8
        open += through
        if (through > 0 && deep < 0.2) shallow = 1
      }
      let chance = 0
      for (let i = 0; i < 6; i++) {
        chance += 0.2 * effect(`${i}:${ops[i]}`)
        for (let j = i + 1; j < 6; j++) chance += (rough ? 0.4 : 0.25) * effect(`${i}:${ops[i]} ${j}:${ops[j]}`)
      }
      const latent = work + 0.3 * shallow + 0.6 * chance
      // and an individual part that follows from nothing else
      const own = (rough ? 0.12 : 0.06) * noise.nextNormal()
      const report = open === 0 ? 10 : 94.5 - 5 * Math.exp(-0.45 * Math.max(-2, latent)) + own
      return [ops, report + 0.06 * noise.nextNormal(), report] as const
    })
  )
}

const dag = (seed: number) => {
  const prng = Prng.fromSeed(`dag ${seed}`)
  const effect = effects(prng)
  const noise = prng.split("noise")
  const about = (value: number, key: string) => value * (1 + 0.2 * effect(key))
  const [none, skip, pool] = [0, 1, 4]
  const work = [0, 0, about(0.65, "1×1"), 1, 0]
  const [residual, depth, width, pooled, closed] = [
    about(1.2, "residual"),
    about(1.6, "depth"),
    about(1.1, "width"),
    about(0.45, "pooled"),
    about(0.3, "closed")
  ]
  const paths = [[3], [0, 4], [1, 5], [0, 2, 5]]
  const counts = [5, 5, 5, 5, 5, 5]
  return table(
    `dag-${seed}`,
    counts,
    all(counts).map((ops) => {
      const open = paths.filter((path) => path.every((edge) => ops[edge] !== none))
      const deep = open.map((path) => path.reduce((sum, edge) => sum + work[ops[edge]!]!, 0))
      const plain = open.some((path) => path.every((edge) => ops[edge] === skip))
      const pools = new Set(open.flat().filter((edge) => ops[edge] === pool)).size
      const most = Math.max(0, ...deep)
      let latent = depth * Math.sqrt(most) + width * Math.log(1 + deep.reduce((sum, d) => sum + d, 0))
      latent += residual * (plain ? Math.min(1, most) : 0) - pooled * pools - closed * (paths.length - open.length)
      for (let i = 0; i < 6; i++) latent += 0.08 * effect(`${i}:${ops[i]}`)
      const own = 0.08 * noise.nextNormal()
      const report = open.length === 0 ? 10 : 94.8 - 9 * Math.exp(-0.55 * Math.max(-2, latent)) + own
      return [ops, report + 0.08 * noise.nextNormal(), report] as const
    })
  )
}

const chain = (seed: number) => {
  const prng = Prng.fromSeed(`chain ${seed}`)
  const effect = effects(prng)
  const noise = prng.split("noise")
  const counts = Array.from({ length: 8 }, () => 3)
  return table(
    `chain-${seed}`,
    counts,
    all(counts).map((ops) => {
      let latent = 0
      for (let i = 0; i < 8; i++) {
        latent += 0.5 * (ops[i]! - 1) + 0.5 * effect(`${i}:${ops[i]}`)
        if (i > 0) latent += 0.35 * effect(`${i}:${ops[i]},${ops[i - 1]}`)
        if (i > 1) latent += 0.15 * effect(`${i}:${ops[i]},${ops[i - 1]},${ops[i - 2]}`)
      }
      const report = 93.2 - 2 * Math.exp(-0.3 * latent)
      return [ops, report + 0.05 * noise.nextNormal(), report] as const
    })
  )
}

const uninet = (seed: number): Benchmark.Problem<ReadonlyArray<unknown>> => {
  const prng = Prng.fromSeed(`uninet ${seed}`)
  const effect = effects(prng)
  const space = Result.getOrThrow(
    Space.make(
      Choice.tuple(
        Array.from({ length: 5 }, () =>
          Choice.struct({
            operator: Choice.categorical(UniNetSpace.paper.operators),
            dsm: Choice.categorical(UniNetSpace.paper.dsms),
            expansion: Choice.ordered(UniNetSpace.paper.expansions, { seed: 4 }),
            width: Choice.ordered(UniNetSpace.paper.widths, { seed: 1 }),
            depth: Choice.ordered(UniNetSpace.paper.depths, { seed: 0 })
          })
        )
      )
    )
  )
  const { sites } = space
  const report = (tokens: Space.Tokens) => {
    let quality = 0
    let cost = 0
    for (let stage = 0; stage < 5; stage++) {
      const [operator, dsm, expansion, width, depth] = sites
        .slice(5 * stage, 5 * stage + 5)
        .map(({ index }) => tokens[index] ?? Site.absent)
      const before = stage === 0 ? -1 : tokens[5 * stage - 5]!
      quality += 0.6 * effect(`operator ${stage} ${operator}`) + 0.3 * effect(`dsm ${stage} ${dsm}`)
      quality += 0.3 * effect(`pair ${operator} ${dsm}`) + 0.3 * effect(`after ${before} ${operator}`)
      const size = (expansion! + 2) * (0.5 + 0.25 * width!) ** 2 * (depth! + 1)
      const appetite = 1 + 0.3 * effect(`size ${stage} ${operator}`)
      quality += 0.5 * appetite * Math.log(size)
      cost += size * (1 + 0.2 * stage)
    }
    return 80 - 12 * Math.exp(-0.25 * (quality - 4)) - 4 * Math.max(0, Math.log(cost / 60))
  }
  // noise that belongs to the network, not to the order in which networks are tried
  const search = (tokens: Space.Tokens) => report(tokens) + 0.2 * effect(`noise ${tokens.join()}`)
  return { name: `uninet-${seed}`, space, search, report, optimum: NaN }
}

const kinds = new Map<string, (seed: number) => Benchmark.Problem<ReadonlyArray<unknown>>>([
  ["cell", (seed) => cell(seed)],
  ["rough", (seed) => cell(seed, true)],
  ["dag", dag],
  ["chain", chain],
  ["uninet", uninet]
])

/** A synthetic problem by name, such as `cell-1`; undefined for an unknown name. */
export const synthetic = (name: string): Benchmark.Problem<ReadonlyArray<unknown>> | undefined => {
  const [kind, number] = name.split("-")
  const make = kinds.get(kind ?? "")
  return make === undefined || number === undefined ? undefined : make(Number(number))
}
