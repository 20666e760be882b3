/**
 * A node is a compiled declaration: where its sites are, how many points it has, and how to convert between points, values and
 * ranks. A point is a vector with a token for every site of the whole space; a node reads and writes only its own sites,
 * from `first` up to but not including `end`.
 */
import type * as Schema from "effect/Schema"
import type { Prng } from "../Prng.ts"
import { absent, exists, type Condition, type Literal, type Site } from "../Site.ts"
import { NotInSpace, type Problem } from "../SpaceError.ts"
import { showPath } from "./stable.ts"

export type Vector = Int32Array
export type Path = ReadonlyArray<string | number>

export interface Node<out A> {
  readonly first: number
  readonly end: number
  /** The number of token sequences; those that differ only in continuous choices are counted once. */
  readonly size: bigint
  /** The number of distinct values: token sequences with the same value are counted once, and continuous choices are left out here too. */
  readonly distinct: bigint
  /** Whether it contains a continuous choice. */
  readonly infinite: boolean
  /** Draws uniformly from the distinct values, with continuous choices uniform in their scale, and writes the canonical tokens. */
  readonly sample: (prng: Prng, vector: Vector) => void
  /** The value of a point; takes any valid tokens, canonical or not. */
  readonly decode: (vector: Vector) => A
  /** Writes the canonical tokens of a value, or returns why there are none. */
  readonly encode: (value: unknown, vector: Vector, path: Path) => NotInSpace | undefined
  /** Replaces tokens by the canonical ones for the same value, which are the same in every run. */
  readonly canonicalise: (vector: Vector) => void
  /** `rank` and `unrank` convert between canonical points and 0 … distinct − 1. Continuous choices are not ranked; `unrank` gives them the seed point's token. */
  readonly rank: (vector: Vector) => bigint
  readonly unrank: (rank: bigint, vector: Vector) => void
  readonly schema: Schema.Codec<A, unknown>
  /**
   * The part of a point's meaning that the sites do not describe, as JSON: constants and the results of mappings. `undefined` if the sites describe everything.
   */
  readonly meaning: () => unknown
  /** The declaration as indented lines, for people. */
  readonly print: (indent: string) => ReadonlyArray<string>
  /** The site of a node that is a single choice; conditions may refer to it. */
  readonly leaf?: Site
  /** The parts of a product, in the order of their sites; chains add up costs over them. */
  readonly parts?: ReadonlyArray<Node<unknown>>
  /** The part with this key, if it is chosen independently of everything else in the node. */
  readonly factor?: (key: string | number) => Node<unknown> | undefined
}

export interface Context {
  readonly sites: Array<Site>
  readonly problems: Array<Problem>
}

export interface Place {
  readonly path: Path
  readonly conditions: ReadonlyArray<Condition>
}

export const addSite = (
  context: Context,
  place: Place,
  site: Pick<Site, "kind" | "scale" | "count" | "seed" | "value">
): Site => {
  const out: Site = {
    ...site,
    index: context.sites.length,
    path: place.path,
    name: showPath(place.path),
    conditions: place.conditions,
    label: (token) => String(site.value(token))
  }
  context.sites.push(out)
  return out
}

/** Redraws the continuous choices of a point that came from a rank. */
export const scatter = (prng: Prng, sites: ReadonlyArray<Site>, first: number, end: number, vector: Vector): void => {
  for (const { count, index, kind } of sites.slice(first, end)) {
    if (kind === "continuous" && vector[index] !== absent) vector[index] = prng.nextInt(count)
  }
}

export const clear = (vector: Vector, first: number, end: number) => {
  vector.fill(absent, first, end)
}

/**
 * Makes a changed point valid again: clears sites that no longer exist, and gives sites that now exist
 * the seed point's token.
 */
export const repair = (sites: ReadonlyArray<Site>, vector: Vector): void => {
  for (const site of sites) {
    if (!exists(site, vector)) vector[site.index] = absent
    else if (vector[site.index] === absent) vector[site.index] = site.seed
  }
}

/** All token assignments of the sites `first` to `end`; conditions on sites before them count as met. The vector is reused. */
export function* assignments(
  sites: ReadonlyArray<Site>,
  first: number,
  end: number,
  vector: Vector = new Int32Array(end).fill(absent)
): Generator<Vector> {
  const existsHere = (site: Site) =>
    site.conditions.every((c) => c.site < first || c.options.has(vector[c.site] ?? absent))
  function* from(index: number): Generator<Vector> {
    const site = sites[index]
    if (index === end || site === undefined) {
      yield vector
    } else if (!existsHere(site)) {
      vector[index] = absent
      yield* from(index + 1)
    } else {
      for (let token = 0; token < site.count; token++) {
        vector[index] = token
        yield* from(index + 1)
      }
    }
  }
  yield* from(first)
}

/** The meanings of several nodes; `undefined` if none has one. */
export const meanings = (nodes: ReadonlyArray<Node<unknown>>): ReadonlyArray<unknown> | undefined => {
  const all = nodes.map((node) => node.meaning())
  return all.some((meaning) => meaning !== undefined) ? all.map((meaning) => meaning ?? null) : undefined
}

export const notInSpace = (path: Path, value: unknown, expected: string) => new NotInSpace({ path, value, expected })

export const showLiteral = (value: Literal) => (typeof value === "string" ? `"${value}"` : String(value))

/** Compiles a declaration at its place in a space. */
export type Build<A> = (context: Context, place: Place) => Node<A>

export const report = (context: Context, path: Path, problem: string, remedy: string) => {
  context.problems.push({ path, problem, remedy })
}

/** A placeholder for a declaration with a fault; no space is made from it. */
export const emptyNode = <A>(context: Context, schema: Schema.Codec<A, unknown>): Node<A> => ({
  first: context.sites.length,
  end: context.sites.length,
  size: 0n,
  distinct: 0n,
  infinite: false,
  sample: () => {},
  decode: () => {
    throw new Error("a declaration with a fault has no values")
  },
  encode: (input, _vector, path) => notInSpace(path, input, "nothing"),
  canonicalise: () => {},
  rank: () => 0n,
  unrank: () => {},
  schema,
  meaning: () => undefined,
  print: (indent) => [`${indent}(invalid)`]
})
