/**
 * How long an operator takes on a kind of CPU, as a file of measured speeds, from which `uninet explain` predicts the times of what was chosen and what was rejected. Nothing is timed when a program is compiled, and the
 * compiled program does not depend on these figures.
 *
 * `uninet calibrate` measures a machine and writes such a file.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import shipped from "./costs.ts"

/** Kinds of CPU whose speeds differ. */
export const kinds = ["amd-avx512", "intel-avx512", "avx2", "other"] as const
/** A kind of CPU. */
export type Kind = (typeof kinds)[number]

const Positive = Schema.Finite.pipe(Schema.check(Schema.isGreaterThan(0)))

/** How a product is read: in `columns` its many numbers lie side by side, in `rows` one below the other; `gradient` sums over them. */
export const orientations = ["columns", "rows", "gradient"] as const
/** A way to read a product. */
export type Orientation = (typeof orientations)[number]

/** The version of the file format: files of other versions are not read. */
export const version = 1

/** A machine's speeds, as `uninet calibrate` measures them. */
export const CostModel = Schema.Struct({
  format: Schema.Literal("uninet cost model"),
  version: Schema.Literal(version),
  processor: Schema.Literals(kinds),
  /** Which machine the figures are from, and how they were obtained. */
  source: Schema.String,
  /** GFLOP/s of products of `out × in` weights with `many` numbers for each of `in`. */
  products: Schema.Array(
    Schema.Struct({
      orientation: Schema.Literals(orientations),
      out: Positive,
      in: Positive,
      many: Positive,
      gflops: Positive
    })
  ).pipe(Schema.check(Schema.isMinLength(1))),
  /** GB/s of reads and writes for an operator that touches this many bytes. */
  passes: Schema.Array(Schema.Struct({ bytes: Positive, gigabytes: Positive })).pipe(
    Schema.check(Schema.isMinLength(1))
  ),
  /** Nanoseconds per element in the cache, by operator; operators that are not listed count as `Add`. */
  elements: Schema.Record(Schema.String, Positive),
  /** Nanoseconds per operator, however little it does. */
  call: Positive
})
export type CostModel = typeof CostModel.Type

/** The models that ship, by kind of CPU. A kind that was not measured has the figures of the nearest one, and says so. */
export const known: { readonly [K in Kind]: CostModel } = shipped

/** A file that is not a cost model of this version, or is for another CPU. */
export class BadCostModel extends Schema.TaggedError<BadCostModel>()("BadCostModel", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `the cost model ${this.file} ${this.reason}; make one for this machine with: uninet calibrate --out ${this.file}`
  }
}

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(CostModel))
const Version = Schema.fromJsonString(Schema.Struct({ format: Schema.String, version: Schema.Finite }))

/**
 * Reads a cost model from a file's text.
 *
 * Fails with `BadCostModel` if it is damaged, of another version, or for another CPU than `processor`.
 */
export const parse =
  (file: string, processor: Kind) =>
  (text: string): Result.Result<CostModel, BadCostModel> => {
    const found = decode(text)
    if (Result.isSuccess(found)) {
      const own = found.success
      return own.processor === processor
        ? Result.succeed(own)
        : Result.fail(
            new BadCostModel({ file, reason: `is for ${own.processor} processors, but this one is ${processor}` })
          )
    }
    const about = Schema.decodeUnknownResult(Version)(text)
    const other =
      Result.isSuccess(about) && about.success.format === "uninet cost model" && about.success.version !== version
        ? `has version ${about.success.version}, but this uninet reads version ${version}`
        : "is damaged or not a cost model"
    return Result.fail(new BadCostModel({ file, reason: other }))
  }

/** Writes a cost model as a file's text. */
export const print = (model: CostModel): string => `${JSON.stringify(model, null, 2)}\n`

/** A piece of a model's work, described for predicting its cost. */
export interface Priced {
  readonly opType: string
  /** Bytes read and written. */
  readonly bytes: number
  /** Number of output elements. */
  readonly elements: number
  readonly product: Product | undefined
}

/** A matrix product to be priced. */
export interface Product {
  readonly orientation: Orientation
  /** Output numbers per vector. */
  readonly out: number
  /** Input numbers per vector. */
  readonly in: number
  /** How many vectors are multiplied. */
  readonly many: number
}

const nearest = <A>(all: ReadonlyArray<A>, distance: (a: A) => number): A =>
  all.reduce((best, each) => (distance(each) < distance(best) ? each : best))

const ratio = (a: number, b: number) => Math.abs(Math.log(a / b))

/**
 * Predicted nanoseconds for an operator: a call, plus the longest of its product, its passes over memory and its elements.
 *
 * @example
 * ```ts
 * import { CostModel } from "@uninet/onnx"
 * import { Result } from "effect"
 *
 * const known = CostModel.known["amd-avx512"]
 * const cost = CostModel.costOf(known)
 * // Nanoseconds of the error function of 1,024 and of 65,536 numbers, read and written.
 * for (const elements of [1024, 65536])
 *   console.log(cost({ opType: "Erf", bytes: 8 * elements, elements, product: undefined }).toFixed(0))
 *
 * // Its file, as `uninet calibrate` leaves it; of another processor it is refused.
 * const text = CostModel.print(known)
 * console.log(CostModel.parse("costs.json", "amd-avx512")(text)._tag, CostModel.parse("costs.json", "other")(text)._tag)
 * ```
 */
export const costOf =
  (model: CostModel) =>
  ({ bytes, elements, opType, product }: Priced): number => {
    if (bytes === 0) return 0
    const { gigabytes } = nearest(model.passes, (pass) => ratio(pass.bytes, bytes))
    const each = model.elements[opType] ?? model.elements["Add"] ?? 0
    const same = product && model.products.filter(({ orientation }) => orientation === product.orientation)
    const speed =
      product === undefined
        ? undefined
        : nearest(
            same === undefined || same.length === 0 ? model.products : same,
            (p) => ratio(p.out * p.in, product.out * product.in) + ratio(p.many, product.many) / 2
          ).gflops
    const multiplied =
      product === undefined || speed === undefined ? 0 : (2 * product.out * product.in * product.many) / speed
    const worked = product === undefined ? elements * each : 0
    return model.call + Math.max(multiplied, bytes / gigabytes, worked)
  }
