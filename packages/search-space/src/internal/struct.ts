/** The nodes of records: fields, fields that exist only under others, and variants. */
import * as Schema from "effect/Schema"
import type { Choice, Fields, StructValue, VariantsValue, When } from "../Choice.ts"
import type { Prng } from "../Prng.ts"
import { absent, type Condition, type Literal, type Site } from "../Site.ts"
import {
  clear,
  meanings,
  notInSpace,
  report,
  scatter,
  showLiteral,
  type Build,
  type Context,
  type Node,
  type Path,
  type Place,
  type Vector
} from "./node.ts"
import { labelled, product } from "./product.ts"
import { oneOf } from "./single.ts"
import { isRecord } from "./stable.ts"

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
          if (site.kind === "continuous") {
            report(
              context,
              [...place.path, key],
              `it is conditional on "${parent}", which is a continuous choice`,
              "Refer to a categorical, ordered or integer field"
            )
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
      ? dependentProduct(fields, context.sites, first, end)
      : { ...product(nodes, first, end), parts: nodes }
    return {
      ...counting,
      factor: (key) => {
        const position = positions.get(String(key))
        if (position === undefined || fields[position]!.needs.length > 0) return undefined
        return fields.some(({ needs }) => needs.some(({ field }) => field === position)) ? undefined : nodes[position]
      },
      meaning: () => {
        const all = meanings(written.map(({ node }) => node))
        return all === undefined ? undefined : Object.fromEntries(written.map(({ key }, i) => [key, all[i]]))
      },
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

/** Options that no condition tells apart, in order. */
interface Class {
  readonly id: string
  readonly size: number
  readonly at: (position: number) => number
  /** −1 for an option of another class. */
  readonly indexOf: (token: number) => number
}

/** The classes of a field's options under some conditions, by their first options. What no condition names is one class, which is never listed. */
const classesOf = (count: number, tests: ReadonlyArray<ReadonlySet<number>>): ReadonlyArray<Class> => {
  const named = [...new Set(tests.flatMap((options) => [...options]))].sort((a, b) => a - b)
  const groups = new Map<string, Array<number>>()
  for (const token of named) {
    const id = tests.map((options) => (options.has(token) ? "1" : "0")).join("")
    const group = groups.get(id)
    if (group === undefined) groups.set(id, [token])
    else group.push(token)
  }
  const classes = [...groups].map(([id, tokens]): Class => ({
    id,
    size: tokens.length,
    at: (position) => tokens[position]!,
    indexOf: (token) => tokens.indexOf(token)
  }))
  const isNamed = new Set(named)
  const rest: Class = {
    id: tests.map(() => "0").join(""),
    size: count - named.length,
    at: (position) => {
      let token = position
      for (const other of named) {
        if (other > token) break
        token++
      }
      return token
    },
    indexOf: (token) => (isNamed.has(token) ? -1 : token - named.filter((other) => other < token).length)
  }
  return rest.size === 0 ? classes : [...classes, rest].sort((a, b) => a.at(0) - b.at(0))
}

/**
 * Counting, sampling and ranking of fields some of which exist only under others. The options of a field that others depend on
 * fall into classes that no condition tells apart; the rest of the struct is counted once for every combination of classes.
 */
const dependentProduct = (fields: ReadonlyArray<Field>, sites: ReadonlyArray<Site>, first: number, end: number) => {
  const lastUse = fields.map((_, i) =>
    fields.reduce((last, f, j) => (f.needs.some((n) => n.field === i) ? j : last), -1)
  )
  const classes: ReadonlyArray<ReadonlyArray<Class> | undefined> = fields.map((field, i) => {
    if (lastUse[i] === -1 || field.node.leaf === undefined) return undefined
    const tests = fields.flatMap((f) => f.needs.filter((n) => n.field === i))
    return classesOf(
      field.node.leaf.count,
      tests.map(({ options }) => options)
    )
  })

  // chosen[i]: a token of the class taken at field i, or absent
  const isActive = (i: number, chosen: ReadonlyArray<number>) =>
    fields[i]!.needs.every((n) => n.options.has(chosen[n.field]!))
  const classId = (i: number, token: number) =>
    token === absent ? "-" : classes[i]!.find((c) => c.indexOf(token) >= 0)!.id
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
        for (const { at, size } of here) total += BigInt(size) * from(i + 1, [...chosen, at(0)])
      }
      memo.set(key, total)
      return total
    }
    return from
  }
  const values = counter((node) => node.distinct)
  const distinct = values(0, [])
  const infinite = fields.some(({ node }) => node.infinite)

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
        for (const { at, size } of here) {
          const after = values(i + 1, [...chosen, at(0)])
          const total = BigInt(size) * after
          if (rest < total) {
            const token = at(Number(rest / after))
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
        for (const { at, indexOf, size } of here) {
          const after = values(i + 1, [...chosen, at(0)])
          const position = indexOf(token)
          if (position >= 0) {
            out += BigInt(position) * after
            break
          }
          out += BigInt(size) * after
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
    infinite,
    sample: (prng: Prng, vector: Vector) => {
      unrank(prng.nextBigInt(distinct), vector)
      if (infinite) scatter(prng, sites, first, end, vector)
    },
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
    const infinite = branches.some((branch) => branch.infinite)
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
      infinite,
      sample: (prng, vector) => {
        unrank(prng.nextBigInt(distinct), vector)
        if (infinite) scatter(prng, context.sites, first, end, vector)
      },
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
      meaning: () => {
        const all = meanings(branches)
        return all === undefined ? undefined : Object.fromEntries(names.map((name, i) => [name, all[i]]))
      },
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
