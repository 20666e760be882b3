/**
 * A cache of lowered programs, by graph: a search trains its best architectures again. It saves a fifth of the compile time (bench/results/compile.md).
 *
 * Sessions are not kept: an idle session holds as much memory as its last run needed.
 */
import { Program } from "@uninet/graph"
import { Lowering, Model } from "@uninet/onnx"
import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import { lower } from "./session.ts"

export interface Lowered extends Lowering.Lowered {
  /** The model in the form that ONNX Runtime reads. */
  readonly bytes: Uint8Array
}

type Packs = Required<Pick<Lowering.Options, "packedInputs" | "packedOutputs">>

/** A request; two are equal if their models are. */
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

/** Enough for a few programs of a trial, and for those of the few best trials. */
const capacity = 16

/** A function that lowers programs and caches the most recent ones. */
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
