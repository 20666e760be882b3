/** Flags that several commands have, with what is allowed said in words. */
import * as Option from "effect/Option"
import { Flag } from "effect/cli"
import * as Device from "./device.ts"

/** A whole number of at least `least`. */
export const whole = (name: string, least = 1): Flag.Flag<number> =>
  Flag.String(name).pipe(
    Flag.withMetavar("n"),
    Flag.filterMap(
      (text) => {
        const n = Number(text)
        return text.trim() !== "" && Number.isSafeInteger(n) && n >= least ? Option.some(n) : Option.none()
      },
      () => `a whole number of ${least} or more`
    )
  )

const scales = { K: 1e3, M: 1e6, G: 1e9 }

/** `1500000`, `1.5M`, `500K`, `2G`. */
export const parseMacs = (text: string): Option.Option<number> => {
  const match = /^(\d+(?:\.\d+)?(?:e\d+)?) ?([KMG])?$/i.exec(text.trim())
  const unit = match?.[2]?.toUpperCase()
  const scale = unit === "K" || unit === "M" || unit === "G" ? scales[unit] : 1
  const n = Number(match?.[1]) * scale
  return Number.isFinite(n) && n >= 1 ? Option.some(n) : Option.none()
}

/** A number of multiply-accumulates. */
export const macs = (name: string): Flag.Flag<number> =>
  Flag.String(name).pipe(
    Flag.withMetavar("n"),
    Flag.filterMap(parseMacs, () => "a number of multiply-accumulates for one image, such as 1500000, 1.5M or 2G")
  )

export const json = Flag.Boolean("json").pipe(Flag.withDescription("Print the result as JSON"), Flag.withDefault(false))

/** What computes; `Device.choose` and `Device.layer` make an engine of it. */
export const device = Flag.Literals("device", Device.names).pipe(
  Flag.withDescription("What computes (default cpu); uninet doctor says what is there")
)
