/** The identity of plain JSON, by which journals and files tell settings, spaces and points apart. */
import { fnv1aHex } from "./internal/fnv.ts"
import { stableStringify } from "./internal/stable.ts"

/**
 * 16 hexadecimal digits: the 64-bit FNV-1a hash of the value's JSON with the keys of every object sorted. Equal values have equal digests in every run and on every
 * machine. Not cryptographically secure.
 *
 * @example
 * ```ts
 * import { Digest } from "@uninet/search-space"
 *
 * Digest.of({ a: 1, b: 2 }) === Digest.of({ b: 2, a: 1 }) // true
 * ```
 */
export const of = (value: unknown): string => fnv1aHex(stableStringify(value))
