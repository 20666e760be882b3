/** The nodes of records: fields, conditional fields and variants. */
import * as Arr from "effect/Array"
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

/** A field of a struct, placed after the fields that it depends on. */
interface Field {
  readonly key: string
  /** Its position in that order. */
  readonly position: number
  readonly node: Node<unknown>
  /** The field exists if all of these fields exist and have one of these tokens. */
  readonly needs: ReadonlyArray<{ readonly field: Field; readonly options: ReadonlySet<number> }>
  readonly when: string
}

/** Whether a field exists, given the tokens of the fields before it. */
const isHere = ({ needs }: Field, vector: Vector): boolean =>
  needs.every(({ field, options }) => options.has(vector[field.node.first] ?? absent))

export const struct =
  <const F extends Fields>(declared: F) =>
  (context: Context, place: Place): Node<StructValue<F>> & { readonly fields: Schema.Struct.Fields } => {
    const first = context.sites.length
    const placed = new Map<string, Field>()
    for (const [key, field] of dependencyOrder(declared, context, place)) {
      const needs: Array<Field["needs"][number]> = []
      const conditions: Array<Condition> = [...place.conditions]
      let when = ""
      if (isWhen(field)) {
        for (const [parent, values] of Object.entries(field.conditions)) {
          const other = placed.get(parent)
          // dependencyOrder has already reported a parent that is missing or in a cycle
          if (other === undefined) continue
          const site = other.node.leaf
          if (site === undefined) {
            report(
              context,
              [...place.path, key],
              `it is conditional on "${parent}", which is not a single choice`,
              "Refer to a categorical, ordered or integer field"
            )
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
                `its condition needs "${parent}" to be ${showLiteral(value)}, which is not one of its options`,
                "Use values that the field can have"
              )
            } else tokens.add(token)
          }
          if (values.length === 0) {
            report(
              context,
              [...place.path, key],
              `its condition on "${parent}" lists no values, so it would never exist`,
              "List at least one value, or leave the field out"
            )
          }
          needs.push({ field: other, options: tokens })
          conditions.push(...site.conditions.filter((c) => !conditions.includes(c)), {
            site: site.index,
            options: tokens
          })
          when += `${when === "" ? "" : " and "}${parent} is ${values.map(showLiteral).join(" | ")}`
        }
      }
      const choice = isWhen(field) ? field.choice : field
      const node = choice.build(context, { path: [...place.path, key], conditions })
      placed.set(key, { key, position: placed.size, node, needs, when })
    }
    const fields = [...placed.values()]
    const end = context.sites.length
    // values and outlines keep the order in which the fields were declared
    const written = Object.keys(declared).flatMap((key) => placed.get(key) ?? [])
    const conditional = fields.some((field) => field.needs.length > 0)
    const decode = (vector: Vector) => {
      const out: Record<string, unknown> = {}
      for (const field of written) if (isHere(field, vector)) out[field.key] = field.node.decode(vector)
      return out
    }
    const encode = (input: unknown, vector: Vector, path: Path) => {
      if (!isRecord(input) || Array.isArray(input))
        return notInSpace(path, input, `a record with the fields ${written.map((f) => f.key).join(", ")}`)
      clear(vector, first, end)
      for (const field of fields) {
        const { key, node, when } = field
        if (isHere(field, vector)) {
          const fault = node.encode(input[key], vector, [...path, key])
          if (fault !== undefined) return fault
        } else if (input[key] !== undefined) {
          return notInSpace([...path, key], input[key], `nothing (the field exists only if ${when})`)
        }
      }
      const extra = Object.keys(input).find((key) => !placed.has(key))
      return extra === undefined ? undefined : notInSpace([...path, extra], input[extra], "no field with this name")
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
        const field = placed.get(String(key))
        if (field === undefined || field.needs.length > 0) return undefined
        return fields.some(({ needs }) => needs.some((n) => n.field === field)) ? undefined : field.node
      },
      meaning: () => {
        const all = meanings(written.map(({ node }) => node))
        return all === undefined ? undefined : Object.fromEntries(written.map(({ key }, i) => [key, all[i]]))
      },
      // every key decodes to its field's type; conditional keys are missing if their field does not exist
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

