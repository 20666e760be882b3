/** The nodes behind the constructors of `Choice`. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Choice, Fields, Mapping, StructValue, VariantsValue, When } from "../Choice.ts"
import type { Prng } from "../Prng.ts"
import { absent, type Condition, type Literal, type Site } from "../Site.ts"
import {
  addSite,
  assignments,
  clear,
  notInSpace,
  showLiteral,
  type Context,
  type Node,
  type Path,
  type Place,
  type Vector
} from "./node.ts"
import { firstDifference, isRecord, showPath, stableStringify } from "./stable.ts"

type Build<A> = (context: Context, place: Place) => Node<A>

const report = (context: Context, path: Path, problem: string, remedy: string) => {
  context.problems.push({ path, problem, remedy })
}

/** A node whose sites are one site: shared by the single choices. */
const leafNode = <A extends Literal>(
  site: Site,
  value: (token: number) => A,
  tokenOf: (value: unknown) => number | undefined,
  options: {
    readonly expected: string
    readonly schema: Schema.Codec<A, unknown>
    readonly print: string
  }
): Node<A> => {
  const at = site.index
  return {
    first: at,
    end: at + 1,
    size: BigInt(site.count),
    distinct: BigInt(site.count),
    sample: (prng, vector) => {
      vector[at] = prng.nextInt(site.count)
    },
    decode: (vector) => value(vector[at]!),
    encode: (input, vector, path) => {
      const token = tokenOf(input)
      if (token === undefined) return notInSpace(path, input, options.expected)
      vector[at] = token
      return undefined
    },
    canonicalise: () => {},
    rank: (vector) => BigInt(vector[at]!),
    unrank: (rank, vector) => {
      vector[at] = Number(rank)
    },
    schema: options.schema,
    print: (indent) => [indent + options.print],
    leaf: site
  }
}

export const oneOf =
  <L extends Literal>(
    kind: "categorical" | "ordered",
    given: ReadonlyArray<L>,
    settings: { readonly seed?: L } | undefined
  ): Build<L> =>
  (context, place) => {
    const tokens = new Map<unknown, number>(given.map((option, token) => [option, token]))
    if (given.length === 0) {
      report(context, place.path, "the choice has no option", "Give it at least one")
    } else if (tokens.size !== given.length) {
      const twice = given.find((option, token) => given.indexOf(option) !== token)!
      report(context, place.path, `the option ${showLiteral(twice)} is there twice`, "Give every option once")
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
        report(context, place.path, `the seed ${showLiteral(settings.seed)} is none of its options`, "Name one of them")
      } else seed = token
    }
    const options = [...given]
    const value = (token: number): L => options[token]!
    const site = addSite(context, place, { kind, count: options.length, seed, value })
    const list = options.map(showLiteral).join(" | ")
    return leafNode(site, value, (input) => tokens.get(input), {
      expected: options.length === 1 ? list : `one of ${list}`,
      schema: literals(options),
      print: `${list}${kind === "ordered" ? " (ordered)" : ""}`
    })
  }

/** A schema of some literals, `null` among them. */
const literals = <L extends Literal>(options: ReadonlyArray<L>): Schema.Codec<L, unknown> => {
  // numbers without a JSON form have been reported
  const plain = options.filter(
    (option): option is L & (string | number | boolean) =>
      option !== null && (typeof option !== "number" || Number.isFinite(option))
  )
  const members: Array<Schema.Codec<Literal, unknown>> = []
  if (plain.length > 0) members.push(Schema.Literals(plain))
  if (options.some((option) => option === null)) members.push(Schema.Null)
  // the union has just the options as members, so its type is L; TypeScript cannot see through the filter
  return Schema.Union(members) as Schema.Codec<Literal, unknown> as Schema.Codec<L, unknown>
}

