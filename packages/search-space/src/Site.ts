/**
 * A site is one place where a choice is made. A space has a fixed list of sites, so a search algorithm can give each a column
 * (of a feature vector, of a table of logits); a point of the space has a token at every site that exists for it.
 */

/** What a choice may give: JSON's scalars. */
export type Literal = string | number | boolean | null

/** A site exists only where the token at an earlier site is one of `options`. */
export interface Condition {
  readonly site: number
  readonly options: ReadonlySet<number>
}

export interface Site {
  /** The position in the space's list of sites. A site's conditions refer to sites before it. */
  readonly index: number
  /** Where the choice is in the declaration, as a path; `name` is the same as text, `[1].operator`. */
  readonly path: ReadonlyArray<string | number>
  readonly name: string
  /** `ordered` and `integer` options have an order that distances and models may use; `categorical` ones have none. */
  readonly kind: "categorical" | "ordered" | "integer"
  /** The number of options; a token is 0 … count − 1. */
  readonly count: number
  /** The seed point's token. */
  readonly seed: number
  /** All must hold for the site to exist; empty for a site that always exists. */
  readonly conditions: ReadonlyArray<Condition>
  /** The value that a token stands for. */
  readonly value: (token: number) => Literal
  /** The value as text. */
  readonly label: (token: number) => string
}

/** The token of a site that does not exist for a point, in a vector of one entry for every site. */
export const absent = -1

/** Whether a site exists, given a vector with the tokens of all the sites before it. */
export const exists = (site: Site, vector: ArrayLike<number>): boolean => {
  for (const { options, site: parent } of site.conditions) {
    if (!options.has(vector[parent] ?? absent)) return false
  }
  return true
}
