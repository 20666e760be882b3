/** What the compiler made of a program, stage by stage, as data, and where the time of a run goes. */
import { type GraphError, Op, Program, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as Result from "effect/Result"
import * as Machine from "./internal/machine.ts"
import * as Lower from "./Lower.ts"
import * as Memory from "./Memory.ts"
import * as Rewrite from "./Rewrite.ts"
import * as Schedule from "./Schedule.ts"
import * as Split from "./Split.ts"
import type { Work } from "./Work.ts"

/** A rewrite: the number of nodes before and after it, and the nodes that it replaced, by kind. */
export interface Rewritten {
  readonly name: string
  readonly summary: string
  /** Number of nodes before. */
  readonly before: number
  /** Number of nodes after. */
  readonly after: number
  readonly taken: Readonly<Record<string, number>>
}

/** Where the results of a kind of op are placed, with the number of each. */
export interface Layout {
  readonly kind: Tensor.Kind
  /** Results in lanes. */
  readonly lanes: number
  /** Results in plain order. */
  readonly plain: number
  /** Results that only exist in their readers' loops. */
  readonly inReaders: number
}

/** A piece of work: what it is for, what it does, which kernel does it, and in how many tiles. */
export interface Kernel {
  /** The number of its phase, from 0. */
  readonly phase: number
  readonly path: string
  readonly kind: Tensor.Kind
  readonly text: string
  readonly kernel: string
  /** Number of tiles. */
  readonly tiles: number
  /** How many shares threads can cut a tile into; 1 if it cannot be cut. */
  readonly shares: number
  /** Multiply-accumulates per run. */
  readonly macs: number
  /** Bytes read and written per run. */
  readonly bytes: number
  /** Milliseconds per run, if measured. */
  readonly milliseconds?: number
}

/** A buffer in a program's working memory, from the first phase that uses it to the last. */
export interface Held {
  /** Its number. */
  readonly buffer: number
  /** Size of the buffer. */
  readonly bytes: number
  /** The first phase. */
  readonly from: number
  /** The last phase. */
  readonly to: number
}

/** What the compiler made of a program, stage by stage. */
export interface Explained {
  readonly rewrites: ReadonlyArray<Rewritten>
  readonly layouts: ReadonlyArray<Layout>
  /** Batches that are moved into or out of lanes. */
  readonly conversions: { readonly count: number; readonly bytes: number }
  /** Results that were stored although their readers could have computed them, and the other way round. */
  readonly choices: ReadonlyArray<Lower.Choice>
  readonly kernels: ReadonlyArray<Kernel>
  readonly memory: {
    /** Bytes of variables, of the memory that phases share, of a tile's own memory, and of the shared memory in use in the fullest phase. */
    readonly variables: number
    readonly working: number
    readonly tile: number
    readonly peak: number
    readonly peakPhase: number
    readonly phases: number
    /** Number of new values of variables that overwrite the old ones. */
    readonly inPlace: number
    readonly buffers: ReadonlyArray<Held>
  }
}

const counted = (kinds: ReadonlyArray<string>): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const kind of kinds) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

const kindsOf = ({ nodes }: Program.Program) => counted(nodes.map(({ kind }) => kind))

/** The nodes of `before` that no longer exist, by kind. */
const taken = (before: Program.Program, after: Program.Program): Readonly<Record<string, number>> => {
  const left = kindsOf(after)
  return Object.fromEntries(
    Object.entries(kindsOf(before)).flatMap(([kind, n]) => {
      const gone = n - (left[kind] ?? 0)
      return gone > 0 ? [[kind, gone]] : []
    })
  )
}

const rewritten = (program: Program.Program): Result.Result<ReadonlyArray<Rewritten>, GraphError> => {
  const rows: Array<Rewritten> = []
  let current = program
  for (const rewrite of Lower.rewrites) {
    const next = Rewrite.apply([rewrite])(current)
    if (Result.isFailure(next)) return Result.fail(next.failure)
    const { name, summary } = rewrite
    rows.push({
      name,
      summary,
      before: current.nodes.length,
      after: next.success.nodes.length,
      taken: taken(current, next.success)
    })
    current = next.success
  }
  return Result.succeed(rows)
}

