/** What the compiler made of a program, stage by stage, as data, with predictions for what it rejected. */
import { type Program, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as CostModel from "./CostModel.ts"
import * as Forms from "./Forms.ts"
import { peakOf } from "./internal/builder.ts"
import * as Lowering from "./Lowering.ts"

/** A rewrite: the number of nodes before and after it, what it replaced and what it made, and the predicted time of the whole program without it. */
export interface Rewritten {
  readonly name: string
  readonly summary: string
  /** Number of nodes before. */
  readonly before: number
  /** Number of nodes after. */
  readonly after: number
  readonly taken: Readonly<Record<string, number>>
  readonly made: Readonly<Record<string, number>>
  /** Predicted milliseconds for the program without the rewrite. */
  readonly without: number
}

/** A form in which ops of a kind are computed, and the predicted time of the plain form of the same ops, including conversions to it and back. */
export interface Chosen {
  readonly kind: Tensor.Kind
  readonly form: string
  /** Number of ops. */
  readonly ops: number
  /** Milliseconds for these ops. */
  readonly predicted: number
  /** Milliseconds for the same ops in the plain form. */
  readonly plain: number
}

/** A buffer that is held when the program uses the most memory. */
export interface Held {
  readonly path: string
  readonly kind: string
  readonly operator: string
  /** Size of the buffer. */
  readonly bytes: number
  /** The first node that needs it. */
  readonly from: number
  /** The last node that needs it. */
  readonly to: number
}

/** What the compiler made of a program. */
export interface Explained {
  /** Predicted milliseconds for the program. */
  readonly predicted: number
  /** The same with everything in the plain form. */
  readonly plain: number
  readonly rewrites: ReadonlyArray<Rewritten>
  readonly forms: ReadonlyArray<Chosen>
  /** Forms of ops, with the predicted milliseconds for the whole program without them. */
  readonly refused: ReadonlyArray<{ readonly form: Forms.Form; readonly without: number }>
  /** Moves of elements from one order to another. */
  readonly conversions: { readonly count: number; readonly bytes: number }
  readonly nodes: ReadonlyArray<Lowering.Explanation>
  readonly memory: {
    /** The most bytes held at once, and after which operator, out of how many. */
    readonly peak: number
    readonly at: number
    readonly operators: number
    readonly held: ReadonlyArray<Held>
  }
}

const nameOf = (node: Tensor.Tensor) => (Tensor.is("composite")(node) ? node.attributes.name : node.kind)

const counted = (names: ReadonlyArray<string>): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}

const namesOf = ({ nodes }: Program.Program) => counted(nodes.map(nameOf))

/** For each name, how many more the first has than the second. */
const more = (a: Program.Program, b: Program.Program): Readonly<Record<string, number>> => {
  const [first, second] = [namesOf(a), namesOf(b)]
  return Object.fromEntries(
    [...first].flatMap(([name, n]) => (n > (second.get(name) ?? 0) ? [[name, n - (second.get(name) ?? 0)]] : []))
  )
}

const milliseconds = (rows: ReadonlyArray<Lowering.Explanation>) =>
  rows.reduce((sum, { predicted }) => sum + predicted, 0) / 1e6

/** A value that is computed when it is first asked for. */
const once = <A>(make: () => A): (() => A) => {
  let made: { readonly value: A } | undefined
  return () => (made ??= { value: make() }).value
}

/** Operators that only put elements in another order. */
const moves: ReadonlyArray<string> = ["Transpose", "ReorderInput", "ReorderOutput"]

const chosen: ReadonlyArray<Forms.Form> = ["blocked", "patches", "tokens", "views"]

/** Every stage of a program's compilation, with times predicted by a cost model. */
export const explain =
  (costs: CostModel.CostModel, options: Lowering.Options = {}) =>
  (program: Program.Program): Explained => {
    const { lowered, rows, stages } = Lowering.explained(costs, options)(program)
    const plain = Lowering.explained(costs, { ...options, block: 0, lanes: 1 })(program).rows
    const without = (name: string) =>
      milliseconds(Lowering.explained(costs, { ...options, without: [...(options.without ?? []), name] })(program).rows)
    // Each takes a lowering of the program, so they are made on demand.
    const rewrites = once(() =>
      stages.steps.map(({ before, program: after, rewrite: { name, summary } }): Rewritten => ({
        name,
        summary,
        before: before.nodes.length,
        after: after.nodes.length,
        taken: more(before, after),
        made: more(after, before),
        without: without(name)
      }))
    )
    const pairs = rows.map((row, i) => ({ row, plain: Arr.getUnsafe(plain, i) }))
    const forms = [...Map.groupBy(pairs, ({ row }) => `${row.kind} ${row.formulation}`).values()].map(
      (all): Chosen => ({
        kind: Arr.getUnsafe(all, 0).row.kind,
        form: Arr.getUnsafe(all, 0).row.formulation,
        ops: all.length,
        predicted: milliseconds(all.map(({ row }) => row)),
        plain: milliseconds(all.map((pair) => pair.plain))
      })
    )
    const taken = new Set(stages.program.nodes.map((node) => Forms.of(node, stages.target)))
    const refused = once(() =>
      chosen.filter((form) => taken.has(form)).map((form) => ({ form, without: without(form) }))
    )
    const moved = lowered.work.filter(({ bytes, opType }) => bytes > 0 && moves.includes(opType))
    const peak = peakOf(lowered.lives)
    return {
      predicted: milliseconds(rows),
      plain: milliseconds(plain),
      get rewrites() {
        return rewrites()
      },
      forms: forms.toSorted((a, b) => b.predicted - a.predicted),
      get refused() {
        return refused()
      },
      conversions: { count: moved.length, bytes: moved.reduce((sum, { bytes }) => sum + bytes, 0) },
      nodes: rows,
      memory: {
        peak: peak.bytes,
        at: peak.at,
        operators: lowered.work.length,
        held: lowered.lives
          .filter(({ from, to }) => from <= peak.at && peak.at <= to)
          .map(({ bytes, from, node, opType, to }) => ({
            path: node?.path ?? "",
            kind: node === undefined ? "" : nameOf(node),
            operator: opType,
            bytes,
            from,
            to
          }))
          .toSorted((a, b) => b.bytes - a.bytes)
      }
    }
  }
