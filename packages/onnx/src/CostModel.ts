/**
 * What a kind of processor takes for an operator, as a file of measured speeds, by which `uninet explain` predicts what was chosen and what was refused. Nothing is timed when a program is compiled, and what a program
 * is compiled to does not depend on these figures.
 *
 * `uninet calibrate` measures a machine and writes such a file.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import shipped from "./costs.ts"

/** Kinds of processors for which speeds differ. */
export const kinds = ["amd-avx512", "intel-avx512", "avx2", "other"] as const
/** A kind of processors. */
export type Kind = (typeof kinds)[number]

const Positive = Schema.Finite.pipe(Schema.check(Schema.isGreaterThan(0)))

/** How a product is read: `columns` have their many numbers side by side, `rows` one below the other, `gradient` sums over them. */
export const orientations = ["columns", "rows", "gradient"] as const
/** A way to read a product. */
export type Orientation = (typeof orientations)[number]

/** The version of the file's format: a file of another one is not read. */
export const version = 1

/** A machine's speeds, as `uninet calibrate` measures them. */
export const CostModel = Schema.Struct({
  format: Schema.Literal("uninet cost model"),
  version: Schema.Literal(version),
  processor: Schema.Literals(kinds),
  /** Of which machine the figures are, and how they were found. */
  source: Schema.String,
  /** Products of `out × in` weights with so many numbers for each of `in`, in GFLOP/s. */
  products: Schema.Array(
    Schema.Struct({
      orientation: Schema.Literals(orientations),
      out: Positive,
      in: Positive,
      many: Positive,
      gflops: Positive
    })
  ).pipe(Schema.check(Schema.isMinLength(1))),
  /** GB/s that are read and written where an operator touches so many bytes. */
  passes: Schema.Array(Schema.Struct({ bytes: Positive, gigabytes: Positive })).pipe(
    Schema.check(Schema.isMinLength(1))
  ),
  /** Nanoseconds of an element in the cache, by operator; of one that is not named as of `Add`. */
  elements: Schema.Record(Schema.String, Positive),
  /** Nanoseconds of an operator, however little it does. */
  call: Positive
})
export type CostModel = typeof CostModel.Type

/** What ships, by kind of processor. Where a kind was not measured it takes the figures of the nearest one, and says so. */
export const known: { readonly [K in Kind]: CostModel } = shipped

/** A file that is no cost model of this version, or one of another processor. */
export class BadCostModel extends Schema.TaggedError<BadCostModel>()("BadCostModel", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `the cost model ${this.file} ${this.reason}; make one for this machine by: uninet calibrate --out ${this.file}`
  }
}

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(CostModel))
const Version = Schema.fromJsonString(Schema.Struct({ format: Schema.String, version: Schema.Finite }))

/**
 * A cost model from a file's text.
 *
 * Fails with `BadCostModel` where it is damaged, of another version, or of another processor than `processor`.
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
            new BadCostModel({ file, reason: `is of a processor ${own.processor}, and this is ${processor}` })
          )
    }
    const about = Schema.decodeUnknownResult(Version)(text)
    const other =
      Result.isSuccess(about) && about.success.format === "uninet cost model" && about.success.version !== version
        ? `is of version ${about.success.version}, and this software reads ${version}`
        : "is damaged or none at all"
    return Result.fail(new BadCostModel({ file, reason: other }))
  }

/** The file's text. */
export const print = (model: CostModel): string => `${JSON.stringify(model, null, 2)}\n`

/** A piece of a model's work as its cost is told: a product's lengths where it is one. */
export interface Priced {
  readonly opType: string
  /** Read and written. */
  readonly bytes: number
  /** Elements that come out. */
  readonly elements: number
  readonly product: Product | undefined
}

/** A matrix product to be priced. */
export interface Product {
  readonly orientation: Orientation
  /** Numbers that come out, for each of the many. */
  readonly out: number
  /** Numbers that go in, for each of the many. */
  readonly in: number
  /** How many vectors are multiplied. */
  readonly many: number
}

const nearest = <A>(all: ReadonlyArray<A>, distance: (a: A) => number): A =>
  all.reduce((best, each) => (distance(each) < distance(best) ? each : best))

const ratio = (a: number, b: number) => Math.abs(Math.log(a / b))

/**
 * Predicted nanoseconds of an operator: a call, and the longest of its products, its passes over memory and its elements.
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