const layoutsOf = ({ layouts }: Lower.Lowered): ReadonlyArray<Layout> =>
  [...Map.groupBy([...layouts], ([node]) => node.kind)]
    .map(([kind, all]) => {
      const count = (layout: Lower.Layout) => all.filter(([, own]) => own === layout).length
      return { kind, lanes: count("lanes"), plain: count("plain"), inReaders: count("inReaders") }
    })
    .toSorted((a, b) => a.kind.localeCompare(b.kind))

/** The style for naming kernels; what they compute does not depend on it. */
const style = { fused: false, shared: false, positions: 2 } as const

const kernelsOf = (phases: ReadonlyArray<Schedule.Phase>): ReadonlyArray<Kernel> =>
  phases.flatMap((phase, number): ReadonlyArray<Kernel> => {
    const row = ({ node, text }: Pick<Work, "node" | "text">) => ({
      phase: number,
      path: node.path,
      kind: node.kind,
      text
    })
    if (phase._tag === "Host")
      return [{ ...row(phase.host), kernel: "JavaScript", tiles: 1, shares: 1, macs: 0, bytes: 0 }]
    return phase.work.map((work) => ({
      ...row(work),
      kernel: [work.kernel(style).key, ...(work.repeats?.kernels ?? []).map(({ kernel }) => kernel(style).key)].join(
        "; "
      ),
      tiles: work.tiles,
      shares: work.split === undefined ? 1 : Split.most(work.split),
      macs: work.macs,
      bytes: work.bytes
    }))
  })

/**
 * Every stage of a program's compilation.
 *
 * Fails if a rewritten program does not check.
 */
export const explain = (program: Program.Program): Result.Result<Explained, GraphError> =>
  Result.gen(function* () {
    const rewrites = yield* rewritten(program)
    const lowered = yield* Lower.lower(program)
    const { buffers, inPlace, phases } = Schedule.make(lowered)
    const elsewhere = new Set([
      ...[...lowered.variables.values(), ...lowered.inputs.values(), ...lowered.constants.keys()].map(({ id }) => id),
      ...inPlace.keys()
    ])
    const kept = new Set([...lowered.outputs.values(), ...lowered.updates.values()].map(({ id }) => id))
    const { groups, stretches } = lowered
    const lives = Memory.livesOf({ phases, buffers, kept, elsewhere, groups, stretches })
    const layout = Memory.layoutOf(lives)
    const usage = Memory.usage(lives.shared, phases.length)
    const peak = Math.max(0, ...usage)
    const kernels = kernelsOf(phases)
    const moves = kernels.filter(({ kernel }) => /^(un)?pack /.test(kernel))
    return {
      rewrites,
      layouts: layoutsOf(lowered),
      conversions: { count: moves.length, bytes: moves.reduce((sum, { bytes }) => sum + bytes, 0) },
      choices: lowered.choices,
      kernels,
      memory: {
        variables: [...lowered.variables.values()].reduce((sum, buffer) => sum + Memory.bytesOf(buffer, 1, 1), 0),
        working: layout.shared.bytes,
        tile: layout.tile.bytes,
        peak,
        peakPhase: usage.indexOf(peak),
        phases: phases.length,
        inPlace: inPlace.size,
        buffers: lives.shared
          .map(({ buffer, bytes, from, to }) => ({ buffer: buffer.id, bytes, from, to }))
          .toSorted((a, b) => b.bytes - a.bytes)
      }
    }
  })

/** What one thread achieves on this machine: multiply-accumulates of products, and bytes read and written, per millisecond. */
export interface Limits {
  /** Multiply-accumulates per millisecond. */
  readonly macs: number
  /** Bytes per millisecond. */
  readonly bytes: number
}

