/**
 * Decodes one image file to the bytes of a network's input, with the same pixels as Pillow. Runs in the worker threads of `decoders.ts`.
 */
import { readFile } from "node:fs/promises"
import sharp, { type Metadata, type Sharp, type SharpOptions } from "sharp"
import type { Augmentation, Step } from "../Augmentation.ts"
import type { ImageShape } from "../Dataset.ts"
import * as Raster from "../Raster.ts"
import * as augment from "./augment.ts"
import * as Draws from "./draws.ts"

/** One file and its position in the shared bytes. */
export interface Item {
  readonly path: string
  /** The sample's index in its split, which decides its augmentation. */
  readonly index: number
  readonly offset: number
}

/** A request to a worker; everything in it can be posted. */
export interface Job {
  readonly items: ReadonlyArray<Item>
  readonly image: ImageShape
  /** The fraction of the resized image that is kept, as edge over resized edge; 1 resizes to the size itself, whatever the aspect ratio. */
  readonly cropRatio: number
  /** The bytes for positions outside a moved image. */
  readonly fill: ReadonlyArray<number>
  readonly augmenting?: { readonly steps: Augmentation; readonly key: Draws.Key }
  /** Where the bytes are written: shared with the requesting thread. */
  readonly out: SharedArrayBuffer
}

type ResizedCrop = Extract<Step, { readonly _tag: "RandomResizedCrop" }>

// Every worker decodes one image at a time on a single libvips thread, and no file is read twice.
sharp.cache(false)
sharp.concurrency(1)

/** "error" refuses damaged pixels but, like Pillow, not a mere warning from the decoder. Colour profiles are ignored, as in Pillow. */
const options: SharpOptions = {
  failOn: "error",
  sequentialRead: true,
  ignoreIcc: true,
  limitInputPixels: Raster.maxPixels
}

/** Whether a JPEG's frame has one or three components: greyscale or colour, not CMYK. */
const isLight = (jpeg: Buffer): boolean => {
  for (let at = 2; at + 9 < jpeg.length && jpeg[at] === 0xff; at += 2 + jpeg.readUInt16BE(at + 2)) {
    const marker = jpeg.readUInt8(at + 1)
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc
    if (isFrame) return jpeg[at + 9] === 1 || jpeg[at + 9] === 3
  }
  return false
}

/** Whether a PNG has 8 bits or fewer, is greyscale or RGB, and has no transparency. */
const isOpaque = (png: Buffer): boolean => {
  if (png.length < 33 || png.readUInt8(24) > 8 || (png[25] !== 0 && png[25] !== 2)) return false
  for (let at = 33; at + 8 <= png.length; at += 12 + png.readUInt32BE(at)) {
    const kind = png.toString("latin1", at + 4, at + 8)
    if (kind === "IDAT") return true
    if (kind === "tRNS") return false
  }
  return false
}

/** A file's pixels before resizing, rotated upright, and their `size`. */
interface Opened {
  readonly pixels: Sharp
  readonly size: () => Promise<Pick<ImageShape, "height" | "width">>
}

const ofRaster = ({ bytes, channels, height, width }: Raster.Raster): Opened => ({
  pixels: sharp(bytes, { raw: { channels, height, width } }),
  size: () => Promise.resolve({ height, width })
})

/** A file that sharp decodes to the same pixels as Pillow, so that they do not have to be held in memory as a whole. */
const asTheyAre = (bytes: Buffer): Opened => {
  const pixels = sharp(bytes, options).autoOrient()
  return { pixels, size: async () => (await pixels.metadata()).autoOrient }
}

/** Frees sharp's pixels now; the garbage collector, which sees only a small object, would leave dozens of megabytes of them waiting. */
const release = ({ buffer }: Buffer): void => {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0)
}

/** The colour spaces that are kept as the decoder gives them; any other becomes sRGB. */
const spaces: Readonly<Record<string, "b-w" | "cmyk" | "grey16" | "rgb16" | undefined>> = {
  cmyk: "cmyk",
  grey16: "grey16",
  rgb16: "rgb16",
  "b-w": "b-w"
}

/** The pixels of a file that Pillow converts to grey or RGB differently from sharp: with alpha, with 16 bits, or CMYK. */
const converted = async (bytes: Buffer, { space }: Metadata, channels: 1 | 3): Promise<Opened> => {
  const to = spaces[space] ?? "srgb"
  const deep = to === "grey16" || to === "rgb16"
  const file = sharp(bytes, options).autoOrient()
  const { data, info } = await (to === "cmyk" ? file.pipelineColourspace(to) : file)
    .toColourspace(to)
    .raw({ depth: deep ? "ushort" : "uchar" })
    .toBuffer({ resolveWithObject: true })
  const samples: Raster.Samples = {
    space: to === "grey16" || to === "b-w" ? "grey" : to === "cmyk" ? "cmyk" : "rgb",
    bands: info.channels,
    height: info.height,
    width: info.width,
    data: deep ? new Uint16Array(data.buffer, data.byteOffset, data.length / 2) : data
  }
  const raster = Raster.withChannels(channels)(Raster.fromSamples(samples))
  release(data)
  return ofRaster(raster)
}

