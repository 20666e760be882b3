/** The nodes of choices that are mapped to values of another type. */
import * as Arr from "effect/Array"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Choice, Mapping } from "../Choice.ts"
import * as Prng from "../Prng.ts"
import { absent } from "../Site.ts"
import { fnv1aHex } from "./fnv.ts"
import {
  assignments,
  emptyNode,
  notInSpace,
  report,
  type Build,
  type Context,
  type Node,
  type Path,
  type Vector
} from "./node.ts"
import { firstDifference, isRecord, remember, showPath, stableStringify } from "./stable.ts"

export const map =
  <A, B>(choice: Choice<A>, mapping: Mapping<A, B>): Build<B> =>
  (context, place) => {
    const locate = (path: Path): Path => [...place.path, ...(mapping.locate ?? ((p: Path) => p))(path)]
    // built as a separate root, so that its paths can be translated to the mapped type
    const problems: Context["problems"] = []
    const inner = choice.build({ sites: context.sites, problems }, { path: [], conditions: place.conditions })
    for (const problem of problems) context.problems.push({ ...problem, path: locate(problem.path) })
    for (const site of context.sites.slice(inner.first, inner.end)) {
      const path = locate(site.path)
      context.sites[site.index] = { ...site, path, name: showPath(path) }
    }
    const check = Schema.decodeUnknownResult(Schema.toType(mapping.schema))
    return {
      ...without(inner),
      decode: (vector) => mapping.to(inner.decode(vector)),
      encode: (input, vector, path) => {
        const typed = check(input)
        if (Result.isFailure(typed))
          return notInSpace(path, input, `a value that matches its schema (${typed.failure.message})`)
        const from = mapping.from(typed.success)
        if (Result.isFailure(from)) {
          return notInSpace([...path, ...from.failure.path], from.failure.value, from.failure.expected)
        }
        // the inverse of a function of real numbers rarely restores the last bit
        const difference = firstDifference(mapping.to(from.success), typed.success, inner.infinite ? 1e-9 : 0)
        if (difference !== undefined) {
          return notInSpace(
            [...path, ...difference.path],
            difference.actual,
            stableStringify(difference.expected ?? null)
          )
        }
        const fault = inner.encode(from.success, vector, [])
        if (fault === undefined) return undefined
        return notInSpace([...path, ...(mapping.locate ?? ((p: Path) => p))(fault.path)], fault.value, fault.expected)
      },
      schema: mapping.schema,
      meaning: () => ({ values: sampled(context, inner, mapping.schema, mapping.to), of: inner.meaning() ?? null })
    }
  }

/** The number of values that identify a mapping: all values if there are no more than this, otherwise this many from a fixed generator. */
const samples = 64

const sampled = <A, B>(
  { sites }: Context,
  inner: Node<A>,
  schema: Schema.Codec<B, unknown>,
  to: (a: A) => B
): ReadonlyArray<unknown> => {
  const encode = Schema.encodeUnknownResult(Schema.toCodecJson(schema))
  // a value without a JSON form counts as its text here; `Space.encodeJson` rejects it
  const json = (vector: Vector) => {
    const value = to(inner.decode(vector))
    return Result.getOrElse(encode(value), () => String(value))
  }
  const vector: Vector = new Int32Array(sites.length).fill(absent)
  const out: Array<unknown> = []
  if (!inner.infinite && inner.distinct <= BigInt(samples)) {
    for (let rank = 0n; rank < inner.distinct; rank++) {
      inner.unrank(rank, vector)
      out.push(json(vector))
    }
    return out
  }
  const prng = Prng.fromSeed("what a mapping means")
  for (let i = 0; i < samples; i++) {
    vector.fill(absent)
    inner.sample(prng, vector)
    out.push(json(vector))
  }
  return out
}

/** A node without the properties that a mapping does not keep: a condition cannot refer to a mapped single choice. */
const without = <A>(node: Node<A>): Omit<Node<A>, "leaf"> => {
  const { leaf: _, ...rest } = node
  return rest
}

/** A quotient with more combinations of choices than this is not tabulated. */
const tableLimit = 2 ** 20

