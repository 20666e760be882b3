/**
 * A checked search space and everything derived from its declaration: size, sampling, tokens, ranks, iteration, neighbours, mutation,
 * crossover, distance, JSON and hashes. Functions take the space last: `Space.sample(prng)(space)`, or `space.pipe(Space.sample(prng))`.
 *
 * Three views of a point, all of integers:
 *
 * - **tokens**: what a policy emits: one option number for each existing site, in site order.
 * - **vector**: one entry for every site of the space, `Site.absent` (−1) if the site does not exist: a feature vector of fixed length.
 * - **index**: 0 … distinct − 1, a bigint; only for spaces without continuous choices.
 *
 * Several token sequences may stand for one value (see `Choice.quotient`). One of them is canonical; whatever this module
 * returns is canonical; its inputs need not be.
 *
 * @example
 * ```ts
 * import { Choice, Prng, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const space = Result.getOrThrow(
 *   Space.make(Choice.struct({ op: Choice.categorical(["conv", "attention"]), width: Choice.ordered([8, 16, 32]) }))
 * )
 * const prng = Prng.fromSeed("demo")
 * const [a, b] = [Space.sample(prng)(space), Space.sample(prng)(space)]
 * const tokens = Result.getOrThrow(Space.encode(a)(space))
 * console.log(Space.isOneToOne(space), Space.sampleTokens(prng)(space), Result.getOrThrow(Space.canonical(tokens)(space)))
 * console.log(Result.getOrThrow(Space.decode(tokens)(space)), Result.getOrThrow(Space.canonicalValue(a)(space)))
 * console.log(Result.getOrThrow(Space.vector(a)(space)), Result.getOrThrow(Space.toVector(tokens)(space)))
 * const index = Result.getOrThrow(Space.index(a)(space))
 * console.log(index, Result.getOrThrow(Space.at(index)(space)))
 * console.log(Result.getOrThrow(Space.neighbours(a)(space)).length, Result.getOrThrow(Space.crossover(a, b, prng)(space)))
 * console.log(Space.jsonSchema(space), Result.getOrThrow(Space.encodeJson(a)(space)))
 * ```
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Pipeable from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type { Choice } from "./Choice.ts"
import { fnv1aHex } from "./internal/fnv.ts"
import { repair, type Context, type Node, type Vector } from "./internal/node.ts"
import { shown } from "./internal/shown.ts"
import { showPath, stableStringify } from "./internal/stable.ts"
import type { Prng } from "./Prng.ts"
import { absent, another, exists, nearby, type Site, withSlots } from "./Site.ts"
import { InfiniteSpace, InvalidIndex, InvalidSpace, InvalidTokens, NotInSpace } from "./SpaceError.ts"

/** A checked space of values of type `A`. Made by `make`. */
export interface Space<out A> extends Pipeable.Pipeable {
  /** Every place where a choice is made, in the order of the tokens. */
  readonly sites: ReadonlyArray<Site>
  /** The author's version of what the points mean; see `make`. */
  readonly version?: string
  /** @internal */
  readonly root: Node<A>
}

/** A point as the option numbers of its existing sites, in site order. */
export type Tokens = ReadonlyArray<number>

/**
 * Checks a declaration and returns the space, or all of the declaration's faults with their paths: an empty choice, a duplicate
 * option, a condition that is cyclic or refers to an unknown field or option, an empty range, …
 *
 * @param options `version`: part of the space's `fingerprint`. Change it when the points mean something new although the declaration and the values are
 *   the same, for example with a new release of the code that builds from them. Default: none.
 *
 * @example
 * ```ts
 * import { Choice, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const made = Space.make(Choice.struct({ operator: Choice.categorical(["conv", "conv"]) }))
 * console.log(Result.isFailure(made) && made.failure.message)
 * // Invalid search space: operator: the option "conv" is listed twice. List every option once
 * ```
 */
export const make = <A>(
  choice: Choice<A>,
  options: { readonly version?: string } = {}
): Result.Result<Space<A>, InvalidSpace> => {
  const context: Context = { sites: [], problems: [] }
  const root = choice.build(context, { path: [], conditions: [] })
  const [problem, ...more] = context.problems
  if (problem !== undefined) return Result.fail(new InvalidSpace({ problems: [problem, ...more] }))
  const { version } = options
  const space: Space<A> = {
    ...Pipeable.Prototype,
    sites: withSlots(context.sites),
    root,
    ...(version === undefined ? {} : { version })
  }
  return Result.succeed(shown(space, inShort))
}

