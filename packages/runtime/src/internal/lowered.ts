/**
 * Lowered programs, remembered by their graph: a search trains its best architectures again. It saves a fifth of what compiling takes (bench/results/compile.md).
 *
 * Sessions are not kept: an idle one holds as much memory as its last run needed.
 */
import { Program } from "@uninet/graph"
import { Lowering, Model } from "@uninet/onnx"
import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import { lower } from "./session.ts"

export interface Lowered extends Lowering.Lowered {
  /** The model as ONNX Runtime reads it. */
  readonly bytes: Uint8Array
}

type Packs = Required<Pick<Lowering.Options, "packedInputs" | "packedOutputs">>

/** What is asked for; two requests are equal where their models are. */
class Request implements Equal.Equal {
  readonly program: Program.Program
  readonly block: number
  readonly packs: Packs
  readonly #fingerprint: string

  constructor(program: Program.Program, block: number, packs: Packs) {
    this.program = program
    this.block = block
    this.packs = packs
    const names = ({ packedInputs, packedOutputs }: Packs) =>
      [packedInputs, packedOutputs].map((all) => all.map(({ members, name }) => [name, ...members.map((m) => m.name)]))
    this.#fingerprint = `${block} ${JSON.stringify(names(packs))}\n${Program.fingerprint(program)}`
  }

  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof Request && that.#fingerprint === this.#fingerprint
  }

  [Hash.symbol](): number {
    return Hash.string(this.#fingerprint)
  }
}

/** Some programs of a trial, and of the few best ones. */
const capacity = 16

/** A function that lowers programs and remembers the last ones. */
export const make = Effect.map(
  Cache.make({
    capacity,
    lookup: ({ block, packs, program }: Request) =>
      Effect.sync((): Lowered => {
        const lowered = lower(program, "program", block, { ...packs, traced: false })
        return { ...lowered, bytes: Model.encode(lowered.model) }
      })
  }),
  (cache) => (program: Program.Program, block: number, packs: Packs) =>
    Cache.get(cache, new Request(program, block, packs))
)
