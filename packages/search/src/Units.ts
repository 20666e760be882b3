/**
 * Amounts and times as people write them, in flags and in `uninet.config.ts`.
 *
 * @example
 * ```ts
 * import { Units } from "@uninet/search"
 * import { Option } from "effect"
 *
 * console.log(Option.getOrThrow(Units.parseAmount("1.5M")), Option.getOrThrow(Units.parseSeconds("10 min"))) // 1500000 600
 * ```
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import * as Effect from "effect/Effect"

const scales = { "": 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12 }

/** `1500000`, `1.5M`, `500K`, `2G`: a number of 1 or more. */
export const parseAmount = (text: string): Option.Option<number> => {
  const match = /^(\d+(?:\.\d+)?(?:e\d+)?) ?([KMGT]?)$/i.exec(text.trim())
  const unit = match?.[2]?.toUpperCase() ?? ""
  const n = Number(match?.[1]) * (unit === "K" || unit === "M" || unit === "G" || unit === "T" ? scales[unit] : 1)
  return Number.isFinite(n) && n >= 1 ? Option.some(n) : Option.none()
}

const milliseconds: Readonly<Record<string, number>> = { us: 1e-3, µs: 1e-3, ms: 1, s: 1e3 }

/**
 * A bound on a cost: like `parseAmount`, but values below 1 and 0 are allowed too. Times such as `2ms`, `300us`, `1.5s` are converted to
 * milliseconds.
 *
 * @example
 * ```ts
 * import { Units } from "@uninet/search"
 * import { Option } from "effect"
 *
 * for (const text of ["1.5M", "0.2", "2ms", "much"])
 *   console.log(text, Option.getOrElse(Units.parseBound(text), () => `is no bound: give ${Units.expected.macs}`))
 * ```
 */
export const parseBound = (text: string): Option.Option<number> => {
  const [, time, unit = ""] = /^(\d+(?:\.\d+)?) ?(us|µs|ms|s)$/.exec(text.trim()) ?? []
  if (time !== undefined) return Option.some(Number(time) * (milliseconds[unit] ?? 1))
  const n = Number(text)
  return text.trim() !== "" && Number.isFinite(n) ? Option.some(n) : parseAmount(text)
}

const units: ReadonlyArray<readonly [RegExp, number]> = [
  [/^(s|sec|seconds?)?$/, 1],
  [/^(m|min|minutes?)$/, 60],
  [/^(h|hours?)$/, 3600],
  [/^(d|days?)$/, 86_400]
]

/** `90`, `90s`, `10 min`, `1.5h`, `2 days`: seconds above 0. */
export const parseSeconds = (text: string): Option.Option<number> => {
  const match = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text.trim())
  const unit = units.find(([names]) => names.test(match?.[2]?.toLowerCase() ?? ""))
  const seconds = Number(match?.[1]) * (unit?.[1] ?? Number.NaN)
  return seconds > 0 ? Option.some(seconds) : Option.none()
}

/** What the error message says was expected. */
export const expected = {
  macs: "a number of multiply-accumulates for one example, such as 1500000, 1.5M or 2G",
  bytes: "a number of bytes, such as 800M or 2G",
  total: "a number of multiply-accumulates, such as 500G or 2T",
  seconds: "a time, such as 90s, 10min or 2h"
} as const

const parsed = (parse: (text: string) => Option.Option<number>, what: string) =>
  Schema.Union([Schema.Finite, Schema.String]).pipe(
    Schema.decodeTo(Schema.Finite, {
      decode: SchemaGetter.transformEffect((given: number | string, options) =>
        Option.match(parse(String(given)), {
          onNone: () => Effect.fail(new SchemaIssue.InvalidValue({ message: `give ${what}` }, given, options)),
          onSome: Effect.succeed
        })
      ),
      encode: SchemaGetter.transform((n: number): number | string => n)
    })
  )

/** A number, or text that `parseAmount` reads. */
export const Macs = parsed(parseAmount, expected.macs)
/** Multiply-accumulates of a whole search: a number, or text such as `500G`. */
export const TotalMacs = parsed(parseAmount, expected.total)
/** Bytes: a number, or text such as `512M`. */
export const Bytes = parsed(parseAmount, expected.bytes)
/** A number of seconds, or text that `parseSeconds` reads. */
export const Seconds = parsed(parseSeconds, expected.seconds)