/** What `console.log` shows; `print` shows everything. */
const inShort = (space: Space<unknown>): string =>
  `Space(${space.sites.length} choices, ${showCount(distinct(space))} points)`

/**
 * A count: an exact bigint, or the number `Infinity` if a choice is continuous. Both can be compared with `<` and `>`; `showCount` turns either into
 * text.
 */
export type Count = bigint | number

/** The number of token sequences; several may stand for one value. */
export const size = <A>(space: Space<A>): Count => (space.root.infinite ? Infinity : space.root.size)

/** The number of distinct values: the length of `enumerate`, one more than the last index. */
export const distinct = <A>(space: Space<A>): Count => (space.root.infinite ? Infinity : space.root.distinct)

/** A count as text: its digits, or `infinitely many`. */
export const showCount = (count: Count): string => (count === Infinity ? "infinitely many" : String(count))

/** Whether every token sequence is canonical: no two stand for one value. */
export const isOneToOne = <A>(space: Space<A>): boolean => space.root.size === space.root.distinct

/** The error for numbering the points of a space with a continuous choice; `undefined` if it has none. */
const endless = (space: Space<unknown>): InfiniteSpace | undefined =>
  space.root.infinite
    ? new InfiniteSpace({ path: space.sites.find(({ kind }) => kind === "continuous")?.path ?? [] })
    : undefined

const blank = (space: Space<unknown>): Vector => new Int32Array(space.sites.length).fill(absent)

/**
 * Draws a value uniformly from the *distinct values* of the space: it favours neither branches with few values nor values that many
 * token sequences stand for. In a space with continuous choices, all other choices are drawn this way, and the continuous ones uniformly in their scale.
 */
export const sample =
  (prng: Prng) =>
  <A>(space: Space<A>): A => {
    const vector = blank(space)
    space.root.sample(prng, vector)
    return space.root.decode(vector)
  }

/** Like `sample`, but returns the canonical tokens. */
export const sampleTokens =
  (prng: Prng) =>
  <A>(space: Space<A>): Tokens => {
    // reused for every draw; the caller gets a copy
    if (scratch.length === space.sites.length) scratch.fill(absent)
    else scratch = blank(space)
    space.root.sample(prng, scratch)
    return fromVector(scratch)
  }

let scratch: Vector = new Int32Array(0)

/**
 * The canonical tokens of a value, or the place where it leaves the space. (A value written by hand or read from a file may not have the
 * space's type: `decodeJson` takes anything and returns that type.)
 */
export const encode =
  <A>(value: A) =>
  (space: Space<A>): Result.Result<Tokens, NotInSpace> =>
    Result.map(encodeVector(value)(space), fromVector)

/** The value of a token sequence. */
export const decode =
  (tokens: Tokens) =>
  <A>(space: Space<A>): Result.Result<A, InvalidTokens> =>
    Result.map(place(space, tokens, true), (vector) => space.root.decode(vector))

/** The canonical token sequence among those that stand for the same value. */
export const canonical =
  (tokens: Tokens) =>
  <A>(space: Space<A>): Result.Result<Tokens, InvalidTokens> =>
    Result.map(place(space, tokens, true), (vector) => {
      space.root.canonicalise(vector)
      return fromVector(vector)
    })

/**
 * The canonical form of a value, as this module's functions return it. Use it for values written by hand or by another
 * version; equal networks have equal canonical forms.
 */
export const canonicalValue =
  <A>(value: A) =>
  (space: Space<A>): Result.Result<A, NotInSpace> =>
    Result.map(encodeVector(value)(space), (vector) => space.root.decode(vector))

/** A value's canonical vector: one entry for every site of the space, `Site.absent` (−1) if the site does not exist. */
export const vector =
  <A>(value: A) =>
  (space: Space<A>): Result.Result<ReadonlyArray<number>, NotInSpace> =>
    Result.map(encodeVector(value)(space), (v) => Array.from(v))

/** The tokens of a vector: its entries without the absent ones. */
export const fromVector = (vector: ArrayLike<number>): Tokens => {
  const tokens: Array<number> = []
  for (let i = 0; i < vector.length; i++) {
    const token = vector[i] ?? absent
    if (token !== absent) tokens.push(token)
  }
  return tokens
}

/** The vector of a token sequence or of a prefix of one: sites not reached are absent. */
export const toVector =
  (tokens: Tokens) =>
  <A>(space: Space<A>): Result.Result<ReadonlyArray<number>, InvalidTokens> =>
    Result.map(place(space, tokens, false), (v) => Array.from(v))

