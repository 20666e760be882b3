/** How UniNet's architectures are made deeper, wider and larger, and how a larger network starts from a smaller one's weights. */
import type { Dsm } from "@uninet/dsm"
import { Scaling } from "@uninet/model-space"
import type { Operator } from "@uninet/operators"
import * as Arr from "effect/Array"
import * as Result from "effect/Result"
import * as Architectures from "../Architecture.ts"
import type { Architecture } from "../Architecture.ts"
import * as Kit from "../Kit.ts"
import * as Network from "../Network.ts"
import * as NetworkCosts from "../NetworkCosts.ts"
import * as UniNet from "../UniNet.ts"
import { divisorFor } from "./divisor.ts"

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))
const lcm = (a: number, b: number) => (a / gcd(a, b)) * b

/** The space's divisor for images of this size, or its largest divisor that also divides the baseline's channels. */
const divisorOf = (base: Architecture, attends: ReadonlyArray<boolean>): number =>
  base.stages.reduce((d, { channels }, i) => (attends[i] === true ? d : gcd(d, channels)), divisorFor(base.image))

const totalStride = ({ stages, stem }: Architecture): number =>
  stages.reduce((product, { stride }) => product * stride, stem.stride)

const sizesOf = ({ head, image, stages, stem }: Architecture): Scaling.Sizes => ({
  resolution: image.height,
  stem: stem.channels,
  widths: stages.map(({ channels }) => channels),
  depths: stages.map(({ repeats }) => repeats),
  head: head.channels
})

/** The width of an image whose height is `edge`: in the baseline's aspect ratio, rounded to a multiple of the total stride. */
const widthAt = (base: Architecture, edge: number): number => {
  const { height, width } = base.image
  const stride = totalStride(base)
  return edge === height ? width : Math.max(width, Math.round((width * edge) / height / stride) * stride)
}

const apply =
  (base: Architecture) =>
  (sizes: Scaling.Sizes): Architecture => ({
    ...base,
    image: { ...base.image, height: sizes.resolution, width: widthAt(base, sizes.resolution) },
    stem: { ...base.stem, channels: sizes.stem },
    stages: base.stages.map((stage, i) => ({
      ...stage,
      channels: Arr.getUnsafe(sizes.widths, i),
      repeats: Arr.getUnsafe(sizes.depths, i)
    })),
    head: { channels: sizes.head }
  })

/** Memoises a pure function of numbers. */
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

/** Multiply-accumulates of the parts at the sizes being tried, each counted once. */
const macsOf = (base: Architecture, kit: Kit.Kit): Scaling.Chain<Architecture>["macs"] => {
  const parts = NetworkCosts.parts(kit)
  const sizes = sizesOf(base)
  const sized = remember((resolution: number) => {
    const architecture = apply(base)({ ...sizes, resolution })
    return { architecture, maps: Architectures.featureMaps(architecture) }
  })
  return {
    stem: remember((resolution, channels) => {
      const { architecture } = sized(resolution)
      return parts.stem({ ...architecture, stem: { ...architecture.stem, channels } }).macs
    }),
    stage: remember((resolution, index, entry, channels) => {
      const { architecture, maps } = sized(resolution)
      const of = (repeats: number) =>
        parts.stage(
          { ...Arr.getUnsafe(base.stages, index), channels, repeats },
          { ...Arr.getUnsafe(maps, index), channels: entry },
          architecture,
          index
        ).macs
      const first = of(1)
      return { first, further: of(2) - first }
    }),
    head: remember((resolution, entry, channels) => {
      const { architecture, maps } = sized(resolution)
      return parts.head(
        { ...Arr.getUnsafe(maps, maps.length - 1), channels: entry },
        { ...architecture, head: { channels } }
      ).macs
    })
  }
}

/**
 * Channels are multiples of the head size next to attention, and of the divisor elsewhere (by default the space's: 8 up to 64 pixels, else 16; less if the baseline's own channels are not
 * multiples of it, as in the released family). The image's height is a multiple of the total stride, and the width follows.
 */
