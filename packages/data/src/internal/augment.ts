/**
 * Runs the steps of an `Augmentation` on one sample. Every step draws from its own generator, keyed by epoch, sample and step, so a
 * sample's pixels depend only on seed, epoch, its index and the steps.
 */
import * as Elementary from "@uninet/search-space/elementary"
import type { Augmentation, Step } from "../Augmentation.ts"
import type { ImageShape } from "../Dataset.ts"
import * as Image from "../Image.ts"
import * as Draws from "./draws.ts"
import { normalise, type Tables } from "./pixels.ts"

type Of<Tag extends Step["_tag"]> = Extract<Step, { readonly _tag: Tag }>

const uniform = (random: Draws.Draws, low: number, high: number): number => low + random.nextFloat() * (high - low)

/** A rectangle in pixels. */
export interface Rectangle {
  readonly top: number
  readonly left: number
  readonly height: number
  readonly width: number
}

/** torchvision's `RandomResizedCrop.get_params`: ten draws, then the largest centred crop with an allowed aspect ratio. */
export const resizedCrop = (
  step: Of<"RandomResizedCrop">,
  random: Draws.Draws,
  image: Pick<ImageShape, "height" | "width">
): Rectangle => {
  const [narrow, wide] = step.ratio
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = image.height * image.width * uniform(random, ...step.scale)
    const aspect = Elementary.exp(uniform(random, Elementary.log(narrow), Elementary.log(wide)))
    const width = Math.round(Math.sqrt(area * aspect))
    const height = Math.round(Math.sqrt(area / aspect))
    if (width < 1 || height < 1 || width > image.width || height > image.height) continue
    return {
      top: random.nextInt(image.height - height + 1),
      left: random.nextInt(image.width - width + 1),
      height,
      width
    }
  }
  const aspect = image.width / image.height
  const width = aspect > wide ? Math.max(1, Math.round(image.height * wide)) : image.width
  const height = aspect < narrow ? Math.max(1, Math.round(image.width / narrow)) : image.height
  return { top: (image.height - height) >> 1, left: (image.width - width) >> 1, height, width }
}

const colorJitter = (step: Of<"ColorJitter">, random: Draws.Draws, image: Image.Image): Image.Image => {
  const factor = (spread: number) => uniform(random, Math.max(0, 1 - spread), 1 + spread)
  const operations = [
    (image: Image.Image) => (step.brightness > 0 ? Image.brightness(factor(step.brightness))(image) : image),
    (image: Image.Image) => (step.contrast > 0 ? Image.contrast(factor(step.contrast))(image) : image),
    (image: Image.Image) => (step.saturation > 0 ? Image.saturation(factor(step.saturation))(image) : image),
    (image: Image.Image) => (step.hue > 0 ? Image.hue(uniform(random, -step.hue, step.hue))(image) : image)
  ]
  let out = image
  while (operations.length > 0)
    for (const operation of operations.splice(random.nextInt(operations.length), 1)) out = operation(out)
  return out
}

interface Level {
  /** 0…1: the magnitude divided by 10. */
  readonly level: number
  readonly increasing: boolean
  /** The level with a random sign. */
  readonly signed: () => number
  /** The bytes for positions outside the image: the data set's mean. */
  readonly fill: ReadonlyArray<number>
}

/** timm's enhancement factor: 0.1…1.9 by level, or 1 ± 0.9 by it. */
const enhancement = ({ increasing, level, signed }: Level): number =>
  increasing ? Math.max(0.1, 1 + 0.9 * signed()) : 1.8 * level + 0.1

/** RandAugment's 15 operations with timm's ranges (`_RAND_TRANSFORMS`, `_RAND_INCREASING_TRANSFORMS`). */
export const randAugmentOperations: ReadonlyArray<(image: Image.Image, level: Level) => Image.Image> = [
  (image) => Image.autoContrast(image),
  (image) => Image.equalize(image),
  (image) => Image.invert(image),
  (image, { fill, signed }) => Image.rotate(30 * signed(), fill)(image),
  (image, { increasing, level }) => {
    const bits = Math.trunc(4 * level)
    return Image.posterize(increasing ? 4 - bits : bits)(image)
  },
  (image, { increasing, level }) => {
    const threshold = Math.trunc(256 * level)
    return Image.solarize(increasing ? 256 - threshold : threshold)(image)
  },
  (image, { level }) => Image.solarizeAdd(Math.trunc(110 * level))(image),
  (image, level) => Image.saturation(enhancement(level))(image),
  (image, level) => Image.contrast(enhancement(level))(image),
  (image, level) => Image.brightness(enhancement(level))(image),
  (image, level) => Image.sharpness(enhancement(level))(image),
  (image, { fill, signed }) => Image.shearX(0.3 * signed(), fill)(image),
  (image, { fill, signed }) => Image.shearY(0.3 * signed(), fill)(image),
  (image, { fill, signed }) => Image.translate(0.45 * image.width * signed(), 0, fill)(image),
  (image, { fill, signed }) => Image.translate(0, 0.45 * image.height * signed(), fill)(image)
]

