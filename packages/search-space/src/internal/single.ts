/** The nodes of single choices, and of constants. */
import * as Arr from "effect/Array"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { absent, type Literal, type Site } from "../Site.ts"
import * as Grid from "./grid.ts"
import {
  addSite,
  emptyNode,
  notInSpace,
  report,
  showLiteral,
  type Build,
  type Context,
  type Node,
  type Place
} from "./node.ts"

/** A node with a single site. */
interface Leaf<A> extends Node<A> {
  readonly leaf: Site
}

/** What single choices have in common. */
const leafNode = <A extends Literal>(
  site: Site,
  value: (token: number) => A,
  tokenOf: (value: unknown) => number | undefined,
  options: {
    readonly expected: string
    readonly schema: Schema.Codec<A, unknown>
    readonly print: string
  }
): Leaf<A> => {
  const at = site.index
  const infinite = site.kind === "continuous"
  return {
    first: at,
    end: at + 1,
    size: infinite ? 1n : BigInt(site.count),
    distinct: infinite ? 1n : BigInt(site.count),
    infinite,
    sample: (prng, vector) => {
      vector[at] = prng.nextInt(site.count)
    },
    decode: (vector) => value(vector[at] ?? absent),
    encode: (input, vector, path) => {
      const token = tokenOf(input)
      if (token === undefined) return notInSpace(path, input, options.expected)
      vector[at] = token
      return undefined
    },
    canonicalise: () => {},
    rank: (vector) => (infinite ? 0n : BigInt(vector[at] ?? absent)),
    unrank: (rank, vector) => {
      vector[at] = infinite ? site.seed : Number(rank)
    },
    schema: options.schema,
    meaning: () => undefined,
    print: (indent) => [indent + options.print],
    leaf: site
  }
}

export const oneOf =
  <L extends Literal>(
    kind: "categorical" | "ordered",
    given: ReadonlyArray<L>,
    settings: { readonly seed?: L } | undefined
  ) =>
  (context: Context, place: Place): Leaf<L> => {
    const tokens = new Map<unknown, number>(given.map((option, token) => [option, token]))
    const twice = given.find((option, token) => tokens.get(option) !== token)
    if (given.length === 0) {
      report(context, place.path, "the choice has no options", "Give it at least one")
    } else if (twice !== undefined) {
      report(context, place.path, `the option ${showLiteral(twice)} is listed twice`, "List every option once")
    }
    for (const option of given) {
      if (typeof option === "number" && !Number.isFinite(option)) {
        report(context, place.path, `the option ${option} has no JSON form`, "Use finite numbers")
      }
    }
    let seed = 0
    if (settings?.seed !== undefined) {
      const token = tokens.get(settings.seed)
      if (token === undefined) {
        report(
          context,
          place.path,
          `the seed ${showLiteral(settings.seed)} is not one of its options`,
          "Use one of its options"
        )
      } else seed = token
    }
    const options = [...given]
    const value = (token: number): L => Arr.getUnsafe(options, token)
    const site = addSite(context, place, { kind, count: options.length, seed, value })
    const list = options.map(showLiteral).join(" | ")
    return leafNode(site, value, (input) => tokens.get(input), {
      expected: options.length === 1 ? list : `one of ${list}`,
      schema: literals(options),
      print: `${list}${kind === "ordered" ? " (ordered)" : ""}`
    })
  }

/** A schema of literals, which may include `null`. */
const literals = <L extends Literal>(options: ReadonlyArray<L>): Schema.Codec<L, unknown> => {
  // numbers without a JSON form have already been reported
  const plain = options.filter(
    (option): option is L & (string | number | boolean) =>
      option !== null && (typeof option !== "number" || Number.isFinite(option))
  )
  const members: Array<Schema.Codec<Literal, unknown>> = []
  if (plain.length > 0) members.push(Schema.Literals(plain))
  if (options.some((option) => option === null)) members.push(Schema.Null)
  // the union has exactly the options as members, so its type is L; TypeScript cannot see through the filter
  return Schema.Union(members) as Schema.Codec<Literal, unknown> as Schema.Codec<L, unknown>
}

