/** Runs compiled programs: a memory, a table of kernels, and a loop over lists of them. */
import * as Emit from "../Emit.ts"
import type { Kernel } from "../Kernel.ts"
import type { Lowered } from "../Lower.ts"
import * as Memory from "../Memory.ts"
import * as Schedule from "../Schedule.ts"
import { type Given, moduleOf, moduleOfRunner, targetOf } from "./compile.ts"
import * as Instance from "./instance.ts"
import * as Team from "./team.ts"

/** The part of the WebAssembly interface used here, which neither ES nor Node's types declare. */
declare const WebAssembly: {
  readonly Memory: new (limits: {
    readonly initial: number
    readonly maximum: number
    readonly shared?: boolean
  }) => Instance.Memory
}

const page = 65_536
/** Nothing is placed at address 0. */
const start = 1024

const aligned = (bytes: number) => Math.ceil(bytes / 64) * 64

/** A program and its place in a machine. */
export interface Loaded {
  readonly lowered: Lowered
  readonly phases: ReadonlyArray<Schedule.Phase>
  readonly code: Emit.Code
  readonly addressOf: (id: number) => number
}

export interface Machine {
  readonly memory: ArrayBuffer
  readonly programs: ReadonlyMap<string, Loaded>
  /** The address of every variable. */
  readonly variables: ReadonlyMap<string, number>
  readonly run: (program: Loaded) => void
  /** Milliseconds for every piece of work in a run, by phase, with the clearing of sums last. The wall clock by default. */
  readonly profile: (program: Loaded, clock?: () => number) => ReadonlyArray<ReadonlyArray<number>>
  readonly bytes: number
  /** Ends its threads. */
  readonly close: () => void
}

/** Starts threads besides this one, if there is Node. */
const helpers = (count: number, data: Instance.Parts & { readonly at: number }): void => {
  if (typeof process !== "object" || typeof process.getBuiltinModule !== "function") return
  const { Worker } = process.getBuiltinModule("node:worker_threads")
  const file = new URL(import.meta.url.endsWith(".ts") ? "./helper.ts" : "./helper.js", import.meta.url)
  for (let i = 0; i < count; i++) {
    const options = { workerData: data, execArgv: ["--disable-warning=ExperimentalWarning"] }
    const worker = new Worker(file, options)
    // A thread that cannot be started leaves its share to the others.
    worker.on("error", () => {})
    worker.unref()
  }
}