export const quotient =
  <A, B>(
    choice: Choice<A>,
    mapping: { readonly schema: Schema.Codec<B, unknown>; readonly to: (a: A) => B; readonly canonical?: (b: B) => B }
  ): Build<B> =>
  (context, place) => {
    const faults = context.problems.length
    const inner = choice.build(context, place)
    const { end, first } = inner
    if (context.problems.length > faults) return emptyNode(context, mapping.schema)
    if (inner.infinite) {
      report(
        context,
        place.path,
        "a quotient with a continuous choice cannot be tabulated",
        "Move the continuous choices out of it, or use `map`"
      )
      return emptyNode(context, mapping.schema)
    }
    const sites = context.sites.slice(first, end)
    // encodes a vector's sites as one mixed-radix number, in which every site has one more digit value for absent
    const cells = sites.reduce((n, site) => n * (site.count + 1), 1)
    if (inner.size > BigInt(tableLimit) || cells > 64 * tableLimit) {
      report(
        context,
        place.path,
        `a quotient of ${inner.size} choices is too large to tabulate`,
        `Keep it to at most ${tableLimit} choices: use quotients of its parts instead`
      )
      return emptyNode(context, mapping.schema)
    }
    const canonical = mapping.canonical ?? ((b: B) => b)
    const table = new Int32Array(cells).fill(-1)
    const cell = (vector: Vector) => {
      let index = 0
      for (const site of sites) index = index * (site.count + 1) + (vector[site.index] ?? absent) + 1
      return index
    }
    const fromSeed = (vector: Vector) =>
      sites.reduce((sum, { count, index, kind, seed }) => {
        const token = vector[index] ?? absent
        if (token === seed || token === absent) return sum
        return sum + 1 + (kind === "categorical" ? 0 : Math.abs(token - seed) / count)
      }, 0)
    const classOf = new Map<string, number>()
    // every class with the tokens in it that are nearest to the seed point
    const classes: Array<{ readonly value: B; tokens: Vector; distance: number }> = []
    try {
      for (const vector of assignments(context.sites, first, end)) {
        const value = canonical(mapping.to(inner.decode(vector)))
        const key = stableStringify(value)
        const distance = fromSeed(vector)
        const id = classOf.get(key) ?? classes.length
        const known = classes[id]
        if (known === undefined) {
          classOf.set(key, id)
          deepFreeze(value)
          if (isRecord(value)) remember(value, key)
          classes.push({ value, tokens: vector.slice(first, end), distance })
        } else if (distance < known.distance) {
          known.tokens = vector.slice(first, end)
          known.distance = distance
        }
        table[cell(vector)] = id
      }
    } catch (cause) {
      report(
        context,
        place.path,
        `its mapping failed: ${cause instanceof Error ? cause.message : String(cause)}`,
        "Make `to` return a value for every choice"
      )
      return emptyNode(context, mapping.schema)
    }
    // values come from the table, so most values that are encoded are the same objects
    const values = classes.map(({ value }) => value)
    const width = end - first
    const tokens = new Int32Array(classes.length * width)
    for (const [id, each] of classes.entries()) tokens.set(each.tokens, id * width)
    const known = new WeakMap<object, number>()
    values.forEach((value, id) => {
      if (typeof value === "object" && value !== null) known.set(value, id)
    })
    const isValue = Schema.is(mapping.schema)
    const lookUp = (input: unknown): number | undefined => {
      const same = typeof input === "object" && input !== null ? known.get(input) : undefined
      if (same !== undefined) return same
      return isValue(input) ? classOf.get(stableStringify(canonical(input))) : undefined
    }
    const write = (id: number, vector: Vector) => {
      // for so few tokens, a loop is faster than `set`
      for (let i = 0; i < width; i++) vector[first + i] = tokens[id * width + i] ?? absent
    }
    const read = (vector: Vector) => table[cell(vector)] ?? absent
    return {
      first,
      end,
      size: inner.size,
      distinct: BigInt(values.length),
      infinite: false,
      sample: (prng, vector) => write(prng.nextInt(values.length), vector),
      decode: (vector) => Arr.getUnsafe(values, read(vector)),
      encode: (input, vector, path) => {
        const id = lookUp(input)
        if (id !== undefined) {
          write(id, vector)
          return undefined
        }
        const { example, difference } = nearest(input, values)
        if (difference === undefined) return notInSpace(path, input, `a value like ${stableStringify(example)}`)
        return notInSpace(
          [...path, ...difference.path],
          difference.actual,
          `${stableStringify(difference.expected ?? null)}, as in the most similar of its ${values.length} values`
        )
      },
      canonicalise: (vector) => write(read(vector), vector),
      rank: (vector) => BigInt(read(vector)),
      unrank: (rank, vector) => write(Number(rank), vector),
      schema: mapping.schema,
      // the class of every combination of choices, in order, and the classes' values
      meaning: () => ({
        classes: fnv1aHex(Array.from(assignments(context.sites, first, end), read).join()),
        values: fnv1aHex([...classOf.keys()].join())
      }),
      print: inner.print
    }
  }

/** The value that shares the most top-level entries with the input, for a message that points to the first difference. */
const nearest = (input: unknown, values: ReadonlyArray<unknown>) => {
  let best = values[0]
  let most = -1
  for (const value of values) {
    const same =
      isRecord(value) && isRecord(input)
        ? Object.keys(value).filter((key) => stableStringify(value[key]) === stableStringify(input[key])).length
        : 0
    if (same > most) {
      best = value
      most = same
    }
  }
  return { example: best, difference: firstDifference(best, input) }
}

const deepFreeze = (value: unknown): void => {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const item of Object.values(value)) deepFreeze(item)
  }
}
