/** Where the time of a program goes on ONNX Runtime's CPU engine, operator by operator. */
import { CompileFailed, type Data, RunFailed, Updates } from "@uninet/engine"
import type { Program } from "@uninet/graph"
import { type Lowering, Model } from "@uninet/onnx"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as ort from "onnxruntime-node"
import { blockSize } from "./internal/block.ts"
import { lower, sessionOptions, tensor } from "./internal/session.ts"

/** An operator of the compiled program, and its time. */
export interface Operator extends Lowering.Work {
  /** Milliseconds per run. */
  readonly milliseconds: number
}

/** Where a program's time goes. */
export interface Profile {
  readonly operators: ReadonlyArray<Operator>
  /** Milliseconds per run in operators that ONNX Runtime's optimiser joined from several: it no longer says which. Zero if the optimiser is off, as for blocked kernels. */
  readonly fused: number
  /** Milliseconds per run by the wall clock, without profiling. */
  readonly wall: number
}

/** Options for profiling a program. */
export interface Options {
  /** Default 1. */
  readonly threads?: number
  /** As in `OnnxRuntime.cpu`. Default `blocked`. */
  readonly formulation?: "blocked" | "standard"
}

/** An event in ONNX Runtime's profile. */
interface Event {
  readonly cat: string
  readonly name: string
  /** Microseconds. */
  readonly dur: number
  readonly args?: { readonly node_index?: string }
}

const engine = "onnxruntime cpu"
const name = "profile"

const attempt = <A>(make: () => A | Promise<A>) =>
  Effect.tryPromise({
    try: async () => make(),
    catch: (cause) => new RunFailed({ engine, program: name, cause })
  })

const opened = (bytes: Uint8Array, options: ort.InferenceSession.SessionOptions) =>
  Effect.tryPromise({
    try: () => ort.InferenceSession.create(bytes, options),
    catch: (cause) => new CompileFailed({ engine, program: name, cause })
  })

/**
 * Compiles a program as `OnnxRuntime.cpu` does and returns a function that profiles a number of its runs. An optimiser that the engine runs outside the graph is left out.
 *
 * `values` holds the values of inputs and variables, by name.
 */
export const make = (
  program: Program.Program,
  values: Readonly<Record<string, Data>>,
  { formulation = "blocked", threads = 1 }: Options = {}
): Effect.Effect<
  (runs: number) => Effect.Effect<Profile, CompileFailed | RunFailed>,
  CompileFailed | RunFailed,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const inside = yield* Effect.mapError(
      Effect.fromResult(Updates.insideOf(Updates.outsideOf(program))(program)),
      (cause) => new CompileFailed({ engine, program: name, cause })
    )
    const lowered = lower(inside, name, formulation === "blocked" ? yield* attempt(blockSize) : 0)
    const bytes = Model.encode(lowered.model)
    const options = sessionOptions(lowered, threads)
    const feeds = yield* attempt(() =>
      Object.fromEntries(
        lowered.model.inputs.flatMap((input) => {
          const [data, shape] = [values[input.name], lowered.shapes.get(input.name)]
          return data === undefined || shape === undefined ? [] : [[input.name, tensor(data, shape)]]
        })
      )
    )
    const session = yield* Effect.acquireRelease(opened(bytes, options), (session) =>
      Effect.ignore(Effect.tryPromise(() => session.release()))
    )
    yield* attempt(() => session.run(feeds))

    const folder = yield* Effect.acquireRelease(
      attempt(() => mkdtempSync(join(tmpdir(), "uninet-profile-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    return Effect.fnUntraced(function* (runs: number) {
      const wall = yield* attempt(async () => {
        const start = performance.now()
        for (let i = 0; i < runs; i++) await session.run(feeds)
        return (performance.now() - start) / runs
      })
      // A session writes its profile once, when it ends.
      const profiled = yield* opened(bytes, {
        ...options,
        enableProfiling: true,
        profileFilePrefix: join(folder, "profile")
      })
      const events = yield* attempt(async () => {
        // The first runs are slow.
        for (let i = 0; i < warmUp + runs; i++) await profiled.run(feeds)
        profiled.endProfiling()
        const [file] = readdirSync(folder)
        if (file === undefined) throw new Error("ONNX Runtime wrote no profile")
        const text = readFileSync(join(folder, file), "utf8")
        rmSync(join(folder, file))
        return JSON.parse(text) as ReadonlyArray<Event> // the format of Chrome's trace viewer
      }).pipe(Effect.ensuring(Effect.ignore(Effect.tryPromise(() => profiled.release()))))

      const operators = lowered.work.map((work) => ({ ...work, milliseconds: 0 }))
      let fused = 0
      let run = 0
      for (const { args, cat, dur, name } of events) {
        // The event of a run comes after those of its operators.
        if (cat === "Session" && name === "model_run") run++
        if (run < warmUp || cat !== "Node" || !name.endsWith("_kernel_time")) continue
        const operator = operators[Number(args?.node_index)]
        // Nodes that ONNX Runtime's optimiser makes are numbered after the model's own.
        if (operator !== undefined) operator.milliseconds += dur / 1000 / runs
        else fused += dur / 1000 / runs
      }
      const profile: Profile = {
        operators,
        fused,
        wall
      }
      return profile
    })
  })

const warmUp = 2
