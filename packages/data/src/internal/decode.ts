/**
 * Decodes one image file to the bytes of a network's input. Runs in the worker threads of `decoders.ts`.
 */
import { readFile } from "node:fs/promises"
import sharp, { type Sharp } from "sharp"
import type { Augmentation } from "../Augmentation.ts"
import type { ImageShape } from "../Dataset.ts"
import type { Image } from "../Image.ts"
import * as augment from "./augment.ts"
import { epochRandom } from "./order.ts"

/** What a worker is asked for; everything in it can be posted. */
export interface Job {
  readonly path: string
  readonly image: ImageShape
  /** The part of the resized image that is kept, as edge over resized edge; 1 resizes to the size itself, whatever the aspect. */
  readonly cropRatio: number
  /** Bytes for the places outside a moved image. */
  readonly fill: ReadonlyArray<number>
  readonly augmenting?: {
    readonly steps: Augmentation
    readonly seed: string | number
    readonly epoch: number
    readonly index: number
  }
}

// Every worker decodes one image at a time on its own thread of libvips's, and no file is read twice.
sharp.cache(false)
sharp.concurrency(1)

const open = async (job: Job) => {
  // One read of the file; "error" refuses damaged pixels but, as Pillow, not a mere warning about metadata.
  const bytes = await readFile(job.path)
  const file = sharp(bytes, { failOn: "error", sequentialRead: true })
  const { height, width } = await file.metadata()
  return { file, height, width }
}

const toBytes = async (file: Sharp, shape: ImageShape): Promise<Image> => {
  const grey = shape.channels === 1
  const { data, info } = await file
    .removeAlpha()
    .toColourspace(grey ? "b-w" : "srgb")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true })
  const area = shape.height * shape.width
  const out = new Uint8Array(shape.channels * area)
  const step = info.channels
  for (let c = 0; c < shape.channels; c++) {
    const source = Math.min(c, step - 1)
    for (let i = 0; i < area; i++) out[c * area + i] = data[i * step + source]!
  }
  return { ...shape, bytes: out }
}

/** Resizes (bicubic) and centre-crops, or takes a random resized crop of the file's own pixels where the steps begin with one. */
export const decode = async (job: Job): Promise<Uint8Array> => {
  const { file, height, width } = await open(job)
  const shape = job.image
  const { augmenting } = job
  const size = { height: shape.height, width: shape.width, fit: "fill", kernel: "cubic" } as const
  const random = augmenting === undefined ? undefined : epochRandom(augmenting.seed, augmenting.epoch).split("augment")
  const first = augmenting?.steps[0]
  if (random !== undefined && augmenting !== undefined && first?._tag === "RandomResizedCrop") {
    const crop = augment.resizedCrop(first, augment.draws(random, augmenting.index, 0), { height, width })
    const image = await toBytes(file.extract(crop).resize(size), shape)
    return augment.bytes(augmenting.steps, random, augmenting.index, image, job.fill, 1).bytes
  }
  const image = await toBytes(
    job.cropRatio === 1 ? file.resize(size) : centreCrop(file, { height, width }, shape, job.cropRatio),
    shape
  )
  return random === undefined || augmenting === undefined
    ? image.bytes
    : augment.bytes(augmenting.steps, random, augmenting.index, image, job.fill).bytes
}

const centreCrop = (file: Sharp, from: Pick<ImageShape, "height" | "width">, to: ImageShape, ratio: number): Sharp => {
  // The smallest scale at which the crop, enlarged by 1 / ratio, still lies inside.
  const scale = Math.max(Math.floor(to.height / ratio) / from.height, Math.floor(to.width / ratio) / from.width)
  const height = Math.max(to.height, Math.round(from.height * scale))
  const width = Math.max(to.width, Math.round(from.width * scale))
  return file.resize({ height, width, fit: "fill", kernel: "cubic" }).extract({
    top: Math.round((height - to.height) / 2),
    left: Math.round((width - to.width) / 2),
    height: to.height,
    width: to.width
  })
}
