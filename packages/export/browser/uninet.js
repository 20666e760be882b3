/**
 * An ONNX file from `uninet export` in onnxruntime-web. Nothing here knows the network: everything needed is in the file's metadata. A
 * picture's pixels are the same as those that `@uninet/data` gives in Node, because the same code runs (`data/` is that package).
 */
import * as Pixels from "./data/Image.ts"
import * as Raster from "./data/Raster.ts"
import * as ort from "./ort/ort.wasm.min.mjs"

ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href
// More threads would require the page to be isolated from other origins.
ort.env.wasm.numThreads = 1

const text = new TextDecoder()

/** The fields of a protobuf message: numbers, and bytes for strings and messages. */
function* fields(bytes) {
  let at = 0
  const varint = () => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const key = varint()
    const wire = key % 8
    if (wire === 0) yield [Math.floor(key / 8), varint()]
    else if (wire === 2) {
      const length = varint()
      yield [Math.floor(key / 8), bytes.subarray(at, at + length)]
      at += length
    } else at += wire === 1 ? 8 : 4
  }
}

/** A model's metadata (field 14 of onnx.proto's ModelProto), to which onnxruntime-web gives no access. */
export const metadataOf = (file) => {
  const entries = {}
  for (const [tag, value] of fields(file))
    if (tag === 14) {
      const entry = Object.fromEntries(fields(value))
      entries[text.decode(entry[1])] = text.decode(entry[2] ?? new Uint8Array())
    }
  return entries
}

/** The card in the metadata of a network that takes a picture and classifies it; `undefined` for any other. */
const cardOf = ({ classes, cropRatio = 1, deviation, inputs, mean, outputs, picture }) => {
  if ([classes, deviation, inputs, mean, outputs, picture].includes(undefined)) return undefined
  const names = JSON.parse(classes)
  const takes = JSON.parse(inputs)
  const [logits] = Object.entries(JSON.parse(outputs)).find(([, { shape }]) => `${shape}` === `${names.length}`) ?? []
  if (logits === undefined || takes[picture] === undefined || Object.keys(takes).length !== 1) return undefined
  const [channels, height, width] = takes[picture].shape
  return {
    input: picture,
    image: { channels, height, width },
    logits,
    classes: names,
    mean: JSON.parse(mean),
    deviation: JSON.parse(deviation),
    cropRatio: Number(cropRatio)
  }
}

/** Opens a model from its bytes. */
export const open = async (file) => {
  const metadata = metadataOf(file)
  const card = cardOf(metadata)
  if (card === undefined)
    throw new Error(
      "The model's file does not describe an image classifier. Give a file that uninet export wrote for one."
    )
  return { card, metadata, session: await ort.InferenceSession.create(file, { executionProviders: ["wasm"] }) }
}

/** The pixels that a browser decodes, red, green, blue and alpha, as they are in the file. */
const decoded = async (blob) => {
  // As in Pillow: rotated upright, and ignoring colour profiles.
  const bitmap = await createImageBitmap(blob, {
    imageOrientation: "from-image",
    premultiplyAlpha: "none",
    colorSpaceConversion: "none"
  })
  const { height, width } = bitmap
  return {
    height,
    width,
    data: ofTexture(bitmap) ?? ofCanvas(width, height, (canvas) => canvas.drawImage(bitmap, 0, 0))
  }
}

const ofCanvas = (width, height, draw) => {
  const canvas = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true, colorSpace: "srgb" })
  draw(canvas)
  return canvas.getImageData(0, 0, width, height).data
}

/** Through a texture, if textures of that size exist: a canvas does not keep the colours of transparent pixels. */
const ofTexture = (bitmap) => {
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2")
  if (gl === null || Math.max(bitmap.width, bitmap.height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return undefined
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture())
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap)
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer())
  gl.framebufferTexture2D(
    gl.FRAMEBUFFER,
    gl.COLOR_ATTACHMENT0,
    gl.TEXTURE_2D,
    gl.getParameter(gl.TEXTURE_BINDING_2D),
    0
  )
  const data = new Uint8Array(4 * bitmap.width * bitmap.height)
  gl.readPixels(0, 0, bitmap.width, bitmap.height, gl.RGBA, gl.UNSIGNED_BYTE, data)
  gl.getExtension("WEBGL_lose_context")?.loseContext()
  return data
}