export const integer =
  (range: {
    readonly min: number
    readonly max: number
    readonly step?: number
    readonly seed?: number
  }): Build<number> =>
  (context, place) => {
    const { max, min, step = 1 } = range
    const seedValue = range.seed ?? min
    const whole = [min, max, step].every(Number.isSafeInteger) && step >= 1
    let count = whole ? Math.floor((max - min) / step) + 1 : 0
    if (!whole) {
      report(
        context,
        place.path,
        `the range ${min} … ${max} by ${step} is not of integers`,
        "Use integers, and a step of 1 or more"
      )
    } else if (count < 1) {
      report(context, place.path, `the range ${min} … ${max} is empty`, "Let max be min or more")
    } else if (count > 0x7fffffff) {
      report(
        context,
        place.path,
        `the range has ${count} numbers`,
        "Keep it below 2^31, with a larger step for instance"
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
      expected: `an integer of ${text}`,
      schema:
        step === 1 ? between : between.check(Schema.makeFilter((n) => (n - min) % step === 0 || `must be of ${text}`)),
      print: text
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
  sample: () => {},
  decode: () => value,
  encode: (input, _vector, path) => (input === value ? undefined : notInSpace(path, input, showLiteral(value))),
  canonicalise: () => {},
  rank: () => 0n,
  unrank: () => {},
  schema: literals([value]),
  print: (indent) => [indent + showLiteral(value)],
  parts: []
})

/** The working parts of a product of independent nodes. */
const product = (parts: ReadonlyArray<Node<unknown>>, first: number, end: number) => ({
  first,
  end,
  size: parts.reduce((n, part) => n * part.size, 1n),
  distinct: parts.reduce((n, part) => n * part.distinct, 1n),
  sample: (prng: Prng, vector: Vector) => {
    for (const part of parts) part.sample(prng, vector)
  },
  canonicalise: (vector: Vector) => {
    for (const part of parts) part.canonicalise(vector)
  },
  rank: (vector: Vector) => parts.reduce((rank, part) => rank * part.distinct + part.rank(vector), 0n),
  unrank: (rank: bigint, vector: Vector) => {
    let rest = rank
    for (let i = parts.length - 1; i >= 0; i--) {
      const part = parts[i]!
      part.unrank(rest % part.distinct, vector)
      rest /= part.distinct
    }
  }
})

const encodeItems = (
  parts: ReadonlyArray<Node<unknown>>,
  input: unknown,
  vector: Vector,
  path: Path,
  expected: string
) => {
  if (!Array.isArray(input) || input.length !== parts.length) return notInSpace(path, input, expected)
  for (let i = 0; i < parts.length; i++) {
    const fault = parts[i]!.encode(input[i], vector, [...path, i])
    if (fault !== undefined) return fault
  }
  return undefined
}

const labelled = (label: string, node: Node<unknown>, indent: string): ReadonlyArray<string> => {
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
      encode: (input, vector, path) => encodeItems(parts, input, vector, path, `an array of ${parts.length}`),
      schema: Schema.Tuple(parts.map((part) => part.schema)) as Schema.Codec<unknown, unknown> as Schema.Codec<
        Value,
        unknown
      >,
      print: (indent) => parts.flatMap((part, i) => labelled(`[${i}]`, part, indent)),
      parts
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
    const length = min === max ? undefined : integer(range)(context, { ...place, path: [...place.path, "length"] })
    const lengthSite = length?.leaf
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
    const expected = min === max ? `an array of ${max}` : `an array of ${min} to ${max}`
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
        print,
        parts
      }
    }
    // products by length: prefixes[k] has the first min + k items
    const prefixes = span(min, max + 1).map((n) => product(parts.slice(0, n), first, end))
    const distinct = prefixes.reduce((n, p) => n + p.distinct, 0n)
    const at = lengthSite.index
    const current = (vector: Vector) => prefixes[vector[at]!]!
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
      sample: (prng, vector) => unrank(prng.nextBigInt(distinct), vector),
      canonicalise: (vector) => current(vector).canonicalise(vector),
      decode: (vector) => parts.slice(0, min + vector[at]!).map((part) => part.decode(vector)),
      encode: (input, vector, path) => {
        if (!Array.isArray(input) || input.length < min || input.length > max) return notInSpace(path, input, expected)
        vector[at] = input.length - min
        clearAfter(input.length, vector)
        return encodeItems(parts.slice(0, input.length), input, vector, path, expected)
      },
      rank: (vector) => {
        const k = vector[at]!
        return prefixes.slice(0, k).reduce((n, p) => n + p.distinct, 0n) + current(vector).rank(vector)
      },
      unrank,
      schema,
      print
    }
  }

const span = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)

