/**
 * The card of a network: what a person or program that has nothing but its file needs to use it, as text by name. It travels in the metadata of ONNX
 * and safetensors files and as constants in a PyTorch module.
 */
import { Architecture } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

export interface Card {
  readonly architecture: Architecture.Architecture
  /** Class names, by the index of their logit. */
  readonly classes: ReadonlyArray<string>
  /** Per channel: the network takes `(byte / 255 - mean) / deviation`. */
  readonly mean: ReadonlyArray<number>
  readonly deviation: ReadonlyArray<number>
  /** The part of a resized image's edge that the centre crop keeps; 1 resizes to the network's size itself, whatever the aspect. */
  readonly cropRatio: number
  /** Where the network comes from, as far as it is known: `run`, `trial`, `seed`, `dataset`, accuracies, … */
  readonly provenance: Readonly<Record<string, string>>
}

/** A file that does not say how its network is used. */
export class NoCard extends Schema.TaggedError<NoCard>()("NoCard", {
  /** The entry that is missing or damaged: `classes`, `mean`, … */
  entry: Schema.String
}) {
  override get message() {
    return `it does not say its network's ${this.entry}; give a file that uninet export, search or train wrote`
  }
}

const json = {
  architecture: Schema.fromJsonString(Schema.toCodecJson(Architecture.Architecture)),
  texts: Schema.fromJsonString(Schema.Array(Schema.String)),
  numbers: Schema.fromJsonString(Schema.Array(Schema.Finite)),
  ratio: Schema.FiniteFromString.check(Schema.isBetween({ minimum: Number.MIN_VALUE, maximum: 1 }))
}

/** The entries that are not provenance. */
const own: ReadonlyArray<string> = ["architecture", "classes", "mean", "deviation", "cropRatio"]

/** The card as a file's metadata. */
export const toMetadata = (card: Card): Readonly<Record<string, string>> => ({
  ...card.provenance,
  architecture: JSON.stringify(card.architecture),
  classes: JSON.stringify(card.classes),
  mean: JSON.stringify(card.mean),
  deviation: JSON.stringify(card.deviation),
  cropRatio: String(card.cropRatio)
})

/** What metadata say besides how the network is used. */
export const provenanceOf = (metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(metadata).filter(([name]) => !own.includes(name)))

/**
 * The card that a file's metadata hold. Without `cropRatio`, images are resized whole.
 *
 * Fails with `NoCard` where an entry is missing or does not fit the architecture.
 */
export const fromMetadata = (metadata: Readonly<Record<string, string>>): Result.Result<Card, NoCard> =>
  Result.gen(function* () {
    const entry = <A>(name: string, schema: Schema.Codec<A, string>, fits: (value: A) => boolean = () => true) =>
      Schema.decodeUnknownResult(schema)(metadata[name]).pipe(
        Result.mapError(() => new NoCard({ entry: name })),
        Result.flatMap((value) => (fits(value) ? Result.succeed(value) : Result.fail(new NoCard({ entry: name }))))
      )
    const architecture = yield* entry("architecture", json.architecture)
    const perChannel = (values: ReadonlyArray<number>) => values.length === architecture.image.channels
    return {
      architecture,
      classes: yield* entry("classes", json.texts, (names) => names.length === architecture.classes),
      mean: yield* entry("mean", json.numbers, perChannel),
      deviation: yield* entry("deviation", json.numbers, perChannel),
      cropRatio: metadata["cropRatio"] === undefined ? 1 : yield* entry("cropRatio", json.ratio),
      provenance: provenanceOf(metadata)
    }
  })
