/** Numbers as people read them. */

/** `1.07 M`, `555 M`, `2.1 G`. */
export const count = (n: number): string => {
  const [scale, unit] = n >= 1e9 ? [1e9, " G"] : n >= 1e6 ? [1e6, " M"] : n >= 1e3 ? [1e3, " K"] : [1, ""]
  const value = n / scale
  return `${scale === 1 || value >= 100 ? Math.round(value) : value >= 10 ? value.toFixed(1) : value.toFixed(2)}${unit}`
}

/** `96.4%`, with two places where asked for. */
export const percent = (share: number, places = 1): string => `${(100 * share).toFixed(places)}%`

/** `4.2 s`, `1 min 05 s`, `2 h 03 min`. */
export const time = (seconds: number): string => {
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`
}

/** `2 trials`, `1 trial`. */
export const plural = (n: number, one: string): string => `${n} ${one}${n === 1 ? "" : "s"}`
