/** Flags that several commands share, with the allowed values described in words. */
import { Units } from "@uninet/search"
import * as Option from "effect/Option"
import { Flag } from "effect/cli"
import * as Device from "./device.ts"

/** The largest number that anyone would ask for. */
const mostOfAnything = 1_000_000_000

/** A whole number of at least `least`, and at most what makes sense. */
export const whole = (name: string, least = 1, most = mostOfAnything): Flag.Flag<number> =>
  Flag.String(name).pipe(
    Flag.withMetavar("n"),
    Flag.filterMap(
      (text) => {
        const n = Number(text)
        return text.trim() !== "" && Number.isSafeInteger(n) && n >= least && n <= most ? Option.some(n) : Option.none()
      },
      (text) => (Number(text) > most ? `a whole number from ${least} to ${most}` : `a whole number of ${least} or more`)
    )
  )

/** Examples per batch: larger ones are not held in memory, whatever the examples are. */
export const batch: Flag.Flag<number> = whole("batch", 1, 1_048_576)

/** Training processes with one thread each. With the alias, users who think in cores need not know which of the two a command has. */
export const workers: Flag.Flag<number> = whole("workers", 1, 1024).pipe(Flag.withAlias("threads"))

/** Threads of an engine. */
export const threads: Flag.Flag<number> = whole("threads", 1, 1024).pipe(Flag.withAlias("workers"))

/** Edge length of pictures, in pixels. */
export const image: Flag.Flag<number> = whole("image", 1, 16_384).pipe(Flag.withAlias("size"))

/** Text for a quantity, with the message if it is not one. */
const quantity = (name: string, metavar: string, parse: (text: string) => Option.Option<number>, expected: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar(metavar),
    Flag.filterMap(parse, () => expected)
  )

/** A share, strictly between 0 and 1. */
export const share = (name: string): Flag.Flag<number> =>
  quantity(
    name,
    "share",
    (text) => {
      const x = Number(text)
      return x > 0 && x < 1 ? Option.some(x) : Option.none()
    },
    "a share between 0 and 1, such as 0.25"
  )

/** A number of multiply-accumulates. */
export const macs = (name: string): Flag.Flag<number> => quantity(name, "n", Units.parseAmount, Units.expected.macs)

/** Multiply-accumulates of a whole search. */
export const totalMacs = (name: string): Flag.Flag<number> =>
  quantity(name, "n", Units.parseAmount, Units.expected.total)

/** A number of bytes. */
export const bytes = (name: string): Flag.Flag<number> => quantity(name, "n", Units.parseAmount, Units.expected.bytes)

/** A time, in seconds. */
export const seconds = (name: string): Flag.Flag<number> =>
  quantity(name, "time", Units.parseSeconds, Units.expected.seconds)

/** For commands that continue something: mixing is not recorded unless it is asked for. */
export const allowMixed = Flag.Boolean("allow-mixed").pipe(
  Flag.withDefault(false),
  Flag.withDescription(
    "Train even if data, software, engine or kind of machine differ from those it began with; the record says so"
  )
)

/** Whether unreadable images in a folder are left out instead of ending with an error. */
export const skipBad = Flag.Boolean("skip-bad").pipe(
  Flag.withDefault(false),
  Flag.withDescription("Leave out images of a folder that cannot be read")
)

/** Whether a command's result is printed as JSON. */
export const json = Flag.Boolean("json").pipe(Flag.withDescription("Print the result as JSON"), Flag.withDefault(false))

/** The device; `Device.choose` and `Device.layer` make an engine from it. */
export const device = Flag.Literals("device", Device.names).pipe(
  Flag.withDescription("Device to compute on (default cpu); uninet doctor lists what there is")
)
