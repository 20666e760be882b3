/** What a page needs for its own search: a space, a graph, evolution and TPE. Bundled by `tools/bundle.ts`. */
import { RegularizedEvolution, Told, Tpe } from "@uninet/controller"
import { Costs, gradient, Op, Program, type Tensor } from "@uninet/graph"
import { Choice, Prng, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

const network = Choice.struct({
  depth: Choice.integer({ min: 1, max: 8 }),
  operator: Choice.categorical(["conv", "attention"]),
  rate: Choice.logUniform({ min: 1e-4, max: 0.1 })
})

/** The multiply-accumulates of this many products, and of their gradients. */
const costOf = (depth: number): number => {
  const weight = Op.variable(
    { name: "weight", role: "parameter", initialiser: { kind: "constant", value: 1 }, decay: true },
    [8, 8]
  )
  const y = Array.from({ length: depth }).reduce<Tensor.Tensor>((x) => Op.matmul(x, weight), Op.input("x", [1, 8]))
  const [slope = Op.fill(0)] = gradient(Op.mean(y), [weight])
  return Costs.ofProgram(Result.getOrThrow(Program.make({ outputs: { y, slope } }))).macs
}

const search = Effect.gen(function* () {
  const space = yield* Effect.fromResult(Space.make(network))
  const strategies = [
    yield* RegularizedEvolution.make(space, {}, Prng.fromSeed("evolution")),
    yield* Tpe.make(space, {}, Prng.fromSeed("tpe"))
  ]
  for (const strategy of strategies) {
    const proposals = yield* strategy.ask(8)
    yield* strategy.tell(proposals.map(({ trial, value }) => Told.scored(trial, -costOf(value.depth))))
  }
})

export const found = Effect.runPromise(search)