/** Orders the fields so that each comes after those its condition names; reports unknown names and cycles. */
const dependencyOrder = (
  declared: Fields,
  context: Context,
  place: Place
): ReadonlyArray<readonly [key: string, field: Fields[string]]> => {
  const fields = Object.entries(declared)
  const parentsOf = (key: string): ReadonlyArray<string> => {
    const field = declared[key]
    return field !== undefined && isWhen(field) ? Object.keys(field.conditions) : []
  }
  for (const [key] of fields) {
    for (const parent of parentsOf(key)) {
      if (!Object.hasOwn(declared, parent)) {
        report(
          context,
          [...place.path, key],
          `it is conditional on "${parent}", which is not a field here`,
          `Use one of ${fields.map(([name]) => `"${name}"`).join(", ")}`
        )
      }
    }
  }
  const order: Array<readonly [string, Fields[string]]> = []
  let waiting = fields
  const waitsFor = (key: string) => parentsOf(key).filter((parent) => waiting.some(([other]) => other === parent))
  for (;;) {
    const [first] = waiting
    if (first === undefined) return order
    const next = waiting.find(([key]) => waitsFor(key).length === 0)
    if (next === undefined) {
      const cycle = findCycle(first[0], waitsFor)
      report(
        context,
        [...place.path, cycle[0]],
        `its condition is cyclic: ${[...cycle, cycle[0]].join(" needs ")}`,
        "Make one of these fields unconditional"
      )
      return order
    }
    order.push(next)
    waiting = waiting.filter((field) => field !== next)
  }
}

/** Follows first parents from field to field until a field repeats; every waiting field has a waiting parent. */
const findCycle = (
  start: string,
  parents: (key: string) => ReadonlyArray<string>
): Arr.NonEmptyReadonlyArray<string> => {
  const seen: Array<string> = []
  let key = start
  while (!seen.includes(key)) {
    seen.push(key)
    key = parents(key)[0] ?? start
  }
  return [key, ...seen.slice(seen.indexOf(key) + 1)]
}

/** Options between which no condition distinguishes, in order. */
interface Class {
  readonly id: string
  readonly size: number
  readonly at: (position: number) => number
  /** −1 for an option of another class. */
  readonly indexOf: (token: number) => number
}

/** The classes of a field's options under some conditions, ordered by their first options. All options that no condition names form one class, which is never listed. */
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
    at: (position) => Arr.getUnsafe(tokens, position),
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

/** A field among those that are counted jointly. */
interface Step extends Field {
  /** The position of the last field that depends on it; −1 if none does. */
  readonly lastUse: number
  /** The classes of its options; `undefined` if no other field depends on it. */
  readonly classes: ReadonlyArray<Class> | undefined
}

/** What is chosen for a field: a token of the chosen class, or absent. */
interface Taken extends Pick<Step, "lastUse"> {
  readonly token: number
  readonly id: string
}

const taken = ({ lastUse }: Step, of?: Class): Taken => ({ lastUse, token: of?.at(0) ?? absent, id: of?.id ?? "-" })

/** Whether a field exists, given what is chosen for the fields before it. */
const isActive = ({ needs }: Step, chosen: ReadonlyArray<Taken>): boolean =>
  needs.every(({ field, options }) => options.has(chosen[field.position]?.token ?? absent))

/** A key for all that the remaining fields depend on. */
const keyOf = (chosen: ReadonlyArray<Taken>): string => {
  const at = chosen.length
  return `${at}:${chosen.map(({ id, lastUse }) => (lastUse >= at ? id : "")).join(",")}`
}

/**
 * Counts, samples and ranks fields of which some are conditional. The options of a field that others depend on fall into classes
 * within which no condition distinguishes; the rest of the struct is counted once for every combination of classes.
 */
