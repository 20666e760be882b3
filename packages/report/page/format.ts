/** Numbers as people read them. */

/** `0.9312`, `1.07 M`, `–` for none. */
export const number = (value: number): string => {
  if (Number.isNaN(value)) return "–"
  const size = Math.abs(value)
  for (const [scale, unit] of [
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e4, "K"]
  ] as const)
    if (size >= scale) return `${Number((value / (unit === "K" ? 1e3 : scale)).toPrecision(3))} ${unit}`
  return String(Number(value.toPrecision(4)))
}

export const percent = (share: number, places = 1): string => `${(100 * share).toFixed(places)}%`

/** `4.2 s`, `1 min 05 s`, `2 h 03 min`. */
export const time = (seconds: number): string => {
  if (Number.isNaN(seconds)) return "–"
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`
}

export const plural = (n: number, one: string): string => `${n.toLocaleString("en")} ${one}${n === 1 ? "" : "s"}`
