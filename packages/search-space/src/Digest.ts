/** The identity of plain JSON: what tells settings, spaces and points apart in journals and files. */
import { fnv1aHex } from "./internal/fnv.ts"
import { stableStringify } from "./internal/stable.ts"

/**
 * 16 hexadecimal digits: the 64-bit FNV-1a hash of the value's JSON with the keys of every object in order. Equal values have equal digests in every run and on every
 * machine. Not for secrets.
 *
 * @example
 * ```ts
 * import { Digest } from "@uninet/search-space"
 *
 * Digest.of({ a: 1, b: 2 }) === Digest.of({ b: 2, a: 1 }) // true
 * ```
 */
export const of = (value: unknown): string => fnv1aHex(stableStringify(value))