/** How the program is compiled. */
export interface Options {
  /** Whether products and sums are fused, as `Loops.fast` does; false by default. */
  readonly fused?: boolean
  /** Number of runs whose median is taken; 9 by default. */
  readonly runs?: number
  /** A clock in milliseconds; the wall clock by default. */
  readonly clock?: () => number
}

const median = (xs: ReadonlyArray<number>) =>
  Arr.getUnsafe(
    xs.toSorted((a, b) => a - b),
    xs.length >> 1
  )

/** Milliseconds for every piece of work in a program, on made-up numbers; `pick` chooses one of several runs. */
const profiled = (
  lowered: Lower.Lowered,
  { clock, fused = false, runs = 9 }: Options,
  pick: (times: ReadonlyArray<number>) => number = median
): ReadonlyArray<number> => {
  const machine = Machine.make(new Map([["program", lowered]]), { fused, shared: false, wide: true })
  const loaded = machine.programs.get("program")
  if (loaded === undefined) return []
  // Small enough that products of many stay finite, but never subnormal.
  const fill = (address: number, size: number) => {
    const to = new Float32Array(machine.memory, address, size)
    for (let i = 0; i < size; i++) to[i] = ((i * 37) % 101) / 500 + 0.01
  }
  for (const [name, { size }] of lowered.variables) fill(machine.variables.get(name) ?? 0, size)
  for (const node of lowered.program.inputs) {
    const buffer = lowered.inputs.get(node.attributes.name)
    if (buffer === undefined) continue
    const address = loaded.addressOf(buffer.id)
    if (node.dtype === "int32") new Int32Array(machine.memory, address, buffer.size).fill(0)
    else fill(address, buffer.size)
  }
  // The first runs are slow.
  for (let i = 0; i < 2; i++) machine.run(loaded)
  const all = Array.from({ length: runs }, () => machine.profile(loaded, clock).flatMap((phase) => phase.slice(0, -1)))
  machine.close()
  return (all[0] ?? []).map((_, i) => pick(all.map((one) => Arr.getUnsafe(one, i))))
}

const programOf = (y: Tensor.Tensor) => Program.make({ outputs: { y } })

/** The most that a piece of a program's work achieves per millisecond. */
const bestOf = (program: Program.Program, amount: "macs" | "bytes", options: Options) =>
  Result.map(Lower.lower(program), (lowered) => {
    const amounts = kernelsOf(Schedule.make(lowered).phases).map((kernel) => kernel[amount])
    const times = profiled(lowered, options, (all) => Math.min(...all))
    return Math.max(...amounts.map((n, i) => n / Math.max(Arr.getUnsafe(times, i), 1e-6)))
  })

/** Measures what products and copies achieve on this machine. */
const limitsOf = (options: Options): Result.Result<Limits, GraphError> =>
  Result.gen(function* () {
    const [batch, side, channels] = [32, 16, 96]
    const x = Op.input("x", [batch, channels, side, side])
    const convolution = yield* programOf(Op.conv2d(x, Op.input("w", [channels, channels, 1, 1])))
    const sum = yield* programOf(Op.add(x, Op.input("z", x.shape)))
    return { macs: yield* bestOf(convolution, "macs", options), bytes: yield* bestOf(sum, "bytes", options) }
  })

/** Like `explain`, with milliseconds for every piece of work and with what this machine achieves. Runs on made-up numbers in one thread. */
export const measure =
  (options: Options = {}) =>
  (program: Program.Program): Result.Result<{ readonly explained: Explained; readonly limits: Limits }, GraphError> =>
    Result.gen(function* () {
      const explained = yield* explain(program)
      const lowered = yield* Lower.lower(program)
      const times = profiled(lowered, options)
      const limits = yield* limitsOf(options)
      let at = 0
      const kernels = explained.kernels.map((kernel) =>
        kernel.kernel === "JavaScript" ? kernel : { ...kernel, milliseconds: Arr.getUnsafe(times, at++) }
      )
      return { explained: { ...explained, kernels }, limits }
    })