const randAugment = (
  step: Of<"RandAugment">,
  random: Draws.Draws,
  image: Image.Image,
  fill: ReadonlyArray<number>
): Image.Image => {
  let out = image
  for (let i = 0; i < step.operations; i++) {
    const operation = randAugmentOperations[random.nextInt(randAugmentOperations.length)]
    if (random.nextFloat() >= step.probability || operation === undefined) continue
    const drawn = step.deviation > 0 ? step.magnitude + step.deviation * random.nextNormal() : step.magnitude
    const level = Math.min(10, Math.max(0, drawn)) / 10
    const signed = () => (random.nextFloat() < 0.5 ? -level : level)
    out = operation(out, { level, increasing: step.increasing, signed, fill })
  }
  return out
}

/** The data set's mean as bytes, which fills the area outside an image that was moved. */
export const fillOf = (mean: ReadonlyArray<number>): ReadonlyArray<number> =>
  mean.map((value) => Math.min(255, Math.round(255 * value)))

/** One step on the 8-bit image; `RandomErasing` does nothing here. */
export const applyStep = (
  step: Step,
  random: Draws.Draws,
  image: Image.Image,
  fill: ReadonlyArray<number>
): Image.Image => {
  switch (step._tag) {
    case "RandomCrop": {
      const top = random.nextInt(2 * step.padding + 1) - step.padding
      const left = random.nextInt(2 * step.padding + 1) - step.padding
      return Image.crop(top, left, image.height, image.width)(image)
    }
    case "RandomResizedCrop": {
      const { height, left, top, width } = resizedCrop(step, random, image)
      return Image.resize(image.height, image.width)(Image.crop(top, left, height, width)(image))
    }
    case "HorizontalFlip":
      return random.nextFloat() < step.probability ? Image.flip(image) : image
    case "ColorJitter":
      return colorJitter(step, random, image)
    case "RandAugment":
      return randAugment(step, random, image, fill)
    case "RandomErasing":
      return image
  }
}

/** timm's `RandomErasing` on the normalised image at `to` of `out`: up to ten draws to find a rectangle that fits; otherwise nothing is erased. */
const erase = (
  step: Of<"RandomErasing">,
  random: Draws.Draws,
  shape: ImageShape,
  out: Float32Array,
  to: number
): void => {
  if (random.nextFloat() >= step.probability) return
  const { channels, height, width } = shape
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = height * width * uniform(random, ...step.area)
    const aspect = Elementary.exp(uniform(random, Elementary.log(step.ratio[0]), Elementary.log(step.ratio[1])))
    const h = Math.round(Math.sqrt(area * aspect))
    const w = Math.round(Math.sqrt(area / aspect))
    if (h < 1 || w < 1 || h >= height || w >= width) continue
    const top = random.nextInt(height - h + 1)
    const left = random.nextInt(width - w + 1)
    for (let c = 0; c < channels; c++) {
      for (let y = top; y < top + h; y++) {
        const row = to + (c * height + y) * width
        for (let x = row + left; x < row + left + w; x++) out[x] = step.fill === "noise" ? random.nextNormal() : 0
      }
    }
    return
  }
}

/** Applies every step to the 8-bit image, from `first` on. */
export const bytes = (
  steps: Augmentation,
  key: Draws.Key,
  index: number,
  image: Image.Image,
  fill: ReadonlyArray<number>,
  first = 0
): Image.Image => {
  let out = image
  for (const [i, step] of steps.entries()) {
    if (i < first) continue
    if (step._tag === "HorizontalFlip" && step.alternating === true) {
      if (Draws.alternates(key, index, i)) out = Image.flip(out)
    } else if (step._tag !== "RandomErasing") out = applyStep(step, Draws.make(key, index, i), out, fill)
  }
  return out
}

/** Applies every step to the normalised image at `to` of `out`. */
export const floats = (
  steps: Augmentation,
  key: Draws.Key,
  index: number,
  shape: ImageShape,
  out: Float32Array,
  to: number
): void => {
  for (const [i, step] of steps.entries())
    if (step._tag === "RandomErasing") erase(step, Draws.make(key, index, i), shape, out, to)
}

/** Applies all steps to sample `index`: reads `image`, writes the normalised result to `to` of `out`. */
export const sample = (
  steps: Augmentation,
  key: Draws.Key,
  index: number,
  image: Image.Image,
  fill: ReadonlyArray<number>,
  tables: Tables,
  out: Float32Array,
  to: number
): void => {
  normalise(tables, image.height * image.width, bytes(steps, key, index, image, fill).bytes, 0, out, to)
  floats(steps, key, index, image, out, to)
}
