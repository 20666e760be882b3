/** What `OnnxRuntime.cpu` makes of a program, stage by stage, and where its time goes. */
import { CompileFailed, type Data, type RunFailed, Updates } from "@uninet/engine"
import { type GraphError, Op, Program, Shape, Tensor } from "@uninet/graph"
import { type CostModel, Explain } from "@uninet/onnx"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { optionsOf } from "./internal/session.ts"
import * as Profile from "./Profile.ts"

/** Options for explaining a program. */
export interface Options {
  /** The cost model that predicts times. */
  readonly costs: CostModel.CostModel
  /** Block size of the CPU's blocked convolutions: 16 with AVX-512, 8 with AVX2, 0 for standard operators only. */
  readonly block: number
}

/**
 * Every stage of a program's compilation, for the part of it that is a graph: the optimiser runs outside it.
 *
 * Fails if that part does not check.
 */
export const explain =
  ({ block, costs }: Options) =>
  (program: Program.Program): Result.Result<Explain.Explained, GraphError> =>
    Result.map(Updates.insideOf(Updates.outsideOf(program))(program), (inside) =>
      Explain.explain(costs, optionsOf(inside, block))(inside)
    )

/** Measurements for the ops of one kind. */
export interface Measured {
  readonly kind: string
  /** Milliseconds per run. */
  readonly milliseconds: number
  /** Milliseconds per run with everything in the plain form. */
  readonly plain: number
  /** Predicted milliseconds. */
  readonly predicted: number
  /** Multiply-accumulates per run. */
  readonly macs: number
  /** Bytes read and written per run. */
  readonly bytes: number
}

/** What one thread achieves on this machine: multiply-accumulates of products, and bytes read and written, per millisecond. */
export interface Limits {
  /** Multiply-accumulates per millisecond. */
  readonly macs: number
  /** Bytes per millisecond. */
  readonly bytes: number
}

/** A program's explanation with measurements. */
export interface Measurement {
  readonly explained: Explain.Explained
  readonly kinds: ReadonlyArray<Measured>
  /** Milliseconds per run by the wall clock, without profiling. */
  readonly wall: number
  /** The same with everything in the plain form. */
  readonly wallOfPlain: number
  readonly limits: Limits
}

/** Small enough that products of many stay finite, but never subnormal. */
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

/** Milliseconds, by kind of op. */
const byKind = ({ fused, operators }: Profile.Profile): ReadonlyMap<string, number> => {
  const sums = new Map<string, number>()
  const add = (kind: string, ms: number) => sums.set(kind, (sums.get(kind) ?? 0) + ms)
  for (const { milliseconds, node } of operators) add(node?.kind ?? copies, milliseconds)
  if (fused > 0) add(joined, fused)
  return sums
}

/** Like `explain`, with milliseconds for every kind of op, also in the plain form, and with what this machine achieves. Runs on made-up numbers in one thread. */
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

/** Operators that ONNX Runtime's optimiser joined from several: it no longer says which. */
const joined = "fused by ONNX Runtime"