/** Stands in for a declaration with a fault; no space is made of it. */
const emptyNode = <A>(context: Context, schema: Schema.Codec<A, unknown>): Node<A> => ({
  first: context.sites.length,
  end: context.sites.length,
  size: 0n,
  distinct: 0n,
  sample: () => {},
  decode: () => {
    throw new Error("a declaration with a fault has no values")
  },
  encode: (input, _vector, path) => notInSpace(path, input, "nothing"),
  canonicalise: () => {},
  rank: () => 0n,
  unrank: () => {},
  schema,
  print: (indent) => [`${indent}(invalid)`]
})

export const invalid =
  (problem: string, remedy: string): Build<never> =>
  (context, place) => {
    report(context, place.path, problem, remedy)
    return emptyNode(context, Schema.Never)
  }

const isWhen = (field: Choice<unknown> | When<unknown>): field is When<unknown> => "choice" in field

/** A field of a struct, placed: its node, and what it depends on (positions in the struct's list of fields, and tokens). */
interface Field {
  readonly key: string
  readonly node: Node<unknown>
  readonly needs: ReadonlyArray<{ readonly field: number; readonly options: ReadonlySet<number> }>
  readonly when: string
}

export const struct =
  <const F extends Fields>(declared: F) =>
  (context: Context, place: Place): Node<StructValue<F>> & { readonly fields: Schema.Struct.Fields } => {
    const first = context.sites.length
    const fields: Array<Field> = []
    const positions = new Map<string, number>()
    for (const key of dependencyOrder(declared, context, place)) {
      const field = declared[key]!
      const needs: Array<Field["needs"][number]> = []
      const conditions: Array<Condition> = [...place.conditions]
      let when = ""
      if (isWhen(field)) {
        for (const [parent, values] of Object.entries(field.conditions)) {
          const position = positions.get(parent)
          const site = position === undefined ? undefined : fields[position]!.node.leaf
          if (position === undefined || site === undefined) {
            // a parent that is missing or in a cycle has been reported by dependencyOrder
            if (position !== undefined) {
              report(
                context,
                [...place.path, key],
                `it is conditional on "${parent}", which is not a single choice`,
                "Refer to a categorical, ordered or integer field"
              )
            }
            continue
          }
          const tokens = new Set<number>()
          for (const value of values) {
            const token = tokenOfValue(site, value)
            if (token === undefined) {
              report(
                context,
                [...place.path, key],
                `its condition needs "${parent}" to be ${showLiteral(value)}, which is none of its options`,
                "Use values that the field can have"
              )
            } else tokens.add(token)
          }
          if (values.length === 0) {
            report(
              context,
              [...place.path, key],
              `its condition on "${parent}" lists no value, so it never exists`,
              "List a value, or leave the field out"
            )
          }
          needs.push({ field: position, options: tokens })
          conditions.push(...site.conditions.filter((c) => !conditions.includes(c)), {
            site: site.index,
            options: tokens
          })
          when += `${when === "" ? "" : " and "}${parent} is ${values.map(showLiteral).join(" | ")}`
        }
      }
      const choice = isWhen(field) ? field.choice : field
      const node = choice.build(context, { path: [...place.path, key], conditions })
      positions.set(key, fields.length)
      fields.push({ key, node, needs, when })
    }
    const end = context.sites.length
    // values and prints keep the order in which the fields were written
    const written = Object.keys(declared).flatMap((key) => {
      const position = positions.get(key)
      return position === undefined ? [] : [{ ...fields[position]!, position }]
    })
    const conditional = fields.some((field) => field.needs.length > 0)
    const isActive = (vector: Vector) => {
      const active: Array<boolean> = []
      for (const { needs } of fields) {
        active.push(needs.every((n) => active[n.field]! && n.options.has(vector[fields[n.field]!.node.first]!)))
      }
      return active
    }
    const decode = (vector: Vector) => {
      const active = conditional ? isActive(vector) : undefined
      const out: Record<string, unknown> = {}
      for (const { key, node, position } of written) {
        if (active === undefined || active[position]!) out[key] = node.decode(vector)
      }
      return out
    }
    const encode = (input: unknown, vector: Vector, path: Path) => {
      if (!isRecord(input) || Array.isArray(input))
        return notInSpace(path, input, `a record of ${written.map((f) => f.key).join(", ")}`)
      clear(vector, first, end)
      const active: Array<boolean> = []
      for (const { key, needs, node, when } of fields) {
        const here = needs.every((n) => active[n.field]! && n.options.has(vector[fields[n.field]!.node.first]!))
        active.push(here)
        if (here) {
          const fault = node.encode(input[key], vector, [...path, key])
          if (fault !== undefined) return fault
        } else if (input[key] !== undefined) {
          return notInSpace([...path, key], input[key], `nothing (the field exists only where ${when})`)
        }
      }
      const extra = Object.keys(input).find((key) => !positions.has(key))
      return extra === undefined ? undefined : notInSpace([...path, extra], input[extra], "no such field")
    }
    const schemaFields: Record<
      string,
      Schema.Codec<unknown, unknown> | Schema.optionalKey<Schema.Codec<unknown, unknown>>
    > = {}
    for (const { key, needs, node } of written) {
      schemaFields[key] = needs.length === 0 ? node.schema : Schema.optionalKey(node.schema)
    }
    const nodes = fields.map((field) => field.node)
    const counting = conditional
      ? dependentProduct(fields, first, end)
      : { ...product(nodes, first, end), parts: nodes }
    return {
      ...counting,
      // every key decodes to its field's type, the conditional ones to nothing where they do not exist
      decode: (vector) => decode(vector) as StructValue<F>,
      encode,
      fields: schemaFields,
      schema: Schema.Struct(schemaFields) as Schema.Codec<unknown, unknown> as Schema.Codec<StructValue<F>, unknown>,
      print: (indent) =>
        written.flatMap(({ key, node, when }) => labelled(when === "" ? key : `${key} (where ${when})`, node, indent))
    }
  }

