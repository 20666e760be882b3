/**
 * How fast UniNet's search space samples, hashes, mutates and stays within a window of MACs, on one core.
 *
 *     node bench/search-space.ts [--rounds 7]
 *
 * Prints Markdown. A figure is calls per second of processor time (of all threads, so it includes the garbage collector's; what else runs
 * on the machine matters little): the median over the rounds, followed by the slowest and fastest. The costs come from the real cost model
 * (`NetworkCosts.forSpace`), which measures every block's graph once.
 */
import { Constrained, Constraint, Prng, Space } from "@uninet/search-space"
import { Architecture, NetworkCosts, UniNetSpace } from "@uninet/uninet"
import { Option, Result } from "effect"
import { cpus } from "node:os"
import { parseArgs } from "node:util"

const { values } = parseArgs({ options: { rounds: { type: "string", default: "7" } } })
const rounds = Number(values.rounds)
const get = Result.getOrThrow

const count = (n: number | bigint) => (typeof n === "bigint" ? n : Math.round(n)).toLocaleString("en-GB")

/** Milliseconds of processor time so far. */
const clock = () => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1000
}

/** Calls per second: median (slowest to fastest) over the rounds, after one round to warm up. */
const rate = (calls: number, call: () => unknown): string => {
  const rates: Array<number> = []
  for (let round = 0; round <= rounds; round++) {
    const start = clock()
    for (let i = 0; i < calls; i++) call()
    if (round > 0) rates.push((1000 * calls) / (clock() - start))
  }
  rates.sort((a, b) => a - b)
  return `${count(rates[rates.length >> 1]!)} (${count(rates[0]!)} to ${count(rates.at(-1)!)})`
}

const timed = <A>(run: () => A): readonly [A, number] => {
  const start = clock()
  const value = run()
  return [value, clock() - start]
}

console.log(
  `Node ${process.version}, ${cpus()[0]?.model ?? "unknown processor"}; processor time of one process, ${rounds} rounds.\n`
)

for (const [name, options] of [
  ["paper: 224 px, 1000 classes", {}],
  ["small: 28 px, 1 channel, 10 classes", { image: 28, channels: 1, classes: 10 }]
] as const) {
  const [space, making] = timed(() => get(UniNetSpace.make(options)))
  const prng = Prng.fromSeed("bench")
  const cost = NetworkCosts.forSpace()
  const macs = (a: Architecture.Architecture) => cost.of(a).macs
  console.log(`## ${name}\n`)
  console.log(
    `${count(Space.size(space))} choices, ${count(Space.distinct(space))} architectures. Made in ${making.toFixed(0)} ms.\n`
  )
  console.log("| per second | median (slowest to fastest) |\n|---|---|")
  console.log(`| sample an architecture | ${rate(50_000, () => Space.sample(prng)(space))} |`)
  console.log(`| sample and hash | ${rate(20_000, () => Architecture.hash(Space.sample(prng)(space)))} |`)
  console.log(`| sample and hash by the space | ${rate(20_000, () => Space.hash(Space.sample(prng)(space))(space))} |`)
  const some = Array.from({ length: 2000 }, () => Space.sample(prng)(space))
  const any = () => some[prng.nextInt(some.length)]!
  console.log(`| tokens of an architecture | ${rate(10_000, () => Space.encode(any())(space))} |`)
  console.log(`| mutate | ${rate(10_000, () => Space.mutate(any(), prng)(space))} |`)
  console.log(`| cross two | ${rate(10_000, () => Space.crossover(any(), any(), prng)(space))} |`)

  const [sorted, measuring] = timed(() =>
    Array.from({ length: 20_000 }, () => macs(Space.sample(prng)(space))).sort((a, b) => a - b)
  )
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]!
  console.log(`| real MACs of an architecture, remembered | ${rate(20_000, () => macs(any()))} |`)
  const [min, max] = [at(0.3), at(0.31)]
  const [within, solving] = timed(() => get(Constrained.make(space, Constraint.bounds({ macs: { min, max } })(cost))))
  const { error, share } = get(Constrained.feasibleShare(prng)(within))
  console.log(
    `| sampleWithin a window of MACs that ${(100 * share).toFixed(2)}% ± ${(100 * error).toFixed(3)}% of the space meets | ${rate(3000, () => get(Constrained.sampleWithin(prng)(within)))} |`
  )
  const rejection = { ...Constraint.bound("macs", macs, { min, max }) }
  const plain = get(Constrained.make(space, [rejection]))
  console.log(`| the same by rejection | ${rate(100, () => get(Constrained.sampleWithin(prng)(plain)))} |`)
  const rare = get(Constrained.make(space, Constraint.bounds({ macs: { max: at(0.00005) } })(cost)))
  const small = get(Constrained.feasibleShare(prng)(rare))
  console.log(
    `| sampleWithin a bound that ${small.share.toExponential(1)} of the space meets | ${rate(3000, () => get(Constrained.sampleWithin(prng)(rare)))} |`
  )
  const episode = () => {
    const tokens: Array<number> = []
    for (;;) {
      const step = Option.getOrUndefined(get(Constrained.next(tokens)(within)))
      if (step === undefined) return tokens
      const allowed = step.mask.flatMap((ok, option) => (ok ? [option] : []))
      tokens.push(allowed[prng.nextInt(allowed.length)]!)
    }
  }
  console.log(`| an episode of ${space.sites.length} masked tokens in the window | ${rate(100, episode)} |`)
  console.log(
    `\nReal costs of the first 20,000 architectures: ${(measuring / 1000).toFixed(1)} s. Working out the window: ${(solving / 1000).toFixed(1)} s.`
  )
  console.log(
    `MACs of a random architecture, millions: ${[0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999].map((q) => `${100 * q}% ${(at(q) / 1e6).toFixed(1)}`).join(", ")}.\n`
  )
}
