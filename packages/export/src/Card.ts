/**
 * The card of a network: everything that a person or program needs to use it, given nothing but its file, as text by name. The card is
 * stored in the metadata of ONNX and safetensors files, and as constants in a PyTorch module.
 */
import type { GraphError } from "@uninet/graph"
import { Model } from "@uninet/nn"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** How image files become an input. */
export interface Picture {
  /** The input's name; its shape is `[channels, height, width]`. */
  readonly input: string
  /** Per channel: the network takes `(byte / 255 - mean) / deviation`. */
  readonly mean: ReadonlyArray<number>
  readonly deviation: ReadonlyArray<number>
  /** The fraction of a resized picture's edge that the centre crop keeps; 1 resizes to the network's size itself, whatever the aspect ratio. */
  readonly cropRatio: number
}

/** What a file says about the network in it. */
export interface Card {
  /** The network's definition, as its author's program stores it. */
  readonly network: Schema.Json
  /** The same on one line, for people. */
  readonly line: string
  /** For one example. */
  readonly inputs: Model.Ports
  readonly outputs: Model.Ports
  /** The task it was made for. */
  readonly task: string
  /** Class names, by the index of their logit; `null` if the network is not a classifier. */
  readonly classes: ReadonlyArray<string> | null
  /** `null` if no input is a picture. */
  readonly picture: Picture | null
  /** The network's origin, as far as it is known: `run`, `trial`, `seed`, `dataset`, measures, … */
  readonly provenance: Readonly<Record<string, string>>
}

/** What a card says about a network besides its inputs and outputs. */
export type Told = Pick<Card, "line" | "task"> & Partial<Pick<Card, "network" | "classes" | "picture" | "provenance">>

/**
 * The card of a network, with its model's inputs and outputs.
 *
 * @example
 * ```ts
 * import { Card } from "@uninet/export"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Result } from "effect"
 *
 * const model = Model.make({
 *   inputs: { x: Model.input([4]) },
 *   forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: 1 })(x) })
 * })
 * const card = Result.getOrThrow(
 *   Card.of(model, { line: "one linear layer", task: "regression", provenance: { seed: "7" } })
 * )
 * console.log(Card.fits(model)(card)._tag) // Success
 *
 * // It travels as text by name, in the metadata of ONNX and safetensors files.
 * const metadata = Card.toMetadata(card)
 * console.log(Result.getOrThrow(Card.fromMetadata(metadata)).line, Card.provenanceOf(metadata)) // one linear layer { seed: '7' }
 * ```
 */
const make = (
  model: Model.Model,
  { classes = null, line, network = null, picture = null, provenance = {}, task }: Told
): Result.Result<Card, GraphError> =>
  Result.map(Model.outputs(model), (outputs) => ({
    network,
    line,
    inputs: model.inputs,
    outputs,
    task,
    classes,
    picture,
    provenance
  }))

export { make as of }

/** A card does not describe its network. */
export class CardMismatch extends Schema.TaggedError<CardMismatch>()("CardMismatch", {
  says: Schema.String,
  has: Schema.String
}) {
  override get message() {
    return `the card says ${this.says}, but the network has ${this.has}; Card.of takes inputs and outputs from the network, and the rest has to fit them`
  }
}

/** Ports by name, in a fixed order. */
const sorted = (ports: Model.Ports): Model.Ports =>
  Object.fromEntries(Object.entries(ports).sort(([a], [b]) => (a < b ? -1 : 1)))

/** Whether a card describes the inputs and outputs that its network has, and its pictures and classes fit them: a file with this card can then be opened again. */
export const fits =
  (model: Model.Model) =>
  (card: Card): Result.Result<void, CardMismatch | GraphError> =>
    Result.flatMap(Model.outputs(model), (outputs): Result.Result<void, CardMismatch> => {
      const has = { inputs: model.inputs, outputs }
      for (const kind of ["inputs", "outputs"] as const) {
        const [says, own] = [Model.print(sorted(card[kind])), Model.print(sorted(has[kind]))]
        if (says !== own) return Result.fail(new CardMismatch({ says: `the ${kind} ${says}`, has: own }))
      }
      const metadata = toMetadata(card)
      return Result.mapBoth(fromMetadata(metadata), {
        onSuccess: () => undefined,
        onFailure: ({ entry }) =>
          new CardMismatch({
            says: `the ${entry} ${metadata[entry]}`,
            has: `the inputs ${Model.print(model.inputs)} and the outputs ${Model.print(outputs)}`
          })
      })
    })