/**
 * The site that the next token chooses for, given the tokens so far; none if the sequence is complete. Use it to emit tokens one
 * at a time:
 *
 * @example
 * ```ts
 * import { Choice, Space } from "@uninet/search-space"
 * import { Option, Result } from "effect"
 *
 * const space = Result.getOrThrow(Space.make(Choice.tuple([Choice.ordered([3, 5]), Choice.categorical(["max", "mean"])])))
 * const site = Option.getOrThrow(Result.getOrThrow(Space.next([1])(space)))
 * console.log(site.name, site.count, site.label(0)) // [1] 2 max
 * ```
 */
export const next =
  (prefix: Tokens) =>
  <A>(space: Space<A>): Result.Result<Option.Option<Site>, InvalidTokens> => {
    const reached = walk(space, prefix)
    return Result.map(reached, ({ site }) => (site === undefined ? Option.none() : Option.some(site)))
  }

const encodeVector =
  <A>(value: A) =>
  (space: Space<A>): Result.Result<Vector, NotInSpace> => {
    const out = blank(space)
    const fault = space.root.encode(value, out, [])
    return fault === undefined ? Result.succeed(out) : Result.fail(fault)
  }

/** Puts tokens at their sites; the next token would go to the first site without one. */
const walk = (
  space: Space<unknown>,
  tokens: Tokens
): Result.Result<{ readonly vector: Vector; readonly site: Site | undefined }, InvalidTokens> => {
  const out = blank(space)
  let position = 0
  for (const site of space.sites) {
    if (!exists(site, out)) continue
    if (position === tokens.length) return Result.succeed({ vector: out, site })
    const token = tokens[position] ?? Number.NaN
    if (!(Number.isInteger(token) && token >= 0 && token < site.count)) {
      const problem = `${token} is not one of its ${site.count} options (0 to ${site.count - 1})`
      return Result.fail(new InvalidTokens({ position, path: site.path, problem }))
    }
    out[site.index] = token
    position++
  }
  if (position < tokens.length) {
    const problem = `the sequence has ${tokens.length} tokens, but it is complete after ${position}`
    return Result.fail(new InvalidTokens({ position, path: [], problem }))
  }
  return Result.succeed({ vector: out, site: undefined })
}

const place = (space: Space<unknown>, tokens: Tokens, complete: boolean): Result.Result<Vector, InvalidTokens> =>
  Result.flatMap(walk(space, tokens), ({ site, vector }) =>
    site !== undefined && complete
      ? Result.fail(
          new InvalidTokens({
            position: tokens.length,
            path: site.path,
            problem: "the sequence ends before this choice"
          })
        )
      : Result.succeed(vector)
  )

/** A value's index, 0 … distinct − 1. Fails with `InfiniteSpace` if a choice is continuous. */
export const index =
  <A>(value: A) =>
  (space: Space<A>): Result.Result<bigint, NotInSpace | InfiniteSpace> => {
    const infinite = endless(space)
    if (infinite !== undefined) return Result.fail(infinite)
    return Result.map(encodeVector(value)(space), (v) => space.root.rank(v))
  }

/** The value at an index. Fails with `InfiniteSpace` if a choice is continuous. */
export const at =
  (position: bigint | number) =>
  <A>(space: Space<A>): Result.Result<A, InvalidIndex | InfiniteSpace> => {
    const infinite = endless(space)
    if (infinite !== undefined) return Result.fail(infinite)
    const whole = typeof position === "bigint" || Number.isSafeInteger(position)
    const rank = whole ? BigInt(position) : -1n
    if (rank < 0n || rank >= space.root.distinct) {
      return Result.fail(new InvalidIndex({ index: String(position), count: String(space.root.distinct) }))
    }
    const v = blank(space)
    space.root.unrank(rank, v)
    return Result.succeed(space.root.decode(v))
  }

/**
 * All distinct values, lazily, in the order of their indices. Fails with `InfiniteSpace` if a choice is continuous.
 *
 * @example
 * ```ts
 * import { Choice, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const space = Result.getOrThrow(Space.make(Choice.tuple([Choice.ordered([3, 5]), Choice.categorical(["max", "mean"])])))
 * const all = Result.map(Space.enumerate(space), (points) => [...points])
 * console.log(Result.getOrThrow(all).length === Number(Space.distinct(space))) // true
 * ```
 */
