/** What `OnnxRuntime.cpu` makes of a program, stage by stage, and where its time goes. */
import { CompileFailed, type Data, type RunFailed, Updates } from "@uninet/engine"
import { type GraphError, Op, Program, Shape, Tensor } from "@uninet/graph"
import { type CostModel, Explain } from "@uninet/onnx"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { optionsOf } from "./internal/session.ts"
import * as Profile from "./Profile.ts"

/** How a program is explained. */
export interface Options {
  /** By which times are predicted. */
  readonly costs: CostModel.CostModel
  /** Block of the processor's blocked convolutions, 16 with AVX-512, 8 with AVX2, 0 for standard operators only. */
  readonly block: number
}

/**
 * Every stage of a program's compilation, of the part of it that is a graph: the optimiser runs outside it.
 *
 * Fails where that part does not check.
 */
export const explain =
  ({ block, costs }: Options) =>
  (program: Program.Program): Result.Result<Explain.Explained, GraphError> =>
    Result.map(Updates.insideOf(Updates.outsideOf(program))(program), (inside) =>
      Explain.explain(costs, optionsOf(inside, block))(inside)
    )

/** What the ops of a kind took. */
export interface Measured {
  readonly kind: string
  /** Milliseconds of a run, and by the plain form of everything. */
  readonly milliseconds: number
  /** Milliseconds of the plain form. */
  readonly plain: number
  /** Milliseconds. */
  readonly predicted: number
  /** Multiply-accumulates of a run. */
  readonly macs: number
  /** Read and written in a run. */
  readonly bytes: number
}

/** What this machine reaches, one thread: products in multiply-accumulates, and bytes that are read and written, of a millisecond. */
export interface Limits {
  /** Multiply-accumulates of a millisecond. */
  readonly macs: number
  /** Bytes of a millisecond. */
  readonly bytes: number
}

/** A program explained, and measured. */
export interface Measurement {
  readonly explained: Explain.Explained
  readonly kinds: ReadonlyArray<Measured>
  /** Milliseconds of a run by the clock, while nothing is profiled. */
  readonly wall: number
  /** Milliseconds of a run by the plain form of everything. */
  readonly wallOfPlain: number
  readonly limits: Limits
}

/** Small enough that products of many stay finite, and none of them is subnormal. */
const filled = (size: number) => Float32Array.from({ length: size }, (_, i) => ((i * 37) % 101) / 500 + 0.01)

/** Made-up values of inputs and variables. */
const valuesOf = ({ inputs, variables }: Program.Program): Readonly<Record<string, Data>> =>
  Object.fromEntries(
    [...inputs, ...variables].map(({ attributes: { name }, dtype, shape }) => [
      name,
      dtype === "int32" ? new Int32Array(Shape.size(shape)) : filled(Shape.size(shape))
    ])
  )

const one = (y: Tensor.Tensor) => Program.make({ outputs: { y } })

const limitsOf = Effect.gen(function* () {
  const n = 512
  const square = (name: string) => Op.input(name, [n, n])
  const product = yield* Effect.fromResult(one(Op.matmul(square("a"), square("b"))))
  const sum = yield* Effect.fromResult(one(Op.add(square("a"), square("b"))))
  const best = Effect.fnUntraced(function* (program: Program.Program) {
    const profile = yield* Profile.make(program, valuesOf(program), { formulation: "standard" })
    const { fused, operators } = yield* profile(9)
    return operators.reduce((total, { milliseconds }) => total + milliseconds, fused)
  })
  return { macs: n ** 3 / (yield* best(product)), bytes: (12 * n * n) / (yield* best(sum)) }
})

/** Milliseconds by kind of op. */
const byKind = ({ fused, operators }: Profile.Profile): ReadonlyMap<string, number> => {
  const sums = new Map<string, number>()
  const add = (kind: string, ms: number) => sums.set(kind, (sums.get(kind) ?? 0) + ms)
  for (const { milliseconds, node } of operators) add(node?.kind ?? copies, milliseconds)
  if (fused > 0) add(joined, fused)
  return sums
}

/** The same with milliseconds of every kind of op beside the plain form's, and what this machine reaches. Runs on made-up numbers, one thread. */
export const measure =
  (options: Options, runs = 5) =>
  (program: Program.Program): Effect.Effect<Measurement, CompileFailed | RunFailed | GraphError> =>
    Effect.gen(function* () {
      const explained = yield* Effect.fromResult(explain(options)(program))
      const values = valuesOf(program)
      const own = yield* Profile.make(program, values, { formulation: options.block === 0 ? "standard" : "blocked" })
      const blocked = yield* own(runs)
      const plain = yield* Profile.make(program, values, { formulation: "standard" })
      const standard = yield* plain(runs)
      const [ours, theirs] = [byKind(blocked), byKind(standard)]
      const rows = Map.groupBy(explained.nodes, ({ kind }): string => kind)
      const kinds = [...new Set([...ours.keys(), ...theirs.keys()])].map((kind): Measured => {
        const nodes = rows.get(kind) ?? []
        const total = (of: "macs" | "bytes" | "predicted") => nodes.reduce((sum, node) => sum + node[of], 0)
        return {
          kind,
          milliseconds: ours.get(kind) ?? 0,
          plain: theirs.get(kind) ?? 0,
          predicted: total("predicted") / 1e6,
          macs: total("macs"),
          bytes: total("bytes")
        }
      })
      return {
        explained,
        kinds: kinds.toSorted((a, b) => b.milliseconds - a.milliseconds),
        wall: blocked.wall,
        wallOfPlain: standard.wall,
        limits: yield* limitsOf
      }
    }).pipe(Effect.scoped)

const copies = "copies to outputs"

/** Operators that ONNX Runtime's optimiser made of several: it no longer says of which. */
const joined = "joined by ONNX Runtime"