/** A file does not say how its network is used. */
export class NoCard extends Schema.TaggedError<NoCard>()("NoCard", {
  /** The entry that is missing or damaged: `classes`, `mean`, … */
  entry: Schema.String
}) {
  override get message() {
    return `it does not say its network's ${this.entry}; give a file that this version's uninet export, search or train wrote`
  }
}

const Port = Schema.Struct({
  shape: Schema.Array(Schema.Int.check(Schema.isGreaterThan(0))),
  dtype: Schema.Literals(["float32", "int32"])
})

const isPicture = ({ dtype, shape }: Model.Port): boolean => shape.length === 3 && dtype === "float32"

const json = {
  any: Schema.fromJsonString(Schema.Json),
  ports: Schema.fromJsonString(Schema.Record(Schema.String, Port).check(Schema.isMinProperties(1))),
  texts: Schema.fromJsonString(Schema.Array(Schema.String)),
  numbers: Schema.fromJsonString(Schema.Array(Schema.Finite)),
  ratio: Schema.FiniteFromString.check(Schema.isBetween({ minimum: Number.MIN_VALUE, maximum: 1 })),
  text: Schema.String
}

/** The entries that are not provenance. */
const own: ReadonlyArray<string> = [
  "network",
  "line",
  "inputs",
  "outputs",
  "task",
  "classes",
  "picture",
  "mean",
  "deviation",
  "cropRatio"
]

/** The card as a file's metadata. */
export const toMetadata = (card: Card): Readonly<Record<string, string>> => ({
  ...provenanceOf(card.provenance),
  network: JSON.stringify(card.network),
  line: card.line,
  inputs: JSON.stringify(card.inputs),
  outputs: JSON.stringify(card.outputs),
  task: card.task,
  ...(card.classes === null ? {} : { classes: JSON.stringify(card.classes) }),
  ...(card.picture === null
    ? {}
    : {
        picture: card.picture.input,
        mean: JSON.stringify(card.picture.mean),
        deviation: JSON.stringify(card.picture.deviation),
        cropRatio: String(card.picture.cropRatio)
      })
})

/** The metadata entries that do not describe how the network is used. */
export const provenanceOf = (metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(metadata).filter(([name]) => !own.includes(name)))

/**
 * The card in a file's metadata. Without `cropRatio`, the whole picture is resized.
 *
 * Fails with `NoCard` if an entry is missing or does not fit the others.
 */
export const fromMetadata = (metadata: Readonly<Record<string, string>>): Result.Result<Card, NoCard> =>
  Result.gen(function* () {
    const entry = <A>(name: string, schema: Schema.Codec<A, string>, fits: (value: A) => boolean = () => true) =>
      Schema.decodeUnknownResult(schema)(metadata[name]).pipe(
        Result.mapError(() => new NoCard({ entry: name })),
        Result.flatMap((value) => (fits(value) ? Result.succeed(value) : Result.fail(new NoCard({ entry: name }))))
      )
    const has = (name: string) => metadata[name] !== undefined
    const inputs = yield* entry("inputs", json.ports)
    const outputs = yield* entry("outputs", json.ports)
    // Classes are the indexes of an output's first axis.
    const tells = (names: ReadonlyArray<string>) =>
      Object.values(outputs).some(({ shape }) => shape[0] === names.length)
    const input = has("picture")
      ? yield* entry("picture", json.text, (name) => {
          const port = Object.hasOwn(inputs, name) ? inputs[name] : undefined
          return port !== undefined && isPicture(port)
        })
      : null
    const perChannel = (values: ReadonlyArray<number>) => input !== null && values.length === inputs[input]?.shape[0]
    return {
      network: yield* entry("network", json.any),
      line: yield* entry("line", json.text),
      inputs,
      outputs,
      task: yield* entry("task", json.text),
      classes: has("classes") ? yield* entry("classes", json.texts, tells) : null,
      picture:
        input === null
          ? null
          : {
              input,
              mean: yield* entry("mean", json.numbers, perChannel),
              deviation: yield* entry(
                "deviation",
                json.numbers,
                (values) => perChannel(values) && values.every((value) => value > 0)
              ),
              cropRatio: has("cropRatio") ? yield* entry("cropRatio", json.ratio) : 1
            },
      provenance: provenanceOf(metadata)
    }
  })
