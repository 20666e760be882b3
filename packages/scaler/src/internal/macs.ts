/** Multiply-accumulates of an architecture's parts in sizes that are being tried, each counted once. */
import { Network, NetworkCosts } from "@uninet/network"
import { Architecture } from "@uninet/search-space"
import * as Q from "./quantities.ts"

export interface Macs {
  readonly stem: (image: number, channels: number) => number
  /** Of a stage with one block, and of every further block. */
  readonly stage: (
    image: number,
    index: number,
    entry: number,
    channels: number
  ) => { readonly first: number; readonly further: number }
  readonly head: (image: number, entry: number, channels: number) => number
}

export const make = (base: Architecture.Architecture, sets: Network.Sets): Macs => {
  const parts = NetworkCosts.parts(sets)
  const sizes = Q.sizesOf(base)
  const sized = remember((image: number) => {
    const architecture = Q.apply(base, { ...sizes, image })
    return { architecture, maps: Architecture.featureMaps(architecture) }
  })
  const stem = remember((image: number, channels: number) => {
    const { architecture } = sized(image)
    return parts.stem({ ...architecture, stem: { ...architecture.stem, channels } }).macs
  })
  const stage = remember((image: number, index: number, entry: number, channels: number) => {
    const { architecture, maps } = sized(image)
    const of = (repeats: number) =>
      parts.stage({ ...base.stages[index], channels, repeats }, { ...maps[index], channels: entry }, architecture).macs
    const first = of(1)
    return { first, further: of(2) - first }
  })
  const head = remember((image: number, entry: number, channels: number) => {
    const { architecture, maps } = sized(image)
    return parts.head({ ...maps[maps.length - 1], channels: entry }, { ...architecture, head: { channels } }).macs
  })
  return { stem, stage, head }
}

/** A pure function of numbers that remembers. */
const remember = <Args extends ReadonlyArray<number>, A>(of: (...args: Args) => A): ((...args: Args) => A) => {
  const known = new Map<string, A>()
  return (...args) => {
    const key = args.join(" ")
    const found = known.get(key)
    if (found !== undefined) return found
    const made = of(...args)
    known.set(key, made)
    return made
  }
}
