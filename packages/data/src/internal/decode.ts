/**
 * Decodes one image file to the bytes of a network's input. Runs in the worker threads of `decoders.ts`.
 */
import { readFile } from "node:fs/promises"
import sharp, { type Sharp } from "sharp"
import type { Augmentation, Step } from "../Augmentation.ts"
import type { ImageShape } from "../Dataset.ts"
import * as augment from "./augment.ts"
import * as Draws from "./draws.ts"

/** One file and its place in the shared bytes. */
export interface Item {
  readonly path: string
  /** The sample's index in its split: what its augmentation is drawn by. */
  readonly index: number
  readonly offset: number
}

/** What a worker is asked for; everything in it can be posted. */
export interface Job {
  readonly items: ReadonlyArray<Item>
  readonly image: ImageShape
  /** The part of the resized image that is kept, as edge over resized edge; 1 resizes to the size itself, whatever the aspect. */
  readonly cropRatio: number
  /** Bytes for the places outside a moved image. */
  readonly fill: ReadonlyArray<number>
  readonly augmenting?: { readonly steps: Augmentation; readonly key: Draws.Key }
  /** Where the bytes go: shared with the thread that asks. */
  readonly out: SharedArrayBuffer
}

type ResizedCrop = Extract<Step, { readonly _tag: "RandomResizedCrop" }>

// Every worker decodes one image at a time on its own thread of libvips's, and no file is read twice.
sharp.cache(false)
sharp.concurrency(1)

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

/** Resizes the shorter edge to size / ratio and keeps the centre; a ratio of 1 resizes to the size itself, whatever the aspect. */
const centreCrop = (file: Sharp, to: ImageShape, ratio: number): Sharp => {
  if (ratio === 1) return file.resize({ height: to.height, width: to.width, fit: "fill", kernel: "cubic" })
  const height = Math.floor(to.height / ratio)
  const width = Math.floor(to.width / ratio)
  return file.resize({ height, width, fit: "cover", position: "centre", kernel: "cubic" }).extract({
    top: (height - to.height) >> 1,
    left: (width - to.width) >> 1,
    height: to.height,
    width: to.width
  })
}

/** A random resized crop of the file's own pixels. */
const randomCrop = async (file: Sharp, to: ImageShape, step: ResizedCrop, random: Draws.Draws): Promise<Sharp> => {
  const { height, width } = await file.metadata()
  return file
    .extract(augment.resizedCrop(step, random, { height, width }))
    .resize({ height: to.height, width: to.width, fit: "fill", kernel: "cubic" })
}

/**
 * Resizes (bicubic) and centre-crops, or takes a random resized crop of the file's own pixels where the steps begin with one; then
 * the other steps.
 */
const decodeItem = async (job: Job, { index, offset, path }: Item): Promise<void> => {
  const { augmenting, cropRatio, fill, image, out } = job
  // One read of the file; "error" refuses damaged pixels but, as Pillow, not a mere warning of the decoder's.
  const file = sharp(await readFile(path), { failOn: "error", sequentialRead: true })
  const bytes = new Uint8Array(out, offset, image.channels * image.height * image.width)
  const first = augmenting?.steps[0]
  if (augmenting === undefined || first === undefined) return toBytes(centreCrop(file, image, cropRatio), image, bytes)
  const { key, steps } = augmenting
  const cropsFile = first._tag === "RandomResizedCrop"
  const resized = cropsFile
    ? await randomCrop(file, image, first, Draws.make(key, index, 0))
    : centreCrop(file, image, cropRatio)
  await toBytes(resized, image, bytes)
  const changed = augment.bytes(steps, key, index, { ...image, bytes }, fill, cropsFile ? 1 : 0)
  if (changed.bytes !== bytes) bytes.set(changed.bytes)
}

/** A file that could not be decoded, and why. */
export interface Bad {
  readonly path: string
  readonly reason: string
}

/** Decodes the job's files, one after the other, and gives those that cannot be. */
export const decode = async (job: Job): Promise<ReadonlyArray<Bad>> => {
  const bad: Array<Bad> = []
  for (const item of job.items) {
    try {
      await decodeItem(job, item)
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause)
      bad.push({ path: item.path, reason: message.split("\n")[0] ?? "" })
    }
  }
  return bad
}