const tokenOfValue = (site: Site, value: Literal): number | undefined => {
  if (site.kind === "integer") {
    if (typeof value !== "number") return undefined
    const step = site.count > 1 ? Number(site.value(1)) - Number(site.value(0)) : 1
    const token = (value - Number(site.value(0))) / step
    return Number.isInteger(token) && token >= 0 && token < site.count ? token : undefined
  }
  for (let token = 0; token < site.count; token++) if (site.value(token) === value) return token
  return undefined
}

/** The keys such that a field comes after those its condition names; reports names that do not exist and cycles. */
const dependencyOrder = (declared: Fields, context: Context, place: Place): ReadonlyArray<string> => {
  const keys = Object.keys(declared)
  const parentsOf = (key: string): ReadonlyArray<string> => {
    const field = declared[key]!
    return isWhen(field) ? Object.keys(field.conditions) : []
  }
  for (const key of keys) {
    for (const parent of parentsOf(key)) {
      if (!Object.hasOwn(declared, parent)) {
        report(
          context,
          [...place.path, key],
          `it is conditional on "${parent}", which is no field here`,
          `Name one of ${keys.map((k) => `"${k}"`).join(", ")}`
        )
      }
    }
  }
  const order: Array<string> = []
  let waiting = keys
  while (waiting.length > 0) {
    const ready = waiting.filter((key) => parentsOf(key).every((p) => order.includes(p) || !Object.hasOwn(declared, p)))
    const next = ready[0]
    if (next === undefined) {
      const cycle = findCycle(waiting[0]!, (key) => parentsOf(key).filter((p) => waiting.includes(p)))
      report(
        context,
        [...place.path, cycle[0]!],
        `its condition is cyclic: ${[...cycle, cycle[0]!].join(" needs ")}`,
        "Let one of these fields exist unconditionally"
      )
      return order
    }
    order.push(next)
    waiting = waiting.filter((key) => key !== next)
  }
  return order
}

/** Follows the first parent from field to field until one comes again; every waiting field has a waiting parent. */
const findCycle = (start: string, parents: (key: string) => ReadonlyArray<string>): ReadonlyArray<string> => {
  const seen: Array<string> = []
  let key = start
  while (!seen.includes(key)) {
    seen.push(key)
    key = parents(key)[0] ?? start
  }
  return seen.slice(seen.indexOf(key))
}