export const enumerate = <A>(space: Space<A>): Result.Result<Iterable<A>, InfiniteSpace> => {
  const infinite = endless(space)
  if (infinite !== undefined) return Result.fail(infinite)
  return Result.succeed({
    *[Symbol.iterator]() {
      for (let rank = 0n; rank < space.root.distinct; rank++) {
        const v = blank(space)
        space.root.unrank(rank, v)
        yield space.root.decode(v)
      }
    }
  })
}

/** The value of the seed point, at which every choice takes its `seed` option. */
export const seedPoint = <A>(space: Space<A>): A => space.root.decode(seedVector(space))

const seedVector = (space: Space<unknown>): Vector => {
  const v = blank(space)
  repair(space.sites, v)
  space.root.canonicalise(v)
  return v
}

const same = (a: Vector, b: Vector) => a.every((token, i) => token === b[i])

/** Changes one choice of a canonical vector and adapts the rest; the result is canonical again. */
const changed = (space: Space<unknown>, v: Vector, site: number, token: number): Vector => {
  const out = v.slice()
  out[site] = token
  repair(space.sites, out)
  space.root.canonicalise(out)
  return out
}

/**
 * The distinct values that changing one choice leads to. Choices that come into existence take the seed point's option; choices that no
 * longer exist are dropped. A choice with too many options to list (`Site.isNumeric`) changes as `Site.nearby` says: by steps of several lengths.
 */
export const neighbours =
  <A>(value: A) =>
  (space: Space<A>): Result.Result<ReadonlyArray<A>, NotInSpace> =>
    Result.map(encodeVector(value)(space), (v) => {
      const seen = new Set([v.join()])
      const out: Array<A> = []
      for (const site of space.sites) {
        const token = v[site.index] ?? absent
        if (token === absent) continue
        for (const instead of nearby(site, token)) {
          const neighbour = changed(space, v, site.index, instead)
          const key = neighbour.join()
          if (seen.has(key)) continue
          seen.add(key)
          out.push(space.root.decode(neighbour))
        }
      }
      return out
    })

/**
 * Changes one choice of a value. The site is drawn uniformly from those that have another option, then the option is drawn by
 * `Site.another` (uniformly, or for a numeric choice within a reach that is drawn first). If the result is the same value (see `Choice.quotient`), both are drawn
 * again. In a space with only one value, returns that value.
 */
export const mutate =
  <A>(value: A, prng: Prng) =>
  (space: Space<A>): Result.Result<A, NotInSpace> =>
    Result.map(encodeVector(value)(space), (v) => {
      const open: Array<readonly [site: number, token: number]> = []
      const sites = space.sites.filter((site) => v[site.index] !== absent && site.count > 1)
      for (let attempt = 0; sites.length > 0 && attempt < 64; attempt++) {
        const site = Arr.getUnsafe(sites, prng.nextInt(sites.length))
        const mutant = changed(space, v, site.index, another(site, v[site.index] ?? absent, prng))
        if (!same(mutant, v)) return space.root.decode(mutant)
      }
      // nearly every change gives the same value: try them all
      for (const site of sites) {
        for (const token of nearby(site, v[site.index] ?? absent)) {
          if (!same(changed(space, v, site.index, token), v)) open.push([site.index, token])
        }
      }
      if (open.length === 0) return space.root.decode(v)
      const [site, token] = Arr.getUnsafe(open, prng.nextInt(open.length))
      return space.root.decode(changed(space, v, site, token))
    })

/**
 * A child of two values: every choice is taken from one parent or the other with equal probability (uniform crossover). A choice that
 * only one parent has is taken from that parent; one that neither has takes the seed point's option.
 */
export const crossover =
  <A>(mother: A, father: A, prng: Prng) =>
  (space: Space<A>): Result.Result<A, NotInSpace> =>
    Result.flatMap(encodeVector(mother)(space), (a) =>
      Result.map(encodeVector(father)(space), (b) => {
        const child = blank(space)
        for (const site of space.sites) {
          if (!exists(site, child)) continue
          const [x, y] = [a[site.index] ?? absent, b[site.index] ?? absent]
          child[site.index] =
            x === absent ? (y === absent ? site.seed : y) : y === absent || prng.nextInt(2) === 0 ? x : y
        }
        space.root.canonicalise(child)
        return space.root.decode(child)
      })
    )

/**
 * The distance between two values: a sum over all sites, each of which adds 0 to 1. A categorical site adds 1 if the options differ. An ordered, integer or
 * continuous site adds the number of steps between them, divided by the largest possible, in the choice's scale. A site that exists for only one value adds 1. A
 * metric on values: 0 only for the same value.
 */