export const integer =
  (range: { readonly min: number; readonly max: number; readonly step?: number; readonly seed?: number }) =>
  (context: Context, place: Place): Leaf<number> => {
    const { max, min, step = 1 } = range
    const seedValue = range.seed ?? min
    const whole = [min, max, step].every(Number.isSafeInteger) && step >= 1
    let count = whole ? Math.floor((max - min) / step) + 1 : 0
    if (!whole) {
      report(
        context,
        place.path,
        `the range ${min} … ${max} by ${step} is not a range of integers`,
        "Use integers and a step of 1 or more"
      )
    } else if (count < 1) {
      report(context, place.path, `the range ${min} … ${max} is empty`, "Use a max at or above min")
    } else if (count > 0x7fffffff) {
      report(
        context,
        place.path,
        `the range has ${count} numbers, which is too many`,
        "Keep it below 2^31 numbers, for example with a larger step"
      )
      count = 1
    }
    const value = (token: number) => min + token * step
    const tokenOf = (input: unknown) => {
      if (typeof input !== "number") return undefined
      const token = (input - min) / step
      return Number.isInteger(token) && token >= 0 && token < count ? token : undefined
    }
    let seed = 0
    if (count > 0) {
      const token = tokenOf(seedValue)
      if (token === undefined)
        report(context, place.path, `the seed ${seedValue} is outside the range`, "Use a number of the range")
      else seed = token
    }
    const site = addSite(context, place, { kind: "integer", count, seed, value })
    const text = `${min} … ${max}${step === 1 ? "" : ` by ${step}`}`
    const between = whole ? Schema.Int.check(Schema.isBetween({ minimum: min, maximum: max })) : Schema.Int
    return leafNode(site, value, tokenOf, {
      expected: `an integer from ${min} to ${max}${step === 1 ? "" : ` in steps of ${step}`}`,
      schema:
        step === 1
          ? between
          : between.check(Schema.makeFilter((n) => (n - min) % step === 0 || `must be one of ${text}`)),
      print: text
    })
  }

export const continuous =
  (
    scale: "linear" | "logarithmic",
    range: { readonly min: number; readonly max: number; readonly seed?: number }
  ): Build<number> =>
  (context, place) => {
    const made = Grid.make(scale, range)
    if (Result.isFailure(made)) {
      report(context, place.path, made.failure.problem, made.failure.remedy)
      return emptyNode(context, Schema.Finite)
    }
    const { count, tokenOf, value } = made.success
    const { max, min, seed = min } = range
    const token = tokenOf(seed)
    if (token === undefined) {
      report(context, place.path, `the seed ${seed} is outside the range`, "Use a number of the range")
    }
    const site = addSite(context, place, { kind: "continuous", scale, count, seed: token ?? 0, value })
    return leafNode(site, value, tokenOf, {
      expected: `a number from ${Grid.show(min)} to ${Grid.show(max)}`,
      schema: Schema.Finite.check(Schema.isBetween({ minimum: min, maximum: max })),
      print: `${Grid.show(min)} … ${Grid.show(max)} (${scale === "linear" ? "continuous" : scale})`
    })
  }

export const constant =
  <L extends Literal>(value: L): Build<L> =>
  (context, place) => {
    if (typeof value === "number" && !Number.isFinite(value)) {
      report(context, place.path, `the constant ${value} has no JSON form`, "Use a finite number")
    }
    return constantNode(context, value)
  }

const constantNode = <L extends Literal>(context: Context, value: L): Node<L> => ({
  first: context.sites.length,
  end: context.sites.length,
  size: 1n,
  distinct: 1n,
  infinite: false,
  sample: () => {},
  decode: () => value,
  encode: (input, _vector, path) => (input === value ? undefined : notInSpace(path, input, showLiteral(value))),
  canonicalise: () => {},
  rank: () => 0n,
  unrank: () => {},
  schema: literals([value]),
  meaning: () => ({ constant: value }),
  print: (indent) => [indent + showLiteral(value)],
  parts: []
})