/**
 * Counting, sampling and ranking of fields some of which exist only under others. The options of a field that others depend on
 * fall into classes that no condition tells apart; the rest of the struct is counted once for every combination of classes.
 */
const dependentProduct = (fields: ReadonlyArray<Field>, first: number, end: number) => {
  interface Class {
    readonly tokens: ReadonlyArray<number>
    readonly id: string
  }
  const lastUse = fields.map((_, i) =>
    fields.reduce((last, f, j) => (f.needs.some((n) => n.field === i) ? j : last), -1)
  )
  const classes: ReadonlyArray<ReadonlyArray<Class> | undefined> = fields.map((field, i) => {
    if (lastUse[i] === -1 || field.node.leaf === undefined) return undefined
    const groups = new Map<string, Array<number>>()
    const tests = fields.flatMap((f) => f.needs.filter((n) => n.field === i))
    for (let token = 0; token < field.node.leaf.count; token++) {
      const id = tests.map((t) => (t.options.has(token) ? "1" : "0")).join("")
      const group = groups.get(id)
      if (group === undefined) groups.set(id, [token])
      else group.push(token)
    }
    return [...groups].map(([id, tokens]) => ({ id, tokens }))
  })

  // chosen[i]: a token of the class taken at field i, or absent
  const isActive = (i: number, chosen: ReadonlyArray<number>) =>
    fields[i]!.needs.every((n) => n.options.has(chosen[n.field]!))
  const classId = (i: number, token: number) =>
    token === absent ? "-" : classes[i]!.find((c) => c.tokens.includes(token))!.id
  const keyOf = (i: number, chosen: ReadonlyArray<number>) =>
    `${i}:${chosen.map((token, j) => (lastUse[j]! >= i ? classId(j, token) : "")).join(",")}`

  const counter = (countOf: (node: Node<unknown>) => bigint) => {
    const memo = new Map<string, bigint>()
    const from = (i: number, chosen: ReadonlyArray<number>): bigint => {
      if (i === fields.length) return 1n
      const key = keyOf(i, chosen)
      const known = memo.get(key)
      if (known !== undefined) return known
      let total: bigint
      const here = classes[i]
      if (!isActive(i, chosen)) total = from(i + 1, [...chosen, absent])
      else if (here === undefined) total = countOf(fields[i]!.node) * from(i + 1, [...chosen, absent])
      else {
        total = 0n
        for (const { tokens } of here) total += BigInt(tokens.length) * from(i + 1, [...chosen, tokens[0]!])
      }
      memo.set(key, total)
      return total
    }
    return from
  }
  const values = counter((node) => node.distinct)
  const distinct = values(0, [])

  const unrank = (rank: bigint, vector: Vector) => {
    clear(vector, first, end)
    let rest = rank
    const chosen: Array<number> = []
    for (let i = 0; i < fields.length; i++) {
      const here = classes[i]
      const { node } = fields[i]!
      if (!isActive(i, chosen)) chosen.push(absent)
      else if (here === undefined) {
        const after = values(i + 1, [...chosen, absent])
        node.unrank(rest / after, vector)
        rest %= after
        chosen.push(absent)
      } else {
        for (const { tokens } of here) {
          const after = values(i + 1, [...chosen, tokens[0]!])
          const total = BigInt(tokens.length) * after
          if (rest < total) {
            const token = tokens[Number(rest / after)]!
            vector[node.first] = token
            rest %= after
            chosen.push(token)
            break
          }
          rest -= total
        }
      }
    }
  }
  const rank = (vector: Vector) => {
    let out = 0n
    const chosen: Array<number> = []
    for (let i = 0; i < fields.length; i++) {
      const here = classes[i]
      const { node } = fields[i]!
      if (!isActive(i, chosen)) chosen.push(absent)
      else if (here === undefined) {
        out += node.rank(vector) * values(i + 1, [...chosen, absent])
        chosen.push(absent)
      } else {
        const token = vector[node.first]!
        for (const { tokens } of here) {
          const after = values(i + 1, [...chosen, tokens[0]!])
          const position = tokens.indexOf(token)
          if (position >= 0) {
            out += BigInt(position) * after
            break
          }
          out += BigInt(tokens.length) * after
        }
        chosen.push(token)
      }
    }
    return out
  }
  return {
    first,
    end,
    size: counter((node) => node.size)(0, []),
    distinct,
    sample: (prng: Prng, vector: Vector) => unrank(prng.nextBigInt(distinct), vector),
    canonicalise: (vector: Vector) => {
      for (const { node } of fields) {
        // a field without sites has nothing to canonicalise; one that does not exist has an absent first site
        if (node.end > node.first && vector[node.first] !== absent) node.canonicalise(vector)
      }
    },
    rank,
    unrank
  }
}

