/**
 * Decodes one image file to the bytes of a network's input. Runs in the worker threads of `decoders.ts`.
 */
import { readFile } from "node:fs/promises"
import sharp, { type Sharp } from "sharp"
import type { Augmentation } from "../Augmentation.ts"
import type { ImageShape } from "../Dataset.ts"
import * as augment from "./augment.ts"
import * as Draws from "./draws.ts"

/** What a worker is asked for; everything in it can be posted. */
export interface Job {
  readonly path: string
  readonly image: ImageShape
  /** The part of the resized image that is kept, as edge over resized edge; 1 resizes to the size itself, whatever the aspect. */
  readonly cropRatio: number
  /** Bytes for the places outside a moved image. */
  readonly fill: ReadonlyArray<number>
  readonly augmenting?: { readonly steps: Augmentation; readonly key: Draws.Key; readonly index: number }
  /** Where the bytes go: shared with the thread that asks. */
  readonly out: SharedArrayBuffer
  readonly offset: number
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

const toBytes = async (file: Sharp, shape: ImageShape, out: Uint8Array): Promise<void> => {
  const { data, info } = await file
    .flatten({ background: "white" })
    .toColourspace(shape.channels === 1 ? "b-w" : "srgb")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true })
  const area = shape.height * shape.width
  const step = info.channels
  for (let c = 0; c < shape.channels; c++) {
    let source = Math.min(c, step - 1)
    for (let i = c * area; i < (c + 1) * area; i++, source += step) out[i] = data[source]!
  }
  // Frees sharp's pixels now; the garbage collector, which sees only a small object, would let dozens of megabytes of them wait.
  if (data.buffer instanceof ArrayBuffer) data.buffer.transfer(0)
}

/**
 * Resizes (bicubic) and centre-crops, or takes a random resized crop of the file's own pixels where the steps begin with one; then
 * the other steps.
 */
export const decode = async (job: Job): Promise<void> => {
  const { file, height, width } = await open(job)
  const { augmenting, fill, image } = job
  const bytes = new Uint8Array(job.out, job.offset, image.channels * image.height * image.width)
  const size = { height: image.height, width: image.width, fit: "fill", kernel: "cubic" } as const
  const first = augmenting?.steps[0]
  const cropsFile = augmenting !== undefined && first?._tag === "RandomResizedCrop"
  const resized = cropsFile
    ? file
        .extract(augment.resizedCrop(first, Draws.make(augmenting.key, augmenting.index, 0), { height, width }))
        .resize(size)
    : job.cropRatio === 1
      ? file.resize(size)
      : centreCrop(file, { height, width }, image, job.cropRatio)
  await toBytes(resized, image, bytes)
  if (augmenting === undefined) return
  const { index, key, steps } = augmenting
  const changed = augment.bytes(steps, key, index, { ...image, bytes }, fill, cropsFile ? 1 : 0)
  if (changed.bytes !== bytes) bytes.set(changed.bytes)
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
