/** The nodes of products: tuples and repetitions. */
import * as Arr from "effect/Array"
import * as Schema from "effect/Schema"
import type { Choice } from "../Choice.ts"
import type { Prng } from "../Prng.ts"
import { absent } from "../Site.ts"
import {
  clear,
  emptyNode,
  meanings,
  notInSpace,
  report,
  scatter,
  type Build,
  type Node,
  type Path,
  type Vector
} from "./node.ts"
import { integer } from "./single.ts"

/** What products of independent nodes have in common. */
export const product = (parts: ReadonlyArray<Node<unknown>>, first: number, end: number) => ({
  first,
  end,
  size: parts.reduce((n, part) => n * part.size, 1n),
  distinct: parts.reduce((n, part) => n * part.distinct, 1n),
  infinite: parts.some((part) => part.infinite),
  meaning: () => meanings(parts),
  sample: (prng: Prng, vector: Vector) => {
    for (const part of parts) part.sample(prng, vector)
  },
  canonicalise: (vector: Vector) => {
    for (const part of parts) part.canonicalise(vector)
  },
  rank: (vector: Vector) => parts.reduce((rank, part) => rank * part.distinct + part.rank(vector), 0n),
  unrank: (rank: bigint, vector: Vector) => {
    parts.reduceRight((rest, part) => {
      part.unrank(rest % part.distinct, vector)
      return rest / part.distinct
    }, rank)
  }
})

/** Encodes an array item by item; returns the first fault. */
const encodeItems = (
  parts: ReadonlyArray<Node<unknown>>,
  input: unknown,
  vector: Vector,
  path: Path,
  expected: string
) => {
  if (!Array.isArray(input) || input.length !== parts.length) return notInSpace(path, input, expected)
  for (const [i, part] of parts.entries()) {
    const fault = part.encode(input[i], vector, [...path, i])
    if (fault !== undefined) return fault
  }
  return undefined
}

/** A part's outline under its name, on the same line as the name if it is a single line. */
export const labelled = (label: string, node: Node<unknown>, indent: string): ReadonlyArray<string> => {
  const [head, ...rest] = node.print(indent)
  return rest.length === 0
    ? [`${indent}${label}: ${(head ?? "").trimStart()}`]
    : [`${indent}${label}:`, ...node.print(`${indent}  `)]
}

export const tuple =
  <const Items extends ReadonlyArray<Choice<unknown>>>(
    items: Items
  ): Build<{ readonly [K in keyof Items]: Items[K] extends Choice<infer A> ? A : never }> =>
  (context, place) => {
    type Value = { readonly [K in keyof Items]: Items[K] extends Choice<infer A> ? A : never }
    const first = context.sites.length
    const parts = items.map((item, i) => item.build(context, { ...place, path: [...place.path, i] }))
    return {
      ...product(parts, first, context.sites.length),
      // the i-th part decodes to the i-th item's type; TypeScript does not follow `map` over a tuple
      decode: (vector) => parts.map((part) => part.decode(vector)) as ReadonlyArray<unknown> as Value,
      encode: (input, vector, path) => encodeItems(parts, input, vector, path, `an array of length ${parts.length}`),
      schema: Schema.Tuple(parts.map((part) => part.schema)) as Schema.Codec<unknown, unknown> as Schema.Codec<
        Value,
        unknown
      >,
      print: (indent) => parts.flatMap((part, i) => labelled(`[${i}]`, part, indent)),
      parts,
      factor: (key) => parts[Number(key)]
    }
  }

export const repeat =
  <A>(
    item: Choice<A>,
    range: { readonly min: number; readonly max: number; readonly seed?: number }
  ): Build<ReadonlyArray<A>> =>
  (context, place) => {
    const { max, min } = range
    if (!(Number.isInteger(min) && Number.isInteger(max) && min >= 0 && max >= min)) {
      report(context, place.path, `it is repeated ${min} to ${max} times`, "Use integers with 0 ≤ min ≤ max")
      return emptyNode(context, Schema.Array(Schema.Never))
    }
    const first = context.sites.length
    const lengthSite =
      min === max ? undefined : integer(range)(context, { ...place, path: [...place.path, "length"] }).leaf
    const parts: Array<Node<A>> = []
    for (let i = 0; i < max; i++) {
      const conditions =
        lengthSite === undefined || i < min
          ? place.conditions
          : [...place.conditions, { site: lengthSite.index, options: new Set(span(i + 1 - min, max - min + 1)) }]
      parts.push(item.build(context, { path: [...place.path, i], conditions }))
    }
    const end = context.sites.length
    const schema = Schema.Array(parts[0]?.schema ?? (Schema.Never as Schema.Codec<A, unknown>))
      .check(Schema.isMinLength(min))
      .check(Schema.isMaxLength(max))
    const expected = min === max ? `an array of length ${max}` : `an array of length ${min} to ${max}`
    const print = (indent: string) => [
      `${indent}${min === max ? max : `${min} … ${max}`} times:`,
      ...(parts[0]?.print(`${indent}  `) ?? [])
    ]
    if (lengthSite === undefined) {
      return {
        ...product(parts, first, end),
        decode: (vector) => parts.map((part) => part.decode(vector)),
        encode: (input, vector, path) => encodeItems(parts, input, vector, path, expected),
        schema,
        meaning: () => repeated(parts[0], max),
        print,
        parts,
        factor: (key) => parts[Number(key)]
      }
    }
    // one product per length: prefixes[k] has the first min + k items
    const prefixes = span(min, max + 1).map((n) => product(parts.slice(0, n), first, end))
    const distinct = prefixes.reduce((n, p) => n + p.distinct, 0n)
    const infinite = parts.some((part) => part.infinite)
    const at = lengthSite.index
    const tokenOf = (vector: Vector) => vector[at] ?? absent
    const current = (vector: Vector) => Arr.getUnsafe(prefixes, tokenOf(vector))
    const clearAfter = (n: number, vector: Vector) => clear(vector, parts[n]?.first ?? end, end)
    const unrank = (rank: bigint, vector: Vector) => {
      let rest = rank
      for (const [k, prefix] of prefixes.entries()) {
        if (rest < prefix.distinct) {
          vector[at] = k
          clearAfter(min + k, vector)
          return prefix.unrank(rest, vector)
        }
        rest -= prefix.distinct
      }
    }
    return {
      first,
      end,
      size: prefixes.reduce((n, p) => n + p.size, 0n),
      distinct,
      infinite,
      sample: (prng, vector) => {
        unrank(prng.nextBigInt(distinct), vector)
        if (infinite) scatter(prng, context.sites, first, end, vector)
      },
      canonicalise: (vector) => current(vector).canonicalise(vector),
      decode: (vector) => parts.slice(0, min + tokenOf(vector)).map((part) => part.decode(vector)),
      encode: (input, vector, path) => {
        if (!Array.isArray(input) || input.length < min || input.length > max) return notInSpace(path, input, expected)
        vector[at] = input.length - min
        clearAfter(input.length, vector)
        return encodeItems(parts.slice(0, input.length), input, vector, path, expected)
      },
      rank: (vector) =>
        prefixes.slice(0, tokenOf(vector)).reduce((n, p) => n + p.distinct, 0n) + current(vector).rank(vector),
      unrank,
      schema,
      meaning: () => repeated(parts[0], max),
      print
    }
  }

/** The meaning of a repetition, whose parts all mean the same. */
const repeated = (item: Node<unknown> | undefined, times: number): unknown => {
  const meaning = item?.meaning()
  return meaning === undefined ? undefined : { times, meaning }
}

const span = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)