export const variants =
  <const Tag extends string, const Cases extends { readonly [name: string]: Fields }>(
    tag: Tag,
    cases: Cases,
    settings: { readonly seed?: keyof Cases & string } | undefined
  ): Build<VariantsValue<Tag, Cases>> =>
  (context, place) => {
    const names = Object.keys(cases)
    const first = context.sites.length
    const seed = settings?.seed
    const tagNode = oneOf(
      "categorical",
      names,
      seed === undefined ? {} : { seed }
    )(context, { ...place, path: [...place.path, tag] })
    const site = tagNode.leaf!
    const branches = names.map((name, token) => {
      const fields = cases[name]!
      if (Object.hasOwn(fields, tag)) {
        report(
          context,
          [...place.path, name, tag],
          `the case "${name}" has a field with the tag's name`,
          "Rename the field or the tag"
        )
      }
      return struct(fields)(context, {
        path: [...place.path, name],
        conditions: [...place.conditions, { site: site.index, options: new Set([token]) }]
      })
    })
    const end = context.sites.length
    const at = site.index
    const distinct = branches.reduce((n, b) => n + b.distinct, 0n)
    const unrank = (rank: bigint, vector: Vector) => {
      clear(vector, first, end)
      let rest = rank
      for (const [token, branch] of branches.entries()) {
        if (rest < branch.distinct) {
          vector[at] = token
          return branch.unrank(rest, vector)
        }
        rest -= branch.distinct
      }
    }
    const members = names.map((name, token) =>
      Schema.Struct({ [tag]: Schema.Literal(name), ...branches[token]!.fields })
    )
    return {
      first,
      end,
      size: branches.reduce((n, b) => n + b.size, 0n),
      distinct,
      sample: (prng, vector) => unrank(prng.nextBigInt(distinct), vector),
      canonicalise: (vector) => branches[vector[at]!]!.canonicalise(vector),
      decode: (vector) => {
        const token = vector[at]!
        const fields = branches[token]!.decode(vector)
        const value: unknown = { [tag]: names[token], ...(isRecord(fields) ? fields : {}) }
        // the case's name under the tag and the case's fields make one member of the union; a computed key hides that
        return value as VariantsValue<Tag, Cases>
      },
      encode: (input, vector, path) => {
        clear(vector, first, end)
        if (!isRecord(input)) return notInSpace(path, input, `a record with the key ${tag}`)
        const fault = tagNode.encode(input[tag], vector, [...path, tag])
        if (fault !== undefined) return fault
        const { [tag]: _, ...rest } = input
        return branches[vector[at]!]!.encode(rest, vector, path)
      },
      rank: (vector) => {
        const token = vector[at]!
        return branches.slice(0, token).reduce((n, b) => n + b.distinct, 0n) + branches[token]!.rank(vector)
      },
      unrank,
      schema: Schema.Union<ReadonlyArray<Schema.Constraint>>(members) as Schema.Constraint as Schema.Codec<
        VariantsValue<Tag, Cases>,
        unknown
      >,
      print: (indent) =>
        names.flatMap((name, token) => {
          const lines = branches[token]!.print(`${indent}  `)
          return [`${indent}${tag} ${showLiteral(name)}${lines.length === 0 ? "" : ":"}`, ...lines]
        })
    }
  }