export const distance =
  <A>(one: A, other: A) =>
  (space: Space<A>): Result.Result<number, NotInSpace> =>
    Result.flatMap(encodeVector(one)(space), (a) =>
      Result.map(encodeVector(other)(space), (b) =>
        space.sites.reduce((sum, site) => sum + apart(site, a[site.index] ?? absent, b[site.index] ?? absent), 0)
      )
    )

const apart = (site: Site, a: number, b: number) =>
  a === b ? 0 : a === absent || b === absent || site.kind === "categorical" ? 1 : Math.abs(a - b) / (site.count - 1)

/**
 * The space as a Schema with the same JSON form as its values. Decoding checks membership: it never returns a value outside
 * the space, and returns canonical values only.
 *
 * @example
 * ```ts
 * import { Choice, Space } from "@uninet/search-space"
 * import { Result, Schema } from "effect"
 *
 * const space = Result.getOrThrow(Space.make(Choice.struct({ width: Choice.ordered([16, 32, 64]) })))
 * const json = Schema.encodeSync(Space.schema(space))(Space.seedPoint(space))
 * const back = Schema.decodeUnknownResult(Space.schema(space))(json)
 * ```
 */
export const schema = <A>(space: Space<A>): Schema.Codec<A, unknown> => codecs(space).member

/** The JSON Schema (draft 2020-12) of the values' JSON form. It describes the shape only; `decodeJson` checks membership in full. */
export const jsonSchema = <A>(space: Space<A>): ReturnType<typeof Schema.toJsonSchemaDocument> =>
  Schema.toJsonSchemaDocument(Schema.toCodecJson(space.root.schema))

/** Decodes a value's JSON form into a canonical value, or fails with the path at which it leaves the space. */
export const decodeJson =
  (json: unknown) =>
  <A>(space: Space<A>): Result.Result<A, NotInSpace> =>
    Result.flatMap(readJson(json)(space), (value) => canonicalValue(value)(space))

/** A value's JSON form. Fails if the value is not in the space. */
export const encodeJson =
  <A>(value: A) =>
  (space: Space<A>): Result.Result<unknown, NotInSpace> =>
    Result.map(canonicalValue(value)(space), (a) => toJson(space, a))

/** The schema of the space's type: of its values and of others with the same shape. */
export const valueSchema = <A>(space: Space<A>): Schema.Codec<A, unknown> => space.root.schema

/** Decodes a value of the space's type from its JSON form, whether or not it is in the space: a network that was scaled up from a point, say. */
export const readJson =
  (json: unknown) =>
  <A>(space: Space<A>): Result.Result<A, NotInSpace> =>
    Result.mapError(Schema.decodeUnknownResult(codecs(space).json)(json), ({ issue }) => {
      const [first] = faults(issue).issues
      const path = (first?.path ?? []).map((key) => (typeof key === "number" ? key : String(key)))
      const value = path.reduce<unknown>(
        (inside, key) => (Predicate.hasProperty(inside, key) ? inside[key] : undefined),
        json
      )
      const expected = /^Expected (.*)$/.exec(first?.message ?? "")?.[1]
      return new NotInSpace({ path, value, expected: expected ?? "a value" })
    })

const faults = SchemaIssue.makeFormatterStandardSchemaV1()

/** The JSON form of a value of the space's type, whether or not it is in the space. */
export const writeJson =
  <A>(value: A) =>
  (space: Space<A>): unknown =>
    toJson(space, value)

const toJson = <A>(space: Space<A>, value: A): unknown => Schema.encodeUnknownSync(codecs(space).json)(value)

/**
 * A value's identity, 16 hexadecimal digits: the 64-bit FNV-1a hash of its JSON form with ordered keys. Equal values have equal
 * hashes in every space, in every run and on every machine. The value must be canonical, as everything that this module returns is.
 */
export const hash =
  <A>(value: A) =>
  (space: Space<A>): string =>
    fnv1aHex(stableStringify(codecs(space).plain ? value : toJson(space, value)))