/** Lays out programs that share variables and working memory. */
export const make = (programs: ReadonlyMap<string, Lowered>, given: Given, threads = 1): Machine => {
  const target = targetOf(given)
  let at = start
  const take = (bytes: number) => {
    const from = at
    at += aligned(bytes)
    return from
  }
  const numbers = new Map<string, number>()
  const kernels: Array<Kernel> = []
  const numberOf = (kernel: Kernel) => {
    const known = numbers.get(kernel.key)
    if (known !== undefined) return known
    numbers.set(kernel.key, kernels.length)
    kernels.push(kernel)
    return kernels.length - 1
  }
  const variables = new Map<string, number>()
  for (const lowered of programs.values())
    for (const [name, buffer] of lowered.variables)
      if (!variables.has(name)) variables.set(name, take(Memory.bytesOf(buffer, 1, 1)))
  const teamAt = take(Team.bytes) / 4
  const all = [...programs.values()]
  const scratchBytes = aligned(Math.max(0, ...all.map((lowered) => lowered.scratchBytes)))
  const rooms = Math.max(Emit.mostShares(threads), ...all.map((lowered) => lowered.stretches))
  const scratch = take(scratchBytes * rooms)
  // First what every program has to itself; then the memory that they share.
  const own = [...programs].map(([name, lowered]) => {
    const { buffers, inPlace, phases } = Schedule.make(lowered)
    const places = new Map<number, number>()
    for (const [variable, buffer] of lowered.variables) places.set(buffer.id, variables.get(variable) ?? 0)
    for (const [fresh, old] of inPlace) places.set(fresh, places.get(old) ?? 0)
    for (const [buffer, data] of lowered.constants) places.set(buffer.id, take(4 * data.length + 32))
    for (const buffer of lowered.inputs.values()) places.set(buffer.id, take(Memory.bytesOf(buffer, 1, 1)))
    const kept = new Set([...lowered.outputs.values(), ...lowered.updates.values()].map(({ id }) => id))
    const { groups, stretches } = lowered
    const elsewhere = new Set(places.keys())
    const layout = Memory.layoutOf(Memory.livesOf({ phases, buffers, kept, elsewhere, groups, stretches }))
    return { name, lowered, phases, places, layout }
  })
  const room = take(Math.max(0, ...own.map(({ layout }) => layout.shared.bytes)))
  // A single thread uses the same memory for every tile; with several threads, each is in its own stretch.
  const tileBytes = aligned(Math.max(0, ...own.map(({ layout }) => layout.tile.bytes)))
  const tiles = take(tileBytes * (threads > 1 ? Math.max(1, ...all.map((lowered) => lowered.stretches)) : 1))
  // The calls and their arguments come after everything that they refer to.
  const emitted = own.map(({ layout, lowered, name, phases, places }) => {
    const addressOf = (id: number) => places.get(id) ?? room + (layout.shared.places.get(id) ?? 0)
    const tileOf = (id: number, stretch: number) => {
      const place = layout.tile.places.get(id)
      return place === undefined ? undefined : tiles + place + (threads > 1 ? tileBytes * stretch : 0)
    }
    const words = at
    const code = Emit.emit(phases, target, {
      addressOf,
      tileOf,
      words,
      scratchOf: (stretch) => scratch + scratchBytes * stretch,
      numberOf,
      stretches: lowered.stretches,
      threads
    })
    take(4 * code.words.length)
    return { name, words, loaded: { lowered, phases, code, addressOf } }
  })
  const memory = new WebAssembly.Memory({
    initial: Math.ceil(at / page) + 1,
    maximum: 65_536,
    ...(target.shared ? { shared: true } : {})
  })
  for (const { loaded, words } of emitted) {
    const { addressOf, code, lowered } = loaded
    new Int32Array(memory.buffer, words, code.words.length).set(code.words)
    for (const [buffer, data] of lowered.constants) {
      const to = addressOf(buffer.id)
      if (data instanceof Float32Array) new Float32Array(memory.buffer, to, data.length).set(data)
      else new Int32Array(memory.buffer, to, data.length).set(data)
    }
  }
  const parts: Instance.Parts = {
    memory,
    kernels: kernels.map((kernel) => moduleOf(kernel, target)),
    runner: moduleOfRunner(target)
  }
  const run = Instance.make(parts)
  const team: Team.Team = { memory: new Int32Array(memory.buffer), at: teamAt, run }
  if (threads > 1) helpers(threads - 1, { ...parts, at: teamAt })
  const floats = new Float32Array(memory.buffer)
  return {
    memory: memory.buffer,
    programs: new Map(emitted.map(({ loaded, name }) => [name, loaded])),
    variables,
    bytes: at,
    profile: ({ code, phases }, clock = () => performance.now()) =>
      code.parts.flatMap((part) => {
        if (part._tag === "Host") return []
        const phase = phases[part.phase]
        const times = Array.from({ length: phase?._tag === "Tiles" ? phase.work.length : 0 }, () => 0)
        let rest = 0
        for (const { from, work } of part.stretches)
          for (const [i, number] of work.entries()) {
            const start = clock()
            run(from + 8 * i, from + 8 * i + 8)
            const took = clock() - start
            if (number < 0) rest += took
            else times[number] = (times[number] ?? 0) + took
          }
        return [[...times, rest]]
      }),
    close: () => {
      if (threads > 1) Team.end(team)
    },
    run: ({ code, lowered, addressOf }) => {
      for (const part of code.parts) {
        if (part._tag === "Host") {
          const results = part.host.compute(...part.inputs.map((address) => floats[address / 4] ?? Number.NaN))
          for (const [i, address] of part.outputs.entries()) floats[address / 4] = results[i] ?? Number.NaN
          continue
        }
        if (part.together) Team.lead(team, part.table, part.stretches.length)
        else for (const { from, to } of part.stretches) run(from, to)
      }
      for (const [variable, buffer] of lowered.updates) {
        const to = (variables.get(variable) ?? 0) / 4
        const from = addressOf(buffer.id) / 4
        if (to !== from) floats.copyWithin(to, from, from + buffer.size)
      }
    }
  }
}
