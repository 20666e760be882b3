/** Corrupts valid inputs along their structure. Seeded, so that an input is determined by its seed. */
import type { Prng } from "@uninet/search-space"

type Random = Prng.Prng
type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }

const pick = <A>(random: Random, some: ReadonlyArray<A>): A => {
  const found = some[random.nextInt(some.length)]
  if (found === undefined) throw new Error("there is nothing to pick from")
  return found
}

const nested = (depth: number): Json => {
  let value: Json = 1
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { a: value }
  return value
}

/** Values where nobody expects them. */
const hostile: ReadonlyArray<(random: Random) => Json> = [
  () => null,
  (random) => random.nextInt(2) === 0,
  (random) => pick(random, [0, -1, 1, 0.5, 1e6, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53), 1e308, 5e-324, -0]),
  (random) => random.nextInt(1 << 30),
  (random) =>
    pick(random, [
      "",
      " ",
      "NaN",
      "Infinity",
      "__proto__",
      "constructor",
      "../../etc/passwd",
      "\u0000",
      "💥",
      "%",
      "'\"$`"
    ]),
  (random) => "x".repeat(1 << random.nextInt(18)),
  () => [],
  () => ({}),
  (random) => nested(1 << random.nextInt(13)),
  (random) => Array.from({ length: 1 << random.nextInt(12) }, () => 1),
  () => JSON.parse('{"__proto__":{"polluted":1}}')
]

const isArray = (value: Json): value is ReadonlyArray<Json> => Array.isArray(value)

/** A value with one part changed. */
export const json = (value: Json, random: Random): Json => {
  const deeper = random.nextInt(6) > 0
  if (isArray(value) && value.length > 0 && deeper) {
    const at = random.nextInt(value.length)
    const rest = value.filter((_, i) => i !== at)
    const own = value[at] ?? null
    const how = random.nextInt(8)
    if (how === 0) return rest
    if (how === 1) return [...value, own]
    return value.map((each, i) => (i === at ? json(each, random) : each))
  }
  if (typeof value === "object" && value !== null && !isArray(value) && deeper) {
    const keys = Object.keys(value)
    if (keys.length === 0) return { a: pick(random, hostile)(random) }
    const key = pick(random, keys)
    const own = value[key] ?? null
    const how = random.nextInt(10)
    if (how === 0) return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key))
    if (how === 1) return { ...value, [pick(random, ["extra", "__proto__", "toString", `${key}s`])]: own }
    return { ...value, [key]: json(own, random) }
  }
  // A number's neighbours are valid more often than arbitrary values, so they are accepted more often.
  if (typeof value === "number" && random.nextInt(2) === 0)
    return pick(random, [value + 1, value - 1, -value, value * 2, value / 2, value * 1e3, value * 1e9])
  return pick(random, hostile)(random)
}

/** As JSON text, sometimes truncated or with invalid JSON in it. */
export const jsonText = (value: Json, random: Random): string => {
  let changed = value
  for (let times = 1 + random.nextInt(3); times > 0; times--) changed = json(changed, random)
  const text = JSON.stringify(changed)
  const how = random.nextInt(30)
  if (how === 0) return text.slice(0, random.nextInt(text.length + 1))
  if (how === 1) return text.replace(/\d+/, pick(random, ["NaN", "1e999", "-", "0x10", "01", "1".repeat(400)]))
  if (how === 2) return `\uFEFF${text}`
  if (how === 3) return "[".repeat(20_000)
  return text
}

/** Bytes with some changed, cut off, repeated, or inserted. */
export const bytes = (given: Uint8Array, random: Random): Uint8Array => {
  let out = Uint8Array.from(given)
  for (let times = 1 + random.nextInt(4); times > 0; times--) {
    const at = random.nextInt(out.length + 1)
    const header = random.nextInt(Math.min(out.length, 64) + 1)
    const view = new DataView(out.buffer, out.byteOffset, out.byteLength)
    switch (random.nextInt(9)) {
      case 0:
        if (at < out.length) out[at] = (out[at] ?? 0) ^ (1 << random.nextInt(8))
        break
      case 1:
        if (header < out.length) out[header] = random.nextInt(256)
        break
      case 2:
        out = out.slice(0, at)
        break
      case 3:
        out = Uint8Array.from([...out.subarray(0, at), ...new Uint8Array(random.nextInt(300)), ...out.subarray(at)])
        break
      case 4:
        out = Uint8Array.from([...out.subarray(0, at), ...out.subarray(at, at + 64), ...out.subarray(at)])
        break
      case 5:
        if (header + 4 <= out.length)
          view.setUint32(
            header,
            pick(random, [0, 1, 0x7f_ff_ff_ff, 0x80_00_00_00, 0xff_ff_ff_ff]),
            random.nextInt(2) === 0
          )
        break
      case 6:
        if (header + 8 <= out.length)
          view.setBigUint64(header, 2n ** BigInt(random.nextInt(64)), random.nextInt(2) === 0)
        break
      case 7:
        if (header + 2 <= out.length)
          view.setUint16(header, pick(random, [0, 1, 0x7f_ff, 0xff_ff]), random.nextInt(2) === 0)
        break
      default:
        if (random.nextInt(20) === 0) out = new Uint8Array()
    }
  }
  return out
}

/** Values for a flag. */
export const word = (random: Random): string =>
  pick(random, [
    "",
    " ",
    "-1",
    "0",
    "1",
    "2",
    "1.5",
    "1e3",
    "1e9",
    "1e999",
    "NaN",
    "Infinity",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "1K",
    "1M",
    "999999T",
    "macs<=1",
    "macs>=1e999",
    "macs<=1,macs>=2",
    "accuracy,macs",
    ",",
    "a,b",
    "__proto__",
    "constructor",
    "../..",
    "/dev/null",
    "nowhere",
    "%",
    "💥",
    "x".repeat(5000),
    "B0",
    "cpu",
    "full",
    "asha",
    "random",
    "10min",
    "1s"
  ])