const chainOf = (kit: Kit.Kit, base: Architecture, given: number | null): Scaling.Chain<Architecture> => {
  const { head, headDim, image, stages, stem } = base
  const heads = new Set(Kit.multiHead(kit))
  const attends = stages.map(({ dsm, operator }) => heads.has(operator) || (dsm !== null && heads.has(dsm)))
  const divisor = given ?? divisorOf(base, attends)
  const entries = [stem.channels, ...stages.map(({ channels }) => channels)]
  const entry = stages.map(({ channels, dsm }, i): Scaling.Stage["entry"] =>
    dsm !== null ? "free" : channels === entries[i] ? "tied" : "apart"
  )
  // Widths that depend on one another move in steps that suit them all.
  const steps = [divisor, ...attends.map((attending) => (attending ? headDim : divisor))]
  for (let i = 0; i < stages.length; i++)
    if (entry[i] === "tied") steps[i + 1] = lcm(Arr.getUnsafe(steps, i), Arr.getUnsafe(steps, i + 1))
  for (let i = stages.length - 1; i >= 0; i--) if (entry[i] === "tied") steps[i] = Arr.getUnsafe(steps, i + 1)
  return {
    resolution: { part: "image", base: image.height, step: totalStride(base) },
    stem: { part: "stem", base: stem.channels, step: Arr.getUnsafe(steps, 0) },
    stages: stages.map(({ channels, repeats }, i) => ({
      width: { part: `stage ${i}`, base: channels, step: Arr.getUnsafe(steps, i + 1) },
      depth: { part: `stage ${i}`, base: repeats, step: 1 },
      entry: Arr.getUnsafe(entry, i)
    })),
    head: { part: "head", base: head.channels, step: divisor },
    macs: macsOf(base, kit),
    apply: apply(base),
    sizesOf,
    edges: (edge) => [edge, widthAt(base, edge)]
  }
}

/** A block of the larger network and the block of the smaller network that it continues; `undefined` for a new one. */
interface Pair {
  readonly block: Network.Block
  readonly partner: Network.Block | undefined
}

const ofStage = ({ blocks }: Network.Network, stage: number) => blocks.filter((block) => block.stage === stage)

const pairs = (smaller: Network.Network, larger: Network.Network): ReadonlyMap<string, Pair> =>
  new Map(
    larger.architecture.stages.flatMap((_, stage) => {
      const old = ofStage(smaller, stage)
      return ofStage(larger, stage).map((block, i) => [block.path, { block, partner: old[i] }] as const)
    })
  )

/** Splits `blocks.3.b2.0.weight` into the block's path and the rest. */
const ofBlock = (name: string): readonly [path: string | undefined, rest: string] => {
  const [, path, rest = name] = /^(blocks\.\d+)\.(.*)$/.exec(name) ?? []
  return [path, rest]
}

/** What an operator or module declares about how it grows. */
const growthOf = (block: Network.Block): Operator.Growth | Dsm.Growth | undefined =>
  block.kind === "dsm" ? block.dsm.growth : block.operator.growth

const growthIn =
  (blocks: ReadonlyMap<string, Pair>) =>
  (parameter: string): Scaling.Growth => {
    const [path, rest] = ofBlock(parameter)
    const pair = path === undefined ? undefined : blocks.get(path)
    if (pair === undefined) return { from: parameter, silent: false, parts: 1, positions: null }
    const { block, partner } = pair
    const growth: Operator.Growth = growthOf(block) ?? {}
    if (partner === undefined)
      return { from: null, silent: growth.silent?.includes(rest) === true, parts: 1, positions: null }
    const layer = rest.slice(0, rest.lastIndexOf("."))
    const axis = growth.positions?.[layer]
    return {
      from: `${partner.path}.${rest}`,
      silent: false,
      parts: growth.parts?.[layer] ?? 1,
      positions: axis === undefined ? null : { axis, from: partner.input, to: block.input }
    }
  }