/** Draws an SVG on white: Pillow does not read any. */
const drawn = async (blob) => {
  const picture = new Image()
  picture.src = URL.createObjectURL(blob)
  await picture.decode().finally(() => URL.revokeObjectURL(picture.src))
  const { naturalHeight: height, naturalWidth: width } = picture
  const data = ofCanvas(width, height, (canvas) => {
    canvas.fillStyle = "white"
    canvas.fillRect(0, 0, width, height)
    canvas.drawImage(picture, 0, 0)
  })
  return { height, width, data }
}

/** A blob's pixels as Pillow, and therefore uninet, reads them: `{ channels, height, width, bytes }`, interleaved. */
export const rasterOf = async (blob) => {
  const bytes = new Uint8Array(await blob.arrayBuffer())
  const format = Raster.formatOf(bytes)
  if (format !== undefined && format !== "jpeg") {
    const raster = await Raster.decode(bytes)
    if ("reason" in raster)
      throw new Error(`That is not an image: ${raster.reason}. Give a file such as a JPEG or a PNG.`)
    return raster
  }
  const read = blob.type.startsWith("image/svg") ? drawn : decoded
  const { data, height, width } = await read(blob).catch(() => {
    throw new Error("That is not an image. Give a file such as a JPEG or a PNG.")
  })
  return Raster.fromSamples({ space: "rgb", bands: 4, height, width, data })
}

/** Shows a raster on a canvas: what the network is given, however the browser itself would show the file. */
export const draw = (canvas, raster) => {
  const { bytes, height, width } = Raster.withChannels(3)(raster)
  const pixels = new ImageData(width, height)
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = bytes[3 * i + c]
    pixels.data[4 * i + 3] = 255
  }
  Object.assign(canvas, { height, width })
  canvas.getContext("2d").putImageData(pixels, 0, 0)
}

/** Rows of interleaved bytes as an image with one plane per channel. */
const planes = ({ bytes, channels, height, width }) => {
  const area = height * width
  const out = new Uint8Array(bytes.length)
  for (let i = 0; i < bytes.length; i++) out[(i % channels) * area + Math.floor(i / channels)] = bytes[i]
  return { channels, height, width, bytes: out }
}

/** The middle of an image that is much longer in one direction than the result; resizing the rest would be wasted work. */
const middle = (image, h, w) => {
  const height = Math.min(image.height, Math.ceil((4 * h * image.width) / w))
  const width = Math.min(image.width, Math.ceil((4 * w * image.height) / h))
  return Pixels.crop((image.height - height) >> 1, (image.width - width) >> 1, height, width)(image)
}

/** An image in the form that the network takes: grey where the network is, resized, centre-cropped, normalised. As in `@uninet/data`. */
export const inputOf = ({ image: { channels, height, width }, mean, deviation, cropRatio }, raster, invert = false) => {
  const whole = planes(Raster.withChannels(channels === 1 ? 1 : 3)(raster))
  const [h, w] = cropRatio === 1 ? [height, width] : [Math.floor(height / cropRatio), Math.floor(width / cropRatio)]
  const given = cropRatio === 1 ? whole : middle(whole, h, w)
  // The shorter edge becomes the size, and the longer one is cropped on both sides.
  const scale = Math.max(h / given.height, w / given.width)
  const [tall, wide] = cropRatio === 1 ? [h, w] : [given.height, given.width].map((edge) => Math.round(edge * scale))
  const resized = Pixels.resize(Math.max(h, tall), Math.max(w, wide))(given)
  const top = ((resized.height - h + 1) >> 1) + ((h - height) >> 1)
  const left = ((resized.width - w + 1) >> 1) + ((w - width) >> 1)
  const { bytes } = Pixels.crop(top, left, height, width)(resized)
  const area = height * width
  return Float32Array.from(bytes, (byte, i) => {
    const c = Math.floor(i / area)
    return ((invert ? 255 - byte : byte) / 255 - mean[c]) / deviation[c]
  })
}

/** Labels and probabilities of a picture read by `rasterOf`, most likely first. */
export const classify = async ({ card, session }, raster, { invert = false } = {}) => {
  const { channels, height, width } = card.image
  const input = new ort.Tensor("float32", inputOf(card, raster, invert), [1, channels, height, width])
  const { data } = (await session.run({ [card.input]: input }))[card.logits]
  const largest = Math.max(...data)
  const powers = Array.from(data, (x) => Math.exp(x - largest))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers
    .map((power, i) => ({ label: card.classes[i], probability: power / sum }))
    .sort((a, b) => b.probability - a.probability)
}