const dependentProduct = (fields: ReadonlyArray<Field>, sites: ReadonlyArray<Site>, first: number, end: number) => {
  const steps = fields.map((field): Step => {
    const tests = fields.flatMap(({ needs, position }) =>
      needs.flatMap((need) => (need.field === field ? [{ position, options: need.options }] : []))
    )
    const { leaf } = field.node
    const options = tests.map((test) => test.options)
    const classes = leaf === undefined || tests.length === 0 ? undefined : classesOf(leaf.count, options)
    return { ...field, lastUse: tests.at(-1)?.position ?? -1, classes }
  })

  const counter = (countOf: (node: Node<unknown>) => bigint) => {
    const memo = new Map<string, bigint>()
    const from = (chosen: ReadonlyArray<Taken>): bigint => {
      const step = steps[chosen.length]
      if (step === undefined) return 1n
      const key = keyOf(chosen)
      const known = memo.get(key)
      if (known !== undefined) return known
      let total = 0n
      if (!isActive(step, chosen)) total = from([...chosen, taken(step)])
      else if (step.classes === undefined) total = countOf(step.node) * from([...chosen, taken(step)])
      else for (const each of step.classes) total += BigInt(each.size) * from([...chosen, taken(step, each)])
      memo.set(key, total)
      return total
    }
    return from
  }
  const values = counter((node) => node.distinct)
  const distinct = values([])
  const infinite = fields.some(({ node }) => node.infinite)

  const unrank = (rank: bigint, vector: Vector) => {
    clear(vector, first, end)
    let rest = rank
    const chosen: Array<Taken> = []
    for (const step of steps) {
      const { classes, node } = step
      if (!isActive(step, chosen)) chosen.push(taken(step))
      else if (classes === undefined) {
        chosen.push(taken(step))
        const after = values(chosen)
        node.unrank(rest / after, vector)
        rest %= after
      } else {
        for (const each of classes) {
          const here = taken(step, each)
          const after = values([...chosen, here])
          const total = BigInt(each.size) * after
          if (rest < total) {
            vector[node.first] = each.at(Number(rest / after))
            rest %= after
            chosen.push(here)
            break
          }
          rest -= total
        }
      }
    }
  }
  const rank = (vector: Vector) => {
    let out = 0n
    const chosen: Array<Taken> = []
    for (const step of steps) {
      const { classes, node } = step
      if (!isActive(step, chosen)) chosen.push(taken(step))
      else if (classes === undefined) {
        chosen.push(taken(step))
        out += node.rank(vector) * values(chosen)
      } else {
        const token = vector[node.first] ?? absent
        for (const each of classes) {
          const here = taken(step, each)
          const after = values([...chosen, here])
          const position = each.indexOf(token)
          if (position >= 0) {
            out += BigInt(position) * after
            chosen.push(here)
            break
          }
          out += BigInt(each.size) * after
        }
      }
    }
    return out
  }
  return {
    first,
    end,
    size: counter((node) => node.size)([]),
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
    const first = context.sites.length
    const seed = settings?.seed
    const tagNode = oneOf(
      "categorical",
      Object.keys(cases),
      seed === undefined ? {} : { seed }
    )(context, { ...place, path: [...place.path, tag] })
    const at = tagNode.leaf.index
    const branches = Object.entries(cases).map(([name, fields], token) => {
      if (Object.hasOwn(fields, tag)) {
        report(
          context,
          [...place.path, name, tag],
          `the case "${name}" has a field with the tag's name`,
          "Rename the field or the tag"
        )
      }
      const node = struct(fields)(context, {
        path: [...place.path, name],
        conditions: [...place.conditions, { site: at, options: new Set([token]) }]
      })
      return { ...node, name }
    })
    const end = context.sites.length
    const branchOf = (vector: Vector) => Arr.getUnsafe(branches, vector[at] ?? absent)
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
    const members = branches.map(({ fields, name }) => Schema.Struct({ [tag]: Schema.Literal(name), ...fields }))
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
      canonicalise: (vector) => branchOf(vector).canonicalise(vector),
      decode: (vector) => {
        const branch = branchOf(vector)
        const fields = branch.decode(vector)
        const value: unknown = { [tag]: branch.name, ...(isRecord(fields) ? fields : {}) }
        // the tag with the case's name and the case's fields make one member of the union; the computed key hides that
        return value as VariantsValue<Tag, Cases>
      },
      encode: (input, vector, path) => {
        clear(vector, first, end)
        if (!isRecord(input)) return notInSpace(path, input, `a record with the key ${tag}`)
        const fault = tagNode.encode(input[tag], vector, [...path, tag])
        if (fault !== undefined) return fault
        const { [tag]: _, ...rest } = input
        return branchOf(vector).encode(rest, vector, path)
      },
      rank: (vector) =>
        branches.slice(0, vector[at] ?? absent).reduce((n, b) => n + b.distinct, 0n) + branchOf(vector).rank(vector),
      unrank,
      meaning: () => {
        const all = meanings(branches)
        return all === undefined ? undefined : Object.fromEntries(branches.map(({ name }, i) => [name, all[i]]))
      },
      schema: Schema.Union<ReadonlyArray<Schema.Constraint>>(members) as Schema.Constraint as Schema.Codec<
        VariantsValue<Tag, Cases>,
        unknown
      >,
      print: (indent) =>
        branches.flatMap((branch) => {
          const lines = branch.print(`${indent}  `)
          return [`${indent}${tag} ${showLiteral(branch.name)}${lines.length === 0 ? "" : ":"}`, ...lines]
        })
    }
  }