const approximations = (
  smaller: Network.Network,
  larger: Network.Network,
  blocks: ReadonlyMap<string, Pair>
): ReadonlyArray<Scaling.Approximation> => {
  const out: Array<Scaling.Approximation> = []
  const [from, to] = [smaller.architecture.image, larger.architecture.image]
  if (from.height !== to.height || from.width !== to.width)
    out.push({
      at: "image",
      why: `the inputs differ: images of ${to.height}×${to.width} instead of ${from.height}×${from.width}`
    })
  for (const { block, partner } of blocks.values()) {
    const at = `${block.path} (${block.name})`
    const growth: Operator.Growth | undefined = growthOf(block)
    if (growth === undefined) {
      const isCopy =
        partner !== undefined &&
        partner.config.inChannels === block.config.inChannels &&
        partner.config.channels === block.config.channels
      if (!isCopy) out.push({ at, why: `${block.name} does not declare how it grows` })
      continue
    }
    if (partner === undefined) continue
    const widths: ReadonlyArray<readonly [from: number, to: number]> = [
      [partner.config.channels, block.config.channels],
      ...(block.kind === "dsm" ? [[partner.config.inChannels, block.config.inChannels] as const] : [])
    ]
    const uneven = widths.find(([a, b]) => b % a !== 0)
    if (growth.normsChannels === true && uneven !== undefined)
      out.push({ at, why: `its layer norm is over ${uneven[1]} channels, which is not a multiple of ${uneven[0]}` })
    if (
      growth.positions !== undefined &&
      (partner.input.height !== block.input.height || partner.input.width !== block.input.width)
    )
      out.push({ at, why: "its token weights are copied to the nearest positions of a larger map" })
  }
  return out
}

const differs = (at: string, what: string, small: string | number, large: string | number) =>
  new Scaling.NotLarger({ at, what, smaller: String(small), larger: String(large) })

/** The same in any order. */
const settings = (chosen: Architectures.Stage["settings"] = {}) =>
  Object.entries(chosen)
    .map(([name, value]) => `${name} ${value}`)
    .toSorted()
    .join(", ") || "none"

/** What distinguishes the larger network from one scaled up from the smaller one. */
const differenceOf = (a: Architecture, b: Architecture): Scaling.NotLarger | undefined => {
  const same: ReadonlyArray<readonly [string, string, string | number, string | number]> = [
    ["image", "channels", a.image.channels, b.image.channels],
    ["classifier", "classes", a.classes, b.classes],
    ["stem", "stride", a.stem.stride, b.stem.stride],
    ["attention", "a head size of", a.headDim, b.headDim],
    ["network", "stages", a.stages.length, b.stages.length],
    ...a.stages.flatMap((stage, i) => [
      ...(["operator", "dsm", "expansion", "stride"] as const).map(
        (key) => [`stage ${i}`, key, stage[key] ?? "none", b.stages[i]?.[key] ?? "none"] as const
      ),
      ...(["settings", "dsmSettings"] as const).map(
        (key) => [`stage ${i}`, "settings", settings(stage[key]), settings(b.stages[i]?.[key])] as const
      )
    ])
  ]
  const grows: ReadonlyArray<readonly [string, string, number, number]> = [
    ["image", "a height of", a.image.height, b.image.height],
    ["image", "a width of", a.image.width, b.image.width],
    ["stem", "channels", a.stem.channels, b.stem.channels],
    ["head", "channels", a.head.channels, b.head.channels],
    ...a.stages.flatMap((stage, i) =>
      (["channels", "repeats"] as const).map((key) => [`stage ${i}`, key, stage[key], b.stages[i]?.[key] ?? 0] as const)
    )
  ]
  const found = same.find(([, , x, y]) => x !== y) ?? grows.find(([, , x, y]) => x > y)
  return found === undefined ? undefined : differs(...found)
}

/** B0 to B6 for images with any channels and any number of classes, if the baseline is their B0. */
const published = (baseline: Architecture): ReadonlyArray<Architecture> | null => {
  const fit = UniNet.withImage({ channels: baseline.image.channels }, baseline.classes)
  return Architectures.hash(baseline) === Architectures.hash(fit(UniNet.B0))
    ? Object.values(UniNet.family).map(fit)
    : null
}

const unbuildable = (at: "smaller" | "larger") => (error: { readonly message: string }) =>
  differs(`the ${at} network`, "a fault", error.message, error.message)

export const make = (kit: Kit.Kit): Scaling.Scaling<Architecture> => ({
  chain: (architecture, divisor) =>
    Result.map(Network.make(architecture, kit), () => chainOf(kit, architecture, divisor)),
  inherit: (smaller, larger) =>
    Result.gen(function* () {
      const difference = differenceOf(smaller, larger)
      if (difference !== undefined) return yield* Result.fail(difference)
      const before = yield* Result.mapError(Network.make(smaller, kit), unbuildable("smaller"))
      const after = yield* Result.mapError(Network.make(larger, kit), unbuildable("larger"))
      const blocks = pairs(before, after)
      return { growth: growthIn(blocks), approximate: approximations(before, after, blocks) }
    }),
  published
})
