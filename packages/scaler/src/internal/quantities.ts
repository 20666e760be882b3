/** What of an architecture can be scaled, which values each quantity may take, and where the coefficients want it. */
import { DsmSet } from "@uninet/dsm"
import type { Network } from "@uninet/network"
import { OperatorSet } from "@uninet/operators"
import { type Architecture, UniNetSpace } from "@uninet/search-space"
import type { Coefficients } from "../Coefficients.ts"
import type { Bound } from "../ScaleError.ts"

/** A whole number that grows in steps: the baseline's own value, and above it the multiples of `step`. */
export interface Quantity {
  /** `image`, `stem`, `stage 2`, `head`. */
  readonly part: string
  readonly bound: Bound
  readonly base: number
  /** 0 where it is not to change. */
  readonly step: number
  readonly factor: number
  readonly limit: number
}

/** Everything that can change of an architecture. */
export interface Quantities {
  readonly image: Quantity
  readonly stem: Quantity
  readonly channels: ReadonlyArray<Quantity>
  readonly repeats: ReadonlyArray<Quantity>
  readonly head: Quantity
  /** Stages that must stay as wide as what comes in: without a module, and without a change of width in the baseline. */
  readonly tied: ReadonlyArray<boolean>
  /** Stages that must stay of another width than what comes in: without a module, but with a change of width. */
  readonly untied: ReadonlyArray<boolean>
}

/** A value for each of them; the smallest that are allowed, or those of a network. */
export interface Sizes {
  readonly image: number
  readonly stem: number
  readonly channels: ReadonlyArray<number>
  readonly repeats: ReadonlyArray<number>
  readonly head: number
}

export interface Settings {
  readonly coefficients: Coefficients
  readonly sets: Network.Sets
  readonly divisor: number | undefined
  readonly fixedImage: boolean
  readonly limits: Readonly<Record<Bound, number>>
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))
const lcm = (a: number, b: number) => (a / gcd(a, b)) * b

/** The space's divisor for images of this size, or the largest part of it that the baseline's own channels are multiples of. */
const divisorOf = (base: Architecture.Architecture, attends: ReadonlyArray<boolean>): number => {
  const { divisor } = UniNetSpace.defaultsFor(base.image)
  return base.stages.reduce((d, { channels }, i) => (attends[i] === true ? d : gcd(d, channels)), divisor)
}

export const totalStride = ({ stages, stem }: Architecture.Architecture): number =>
  stages.reduce((product, { stride }) => product * stride, stem.stride)

export const of = (base: Architecture.Architecture, settings: Settings): Quantities => {
  const { coefficients, fixedImage, limits, sets } = settings
  const { depth, resolution, width } = coefficients
  const { head, headDim, image, stages, stem } = base
  const attends = stages.map(
    ({ dsm, operator }) =>
      OperatorSet.get(sets.operators, operator)?.heads === true ||
      (dsm !== null && DsmSet.get(sets.dsms, dsm)?.heads === true)
  )
  const divisor = settings.divisor ?? divisorOf(base, attends)
  const entries = [stem.channels, ...stages.map(({ channels }) => channels)]
  const tied = stages.map(({ channels, dsm }, i) => dsm === null && channels === entries[i])
  const untied = stages.map(({ channels, dsm }, i) => dsm === null && channels !== entries[i])

  // Widths that are tied to one another take the steps that suit them all.
  const steps = [divisor, ...attends.map((attending) => (attending ? headDim : divisor))]
  for (let i = 0; i < stages.length; i++) if (tied[i]) steps[i + 1] = lcm(steps[i], steps[i + 1])
  for (let i = stages.length - 1; i >= 0; i--) if (tied[i]) steps[i] = steps[i + 1]

  const channels = (part: string, own: number, step: number): Quantity => ({
    part,
    bound: "channels",
    base: own,
    step,
    factor: width,
    limit: limits.channels
  })
  return {
    image: {
      part: "image",
      bound: "image",
      base: image.height,
      step: fixedImage ? 0 : totalStride(base),
      factor: fixedImage ? 1 : resolution,
      limit: Math.floor((limits.image * image.height) / Math.max(image.height, image.width))
    },
    stem: channels("stem", stem.channels, steps[0]),
    channels: stages.map((stage, i) => channels(`stage ${i}`, stage.channels, steps[i + 1])),
    repeats: stages.map(({ repeats }, i) => ({
      part: `stage ${i}`,
      bound: "repeats",
      base: repeats,
      step: 1,
      factor: depth,
      limit: limits.repeats
    })),
    head: channels("head", head.channels, divisor),
    tied,
    untied
  }
}

export const all = ({ channels, head, image, repeats, stem }: Quantities): ReadonlyArray<Quantity> => [
  image,
  stem,
  ...channels,
  ...repeats,
  head
]

/** The value at φ = t if nothing were rounded. */
export const ideal = ({ base, factor }: Quantity, t: number): number => base * factor ** t

/** The next value above. */
export const above = ({ base, step }: Quantity, value: number): number => {
  const next = (Math.floor(value / step) + 1) * step
  return Math.max(next, base)
}

/** The next value below; the baseline's is the lowest. */
export const below = ({ base, step }: Quantity, value: number): number =>
  Math.max(base, (Math.ceil(value / step) - 1) * step)

/**
 * The values on both sides of what is wanted, `reach` of them each, none below `least` and none above the limit. One that is hit
 * exactly counts as below.
 */
export const around = (
  quantity: Quantity,
  wanted: number,
  least: number,
  reach: number
): readonly [number, ...ReadonlyArray<number>] => {
  const { base, limit, step } = quantity
  if (step === 0) return [base]
  // A hair's breadth above a value is that value: powers of coefficients are not exact.
  const under = Math.max(base, Math.floor(wanted / step + 1e-9) * step)
  const first = Math.max(least, under)
  const values: [number, ...Array<number>] = [first]
  for (let n = 1, value = first; n < reach && value > least; n++) values.unshift((value = below(quantity, value)))
  for (let n = 0, value = first; n < reach; n++) {
    value = above(quantity, value)
    if (value > limit) break
    values.push(value)
  }
  return values
}

/** The architecture of these sizes. */
export const apply = (base: Architecture.Architecture, sizes: Sizes): Architecture.Architecture => {
  const { height, width } = base.image
  const stride = totalStride(base)
  const wide =
    sizes.image === height ? width : Math.max(width, Math.round((width * sizes.image) / height / stride) * stride)
  return {
    ...base,
    image: { ...base.image, height: sizes.image, width: wide },
    stem: { ...base.stem, channels: sizes.stem },
    stages: base.stages.map((stage, i) => ({ ...stage, channels: sizes.channels[i], repeats: sizes.repeats[i] })),
    head: { channels: sizes.head }
  }
}

export const sizesOf = ({ head, image, stages, stem }: Architecture.Architecture): Sizes => ({
  image: image.height,
  stem: stem.channels,
  channels: stages.map(({ channels }) => channels),
  repeats: stages.map(({ repeats }) => repeats),
  head: head.channels
})