export const map =
  <A, B>(choice: Choice<A>, mapping: Mapping<A, B>): Build<B> =>
  (context, place) => {
    const locate = (path: Path): Path => [...place.path, ...(mapping.locate ?? ((p: Path) => p))(path)]
    // built as a root of its own, so that its paths can be told in the terms of the mapped type
    const problems: Context["problems"] = []
    const inner = choice.build({ sites: context.sites, problems }, { path: [], conditions: place.conditions })
    for (const problem of problems) context.problems.push({ ...problem, path: locate(problem.path) })
    for (let i = inner.first; i < inner.end; i++) {
      const site = context.sites[i]!
      const path = locate(site.path)
      context.sites[i] = { ...site, path, name: showPath(path) }
    }
    const check = Schema.decodeUnknownResult(Schema.toType(mapping.schema))
    return {
      ...without(inner),
      decode: (vector) => mapping.to(inner.decode(vector)),
      encode: (input, vector, path) => {
        const typed = check(input)
        if (Result.isFailure(typed)) return notInSpace(path, input, `a value of its schema (${typed.failure.message})`)
        const from = mapping.from(typed.success)
        if (Result.isFailure(from)) {
          return notInSpace([...path, ...from.failure.path], from.failure.value, from.failure.expected)
        }
        const difference = firstDifference(mapping.to(from.success), typed.success)
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
      schema: mapping.schema
    }
  }

/** A node without what does not carry over to a mapped one: a mapped single choice is no longer what a condition can name. */
const without = <A>(node: Node<A>): Omit<Node<A>, "leaf"> => {
  const { leaf: _, ...rest } = node
  return rest
}

/** Above this number of choices a quotient is not tabulated. */
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
    const sites = context.sites.slice(first, end)
    // a vector's sites as one number: mixed radix, with one more digit for an absent site
    const cells = sites.reduce((n, site) => n * (site.count + 1), 1)
    if (inner.size > BigInt(tableLimit) || cells > 64 * tableLimit) {
      report(
        context,
        place.path,
        `a quotient of ${inner.size} choices is too large to tabulate`,
        `Keep it to ${tableLimit}: take quotients of its parts`
      )
      return emptyNode(context, mapping.schema)
    }
    const canonical = mapping.canonical ?? ((b: B) => b)
    const table = new Int32Array(cells).fill(-1)
    const cell = (vector: Vector) => {
      let index = 0
      for (const site of sites) index = index * (site.count + 1) + vector[site.index]! + 1
      return index
    }
    const seeds = sites.map((site) => site.seed)
    const fromSeed = (vector: Vector) =>
      sites.reduce((sum, site, k) => {
        const token = vector[site.index]!
        if (token === seeds[k] || token === absent) return sum
        return sum + 1 + (site.kind === "categorical" ? 0 : Math.abs(token - seeds[k]!) / site.count)
      }, 0)
    const classOf = new Map<string, number>()
    const values: Array<B> = []
    const tokens: Array<Vector> = []
    const distances: Array<number> = []
    try {
      for (const vector of assignments(context.sites, first, end)) {
        const value = canonical(mapping.to(inner.decode(vector)))
        const key = stableStringify(value)
        const distance = fromSeed(vector)
        const known = classOf.get(key)
        const id = known ?? values.length
        if (known === undefined) {
          classOf.set(key, id)
          deepFreeze(value)
          values.push(value)
          tokens.push(vector.slice(first, end))
          distances.push(distance)
        } else if (distance < distances[id]!) {
          tokens[id] = vector.slice(first, end)
          distances[id] = distance
        }
        table[cell(vector)] = id
      }
    } catch (cause) {
      report(
        context,
        place.path,
        `its mapping failed: ${cause instanceof Error ? cause.message : String(cause)}`,
        "Let `to` give a value for every choice"
      )
      return emptyNode(context, mapping.schema)
    }
    // values come from the table, so most of those asked for are the very same objects
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
    const write = (id: number, vector: Vector) => vector.set(tokens[id]!, first)
    const read = (vector: Vector) => table[cell(vector)]!
    return {
      first,
      end,
      size: inner.size,
      distinct: BigInt(values.length),
      sample: (prng, vector) => write(prng.nextInt(values.length), vector),
      decode: (vector) => values[read(vector)]!,
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
          `${stableStringify(difference.expected ?? null)} in the most similar of its ${values.length} values`
        )
      },
      canonicalise: (vector) => write(read(vector), vector),
      rank: (vector) => BigInt(read(vector)),
      unrank: (rank, vector) => write(Number(rank), vector),
      schema: mapping.schema,
      print: inner.print
    }
  }

/** The value that has most of its top-level entries in common with the input, for a message that points at the odd one out. */
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
