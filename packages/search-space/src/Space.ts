/**
 * A checked search space and what follows from its declaration: size, sampling, tokens, ranks, iteration, neighbours, mutation,
 * crossover, distance, JSON and hashes. Functions take the space last: `Space.sample(prng)(space)`, or `space.pipe(Space.sample(prng))`.
 *
 * Three views of a point, all of integers:
 *
 * - **tokens**: what a policy emits: one option number for every site that exists, in the order of the sites.
 * - **vector**: one entry for every site of the space, `Site.absent` (−1) where it does not exist: a feature vector of fixed length.
 * - **index**: 0 … distinct − 1, a bigint; only of a space without continuous choices.
 *
 * Several token sequences may stand for one value (see `Choice.quotient`). One of them is canonical; whatever this module
 * gives is canonical, whatever it takes need not be.
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
  /** Every place where a choice is made, in the order in which tokens are emitted. */
  readonly sites: ReadonlyArray<Site>
  /** What its author calls this version of what the points mean; see `make`. */
  readonly version?: string
  /** @internal */
  readonly root: Node<A>
}

/** A point as the option numbers of its existing sites, in their order. */
export type Tokens = ReadonlyArray<number>

/**
 * Checks a declaration and gives the space, or all the declaration's faults with their paths: an empty choice, an option
 * given twice, a condition that is cyclic or names no field or no option, an empty range, …
 *
 * @param options `version`: part of the space's `fingerprint`, for an author to say that its points mean something else than before although declaration and
 *   values are the same: another release of what is built from them. Default: none.
 *
 * @example
 * ```ts
 * import { Choice, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const made = Space.make(Choice.struct({ operator: Choice.categorical(["conv", "conv"]) }))
 * console.log(Result.isFailure(made) && made.failure.message)
 * // Invalid search space: operator: the option "conv" is there twice. Give every option once
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

/** What `console.log` shows; `print` shows all. */
const inShort = (space: Space<unknown>): string =>
  `Space(${space.sites.length} choices, ${showCount(distinct(space))} points)`

/**
 * How many there are: an exact bigint, or the number `Infinity` where a choice is continuous. Either can be compared with `<` and `>`; `showCount` says it in
 * words.
 */
export type Count = bigint | number

/** The number of token sequences, before those of one value are counted once. */
export const size = <A>(space: Space<A>): Count => (space.root.infinite ? Infinity : space.root.size)

/** The number of distinct values: the length of `enumerate`, and one more than the last index. */
export const distinct = <A>(space: Space<A>): Count => (space.root.infinite ? Infinity : space.root.distinct)

/** A count in words: its digits, or `infinitely many`. */
export const showCount = (count: Count): string => (count === Infinity ? "infinitely many" : String(count))

/** Whether every token sequence is canonical: no two stand for one value. */
export const isOneToOne = <A>(space: Space<A>): boolean => space.root.size === space.root.distinct

/** Why the points of a space with a continuous choice have no numbers; `undefined` for a space without. */
const endless = (space: Space<unknown>): InfiniteSpace | undefined =>
  space.root.infinite
    ? new InfiniteSpace({ path: space.sites.find(({ kind }) => kind === "continuous")?.path ?? [] })
    : undefined

const blank = (space: Space<unknown>): Vector => new Int32Array(space.sites.length).fill(absent)

/**
 * A value drawn with equal chances for every *distinct value* of the space: neither branches with few values nor values that
 * many token sequences stand for are favoured. Where choices are continuous, what is chosen beside them is drawn so, and they evenly in their scale.
 */
export const sample =
  (prng: Prng) =>
  <A>(space: Space<A>): A => {
    const vector = blank(space)
    space.root.sample(prng, vector)
    return space.root.decode(vector)
  }

/** As `sample`, but gives the canonical tokens. */
export const sampleTokens =
  (prng: Prng) =>
  <A>(space: Space<A>): Tokens => {
    // used again from draw to draw: what is given away is a copy
    if (scratch.length === space.sites.length) scratch.fill(absent)
    else scratch = blank(space)
    space.root.sample(prng, scratch)
    return fromVector(scratch)
  }

let scratch: Vector = new Int32Array(0)

/**
 * The canonical tokens of a value, or where it leaves the space. (A value written by hand or read from a file has a type of its own:
 * `decodeJson` takes anything and gives the space's type.)
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

/** The canonical one of the token sequences that stand for the same value. */
export const canonical =
  (tokens: Tokens) =>
  <A>(space: Space<A>): Result.Result<Tokens, InvalidTokens> =>
    Result.map(place(space, tokens, true), (vector) => {
      space.root.canonicalise(vector)
      return fromVector(vector)
    })

/**
 * The canonical form of a value: as the space's own functions would give it. For a value written by hand, or by another
 * version; equal networks have equal canonical forms.
 */
export const canonicalValue =
  <A>(value: A) =>
  (space: Space<A>): Result.Result<A, NotInSpace> =>
    Result.map(encodeVector(value)(space), (vector) => space.root.decode(vector))

/** A value's canonical vector: one entry for every site of the space, `Site.absent` (−1) where the site does not exist. */
export const vector =
  <A>(value: A) =>
  (space: Space<A>): Result.Result<ReadonlyArray<number>, NotInSpace> =>
    Result.map(encodeVector(value)(space), (v) => Array.from(v))

/** The tokens of a vector: its entries without the absent ones. */
export const fromVector = (vector: ArrayLike<number>): Tokens => {
  const tokens: Array<number> = []
  for (let i = 0; i < vector.length; i++) if (vector[i] !== absent) tokens.push(vector[i]!)
  return tokens
}