/** Opens a file's pixels as Pillow's `convert("L" | "RGB")` gives them, although they may be RGB if grey is requested. Rejects with the problem. */
const open = async (bytes: Buffer, channels: 1 | 3): Promise<Opened> => {
  const format = Raster.formatOf(bytes)
  if (format === "bmp" || format === "gif" || format === "pnm") {
    const raster = await Raster.decode(bytes)
    if ("reason" in raster) throw new Error(raster.reason)
    return ofRaster(Raster.withChannels(channels)(raster))
  }
  if (format === "jpeg" ? isLight(bytes) : format === "png" && isOpaque(bytes)) return asTheyAre(bytes)
  const metadata = await sharp(bytes, options).metadata()
  const { depth, hasAlpha, space } = metadata
  if (metadata.format === "svg") {
    // Pillow does not read SVG: a drawing is assumed to be on paper.
    const opened = asTheyAre(bytes)
    return { ...opened, pixels: opened.pixels.flatten({ background: "white" }) }
  }
  const plain = depth === "uchar" && !hasAlpha && (space === "srgb" || space === "b-w")
  return plain ? asTheyAre(bytes) : converted(bytes, metadata, channels)
}

/** Writes pixels that already have the image's size, channels first. */
const toBytes = async (pixels: Sharp, shape: ImageShape, out: Uint8Array): Promise<void> => {
  const { data, info } = await pixels
    .toColourspace("srgb")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true })
  const area = shape.height * shape.width
  const step = info.channels
  // The luma of grey is the grey itself.
  if (shape.channels === 1)
    for (let i = 0, from = 0; i < area; i++, from += step)
      out[i] = Raster.luma(data[from] ?? 0, data[from + 1] ?? 0, data[from + 2] ?? 0)
  else
    for (let c = 0; c < shape.channels; c++) {
      let source = Math.min(c, step - 1)
      for (let i = c * area; i < (c + 1) * area; i++, source += step) out[i] = data[source] ?? 0
    }
  release(data)
}

/** Resizes the shorter edge to size / ratio and keeps the centre; a ratio of 1 resizes to the size itself, whatever the aspect ratio. */
const centreCrop = (pixels: Sharp, to: ImageShape, ratio: number): Sharp => {
  if (ratio === 1) return pixels.resize({ height: to.height, width: to.width, fit: "fill", kernel: "cubic" })
  const height = Math.floor(to.height / ratio)
  const width = Math.floor(to.width / ratio)
  return pixels.resize({ height, width, fit: "cover", position: "centre", kernel: "cubic" }).extract({
    top: (height - to.height) >> 1,
    left: (width - to.width) >> 1,
    height: to.height,
    width: to.width
  })
}

/** A random resized crop of the file's own pixels. */
const randomCrop = async ({ pixels, size }: Opened, to: ImageShape, step: ResizedCrop, random: Draws.Draws) =>
  pixels
    .extract(augment.resizedCrop(step, random, await size()))
    .resize({ height: to.height, width: to.width, fit: "fill", kernel: "cubic" })

/**
 * Resizes (bicubic) and centre-crops, or takes a random resized crop of the file's own pixels if the steps begin with one; then applies the
 * other steps.
 */
const decodeItem = async (job: Job, { index, offset, path }: Item): Promise<void> => {
  const { augmenting, cropRatio, fill, image, out } = job
  const opened = await open(await readFile(path), image.channels === 1 ? 1 : 3)
  const bytes = new Uint8Array(out, offset, image.channels * image.height * image.width)
  const first = augmenting?.steps[0]
  if (augmenting === undefined || first === undefined)
    return toBytes(centreCrop(opened.pixels, image, cropRatio), image, bytes)
  const { key, steps } = augmenting
  const cropsFile = first._tag === "RandomResizedCrop"
  const resized = cropsFile
    ? await randomCrop(opened, image, first, Draws.make(key, index, 0))
    : centreCrop(opened.pixels, image, cropRatio)
  await toBytes(resized, image, bytes)
  const changed = augment.bytes(steps, key, index, { ...image, bytes }, fill, cropsFile ? 1 : 0)
  if (changed.bytes !== bytes) bytes.set(changed.bytes)
}

/** A file that could not be decoded, and why. */
export interface Bad {
  readonly path: string
  readonly index: number
  readonly reason: string
}

/** The error in one line; from the system's messages the path is removed, because it is reported separately. */
const reasonOf = (cause: unknown): string => {
  const message = cause instanceof Error ? cause.message : String(cause)
  return /exceeds pixel limit/.test(message)
    ? `it has more than ${Raster.maxPixels.toLocaleString("en")} pixels`
    : (message.split("\n")[0] ?? "").replace(/^E[A-Z]+: |, \w+ '.*'$|\.$/g, "")
}

/** Decodes the job's files, one after another, and returns those that cannot be decoded. */
export const decode = async (job: Job): Promise<ReadonlyArray<Bad>> => {
  const bad: Array<Bad> = []
  for (const item of job.items) {
    try {
      await decodeItem(job, item)
    } catch (cause) {
      bad.push({ path: item.path, index: item.index, reason: reasonOf(cause) })
    }
  }
  return bad
}