/**
 * The space's identity, 16 hexadecimal digits, to tell a journal's space from this one. It covers the choices with their options, conditions and seeds, the constants, the
 * author's `version`, and what the choices mean. For a quotient that is its whole table. For a mapping it is the result for all choices if there are few, otherwise for the
 * seed point and 64 fixed points. If you change a mapping only at other points, give the space a new `version`.
 *
 * @example
 * ```ts
 * import { Choice, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const widths = Choice.ordered([16, 32])
 * const print = (version?: string) =>
 *   Space.fingerprint(Result.getOrThrow(Space.make(widths, version === undefined ? {} : { version })))
 * console.log(print() === print(), print() === print("2")) // true false
 * ```
 */
export const fingerprint = <A>(space: Space<A>): string => {
  const known = fingerprints.get(space)
  if (known !== undefined) return known
  const out = fnv1aHex(
    stableStringify({
      sites: space.sites.map((site) => [
        site.path,
        site.kind,
        site.count,
        site.seed,
        site.kind === "integer" || site.kind === "continuous"
          ? [site.value(0), site.value(site.count - 1), ...(site.scale === undefined ? [] : [site.scale])]
          : Array.from({ length: site.count }, (_, token) => site.value(token)),
        site.conditions.map((c) => [c.site, [...c.options]])
      ]),
      seed: toJson(space, seedPoint(space)),
      meaning: space.root.meaning(),
      version: space.version
    })
  )
  fingerprints.set(space, out)
  return out
}

const fingerprints = new WeakMap<Space<unknown>, string>()

/** The space as an indented outline with its counts, for people. */
export const print = <A>(space: Space<A>): string => {
  const { distinct, size } = space.root
  const count = space.root.infinite
    ? "infinitely many choices"
    : `${size} choices${distinct === size ? "" : `, ${distinct} distinct`}`
  return [count, ...space.root.print("  ")].join("\n")
}

/** A value as a list of its choices, one per line: `[0].operator = SA`. */
export const printValue =
  <A>(value: A) =>
  (space: Space<A>): Result.Result<string, NotInSpace> =>
    Result.map(encodeVector(value)(space), (v) =>
      space.sites
        .flatMap((site) => {
          const token = v[site.index] ?? absent
          return token === absent ? [] : [`${showPath(site.path)} = ${site.label(token)}`]
        })
        .join("\n")
    )

interface Codecs<A> {
  readonly json: Schema.Codec<A, unknown>
  readonly member: Schema.Codec<A, unknown>
  readonly plain: boolean
}

const cache = new WeakMap<Space<unknown>, Codecs<unknown>>()

/** Makes a space's codecs when they are first needed: most spaces never leave memory. */
const codecs = <A>(space: Space<A>): Codecs<A> => {
  const known = cache.get(space)
  // the cache maps every space to the codecs that are made from it below, of the same type
  if (known !== undefined) return known as Codecs<A>
  const json = Schema.toCodecJson(space.root.schema)
  const made: Codecs<A> = { json, member: member(space, json), plain: isPlain(json.ast) }
  cache.set(space, made)
  return made
}

/** Membership as a transformation from "a value of the type" to "a canonical value of the space". */
const member = <A>(space: Space<A>, json: Schema.Codec<A, unknown>): Schema.Codec<A, unknown> =>
  json.pipe(
    Schema.decodeTo(
      Schema.toType(json),
      SchemaTransformation.transformEffect<A, A>({
        decode: (value, options) => settle(canonicalValue(value)(space), value, options),
        encode: (value, options) => settle(canonicalValue(value)(space), value, options)
      })
    )
  )

const settle = <A>(result: Result.Result<A, NotInSpace>, value: A, options: SchemaAST.ParseOptions) =>
  Result.isSuccess(result)
    ? Effect.succeed(result.success)
    : Effect.fail(
        new SchemaIssue.Pointer(
          result.failure.path,
          new SchemaIssue.InvalidValue({ message: result.failure.message }, value, options)
        )
      )

/** Whether the JSON form is the value itself, because nothing in the schema transforms; hashing then need not encode. */
const isPlain = (ast: SchemaAST.AST): boolean => {
  if (ast.encoding !== undefined) return false
  if (SchemaAST.isObjects(ast)) {
    return ast.indexSignatures.length === 0 && ast.propertySignatures.every((property) => isPlain(property.type))
  }
  if (SchemaAST.isArrays(ast)) return [...ast.elements, ...ast.rest].every(isPlain)
  if (SchemaAST.isUnion(ast)) return ast.types.every(isPlain)
  return (
    SchemaAST.isString(ast) ||
    SchemaAST.isNumber(ast) ||
    SchemaAST.isBoolean(ast) ||
    SchemaAST.isNull(ast) ||
    SchemaAST.isLiteral(ast)
  )
}