/** The vector of a token sequence, which may be the beginning of one: sites not reached are absent. */
export const toVector =
  (tokens: Tokens) =>
  <A>(space: Space<A>): Result.Result<ReadonlyArray<number>, InvalidTokens> =>
    Result.map(place(space, tokens, false), (v) => Array.from(v))

/**
 * The site at which the next token chooses, after some tokens; none where the sequence is complete. The way to emit tokens one
 * after the other:
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

/** Puts tokens at their sites; the first site without a token is where the next one would go. */
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
    const problem = `the sequence has ${tokens.length} tokens where ${position} make it complete`
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

/** A value's index, 0 … distinct − 1. Fails with `InfiniteSpace` where a choice is continuous. */
export const index =
  <A>(value: A) =>
  (space: Space<A>): Result.Result<bigint, NotInSpace | InfiniteSpace> => {
    const infinite = endless(space)
    if (infinite !== undefined) return Result.fail(infinite)
    return Result.map(encodeVector(value)(space), (v) => space.root.rank(v))
  }

/** The value with an index. Fails with `InfiniteSpace` where a choice is continuous. */
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
 * All distinct values, lazily, in the order of their indices. Fails with `InfiniteSpace` where a choice is continuous.
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

/** The value of the seed point: where every choice takes its `seed` option. */
export const seedPoint = <A>(space: Space<A>): A => space.root.decode(seedVector(space))

const seedVector = (space: Space<unknown>): Vector => {
  const v = blank(space)
  repair(space.sites, v)
  space.root.canonicalise(v)
  return v
}

const same = (a: Vector, b: Vector) => a.every((token, i) => token === b[i])

/** Changes one choice of a canonical vector and makes the rest fit; canonical again. */
const changed = (space: Space<unknown>, v: Vector, site: number, token: number): Vector => {
  const out = v.slice()
  out[site] = token
  repair(space.sites, out)
  space.root.canonicalise(out)
  return out
}

/**
 * The distinct values that one changed choice leads to. Choices that newly exist take the seed point's option, those that no
 * longer exist are dropped. Of a choice with too many options to list (`Site.isNumeric`) the changes are those of `Site.nearby`: steps of several lengths.
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
 * A value that differs from this one by one changed choice: a site with equal chances for every site where something else can be
 * chosen, then another option (`Site.another`: with equal chances, or of a numeric choice one within a reach drawn first); drawn anew where that gives the same value (see `Choice.quotient`). A space of
 * one value gives that value.
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
      // nearly every change gives the same value: look at them all
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
 * A child of two values: every choice is taken from one or the other with equal chances (uniform crossover). A choice that only
 * one parent has is taken from it, one that neither has takes the seed point's option.
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
 * How far two values are from one another: the sum over all sites of 0 to 1 (categorical: 1 where they differ; ordered, integer and continuous: the
 * steps between over the most possible, in the choice's scale; a site that exists for one only: 1). A metric on values: 0 for the same value only.
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
 * The space as a Schema whose JSON form is the values' own; decoding checks membership, so it never gives a value outside
 * the space, and gives canonical values only.
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

/** The JSON Schema (draft 2020-12) of the values' JSON form. It says the shape; membership in full is checked by `decodeJson`. */
export const jsonSchema = <A>(space: Space<A>): ReturnType<typeof Schema.toJsonSchemaDocument> =>
  Schema.toJsonSchemaDocument(Schema.toCodecJson(space.root.schema))

/** The value of a JSON form, canonical, or the path to where it leaves the space. */
export const decodeJson =
  (json: unknown) =>
  <A>(space: Space<A>): Result.Result<A, NotInSpace> =>
    Result.flatMap(readJson(json)(space), (value) => canonicalValue(value)(space))

/** A value's JSON form. Fails where the value is not in the space. */
export const encodeJson =
  <A>(value: A) =>
  (space: Space<A>): Result.Result<unknown, NotInSpace> =>
    Result.map(canonicalValue(value)(space), (a) => toJson(space, a))

/** The schema of the space's type: of its values, and of others that are like them. */
export const valueSchema = <A>(space: Space<A>): Schema.Codec<A, unknown> => space.root.schema

/** A value of the space's type by its JSON form, whether the space has it or not: a network that was scaled up from a point, say. */
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

/** The JSON form of a value of the space's type, whether the space has it or not. */
export const writeJson =
  <A>(value: A) =>
  (space: Space<A>): unknown =>
    toJson(space, value)

const toJson = <A>(space: Space<A>, value: A): unknown => Schema.encodeUnknownSync(codecs(space).json)(value)

/**
 * A value's identity, 16 hexadecimal digits: the 64-bit FNV-1a hash of its JSON form with ordered keys. Equal values have equal
 * hashes in every space, run and machine. The value is taken as canonical, as everything this module gives is.
 */
export const hash =
  <A>(value: A) =>
  (space: Space<A>): string =>
    fnv1aHex(stableStringify(codecs(space).plain ? value : toJson(space, value)))

/**
 * The space's own identity, 16 hexadecimal digits, to tell a journal's space from this one. It covers the choices with their options, conditions and seeds, constants, the
 * author's `version`, and what the choices mean: the whole table of a quotient, and of a mapping what it gives for all choices if there are few, else for the seed point and for 64
 * points that are always the same. A mapping that differs at other points only needs another `version`.
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

/** A value as the list of its choices, a line each: `[0].operator = SA`. */
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

/** A space's codecs are made when first asked for: most spaces never leave memory. */
const codecs = <A>(space: Space<A>): Codecs<A> => {
  const known = cache.get(space)
  // the cache maps every space to the codecs made of it below, of the same type
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

/** Whether the JSON form is the value itself, so that hashing need not encode: nothing in the schema transforms. */
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
